"""Path probes: who watches which pairs, and what follows from what is seen (docs/extensions/path-probes.md).

initiator   one SA of each connection polls the pairs that could be used; what it learns serves all
a pair fails under them    those who use it look again, in paced portions, and go where a pair is known to work
responder   is polled, and says nothing; where a direction fails it polls too, so that both ends learn a pair for each
"""

from abc import ABC
from itertools import islice

from mobike.address import Ip, Path, SaId, Transport
from mobike.commands import Watch
from mobike.events import PairSeen, Role
from mobike.fleet.notes import Datum, Note
from mobike.fleet.paths import Paths
from mobike.fleet.turn import Turn
from mobike.mobility.session import Session
from mobike.mobility.surroundings import Current
from mobike.policy.connection import ConnectionPolicy
from mobike.policy.knowledge import UNTRIED, Measured, Reach

MOST_WATCHED = 8
"""Pairs of one SA: as many as one probe tells of."""

MOST_ASKING = 4_096
"""Responder's SAs that poll at a time because a direction fails. Others are merely polled."""


class Probes(Paths, ABC):
    """The part of the fleet that knows pairs before it needs them."""

    def __init__(self, connections: tuple[ConnectionPolicy, ...], public: tuple[Ip, ...], seed: int) -> None:
        super().__init__(connections, public, seed)
        self._watching: dict[str, tuple[SaId, frozenset[Path]]] = {}
        """By connection: which SA polls what for all."""
        self._asking: dict[SaId, set[Path]] = {}
        """Responder's SAs that poll, and the pairs on which a direction fails."""

    # --- who polls what ---

    def _watch(self, turn: Turn) -> None:
        """After all else: the pairs that could be used may be others now."""
        names, self._to_watch = self._to_watch, {}
        for name in names:
            session = self._sessions.a_prober(name)
            if session is not None and session.connection.probe_interval:
                self._watch_pairs(session, turn)

    def _watch_pairs(self, session: Session, turn: Turn) -> None:
        name = session.connection.name
        paths = self._pairs_of(session, turn)
        before = self._watching.get(name)
        if before == (session.sa, frozenset(paths)):
            return
        if before is not None and before[0] != session.sa and self._sessions.get(before[0]) is not None:
            turn.command(Watch(before[0], (), 0))
        self._watching[name] = (session.sa, frozenset(paths))
        turn.command(Watch(session.sa, paths, session.connection.probe_interval))

    def _pairs_of(self, session: Session, turn: Turn) -> tuple[Path, ...]:
        """The pair in use, and the best of the others that could be."""
        ranked = session.connection.policy.rank(turn.situation(session, current=Current.IN_USE))
        others = (each.pair for each in ranked if each.usable and each.pair != session.pair)
        paths = (session.path, *(turn.path(session, pair) for pair in others))
        # A poll in a stream would tell how TCP does, and open one for it.
        return tuple(islice((path for path in paths if path.transport is Transport.UDP), MOST_WATCHED))

    def _watches_no_more(self, session: Session) -> None:
        """It is gone: the next one has its turn."""
        name = session.connection.name
        self._asking.pop(session.sa, None)
        if self._watching.get(name, (None,))[0] == session.sa:
            del self._watching[name]
            self._to_watch[name] = None

    # --- what is seen ---

    def _pair_seen(self, event: PairSeen, turn: Turn) -> None:
        session = self._sessions.get(event.sa)
        if session is None:
            return
        if session.role is Role.RESPONDER:
            self._seen_by_responder(session, event, turn)
            return
        pair = event.path.pair
        before = self._facts.known.get(pair, UNTRIED)
        now = Measured(turn.now, event.forward, event.backward, event.rtt, event.loss_permille)
        if not turn.measure(pair, now):
            return
        if before.measured is None or (before.measured.forward, before.measured.backward) != (
            now.forward,
            now.backward,
        ):
            self._tell_seen(session, event, now, turn)
        if now.reach is Reach.VERIFIED:
            self._scouts.answers_again(pair)
            self._probed.pop(pair, None)
            self._look_all(turn)
        else:
            users = (each for each in self._sessions.on_pair(pair) if each.role is Role.INITIATOR and each.mobike)
            self._to_follow.update(dict.fromkeys(each.sa for each in users))
            self._follow_at = self._follow_at or turn.now

    def _seen_by_responder(self, session: Session, event: PairSeen, turn: Turn) -> None:
        """Only trouble is told, and its end. While one direction fails, this end looks for a pair for it as well."""
        broken = self._asking.get(session.sa, set())
        if event.forward and event.backward:
            broken.discard(event.path)
            if not broken and self._asking.pop(session.sa, None) is not None:
                turn.command(Watch(session.sa, (), 0))
        elif event.forward or event.backward:
            broken.add(event.path)
            if session.sa not in self._asking and len(self._asking) < MOST_ASKING:
                self._asking[session.sa] = broken
                turn.command(Watch(session.sa, self._pairs_of(session, turn), session.connection.probe_interval))
        seen = Measured(turn.now, event.forward, event.backward, event.rtt, event.loss_permille)
        if event.path == session.path or seen.reach is Reach.ONE_WAY:  # a NAT leaves dead pairs behind, of no interest
            self._tell_seen(session, event, seen, turn)

    def _tell_seen(self, session: Session, event: PairSeen, seen: Measured, turn: Turn) -> None:
        text = f"{event.path.pair} {seen}"
        data: dict[str, Datum] = {"path": str(event.path), "forward": seen.forward, "backward": seen.backward}
        turn.notes.append(Note("pair-seen", text, (), session.sa, session.connection.name, data))
