"""Connections that come up: begun over all ways that there are, and begun anew when those are others.

A `Connect` has its paths from the turn in which it was ordered. An address that comes later, or a route, is none of
them: who goes on asking in vain over the old ones would wait for minutes beside a network that works. So whoever is not
up yet looks again when something has changed; what nobody has answered is given up, and begun over the ways of now.
"""

from abc import ABC
from itertools import islice

from mobike.address import Ip, Nanos, Token
from mobike.commands import GiveUp, TurnAway
from mobike.events import ConnectFailed
from mobike.fleet.comings import Comings
from mobike.fleet.notes import Note
from mobike.fleet.turn import Turn
from mobike.fleet.upkeep import Upkeep, situation_of
from mobike.policy.choose import RankedPair, Situation
from mobike.policy.connection import ConnectionPolicy, Start

WAYS_PER_TURN = 64
"""Connections that look for other ways in one turn: some 20 us for each pair that they have."""

WAYS_INTERVAL = 20_000_000
"""Nanoseconds until the next of them: 3,200 a second."""


class Connects(Comings, ABC):
    """The part of the fleet that begins."""

    def __init__(
        self, connections: tuple[ConnectionPolicy, ...], public: tuple[Ip, ...], seed: int, configured: TurnAway
    ) -> None:
        super().__init__(connections, public, seed, configured)
        self._ways_at: Nanos | None = None
        self._to_find: dict[str, Nanos] = {}
        """Connections that are to look because something has changed, and when."""

    def _connect(self, turn: Turn) -> None:
        if self._expected:
            return
        for upkeep in self._upkeeps.due(turn.now):
            ranked = self._ways_of(upkeep, turn)
            connect = self._upkeeps.connect(upkeep, ranked, turn.now)
            if connect is not None:
                turn.command(connect)
                others = len(connect.paths) - 1
                text = f"Connecting over {connect.paths[0]}" + (f", and {others} more in turn" if others else "")
                turn.notes.append(Note("connecting", text, (), None, upkeep.policy.name))
                self._ask_routes(upkeep)
                continue
            decision = upkeep.policy.policy.choose(self._situation_of(upkeep, turn))
            if upkeep.go_home() and not self._sessions.count(upkeep.policy.name):
                self._upkeeps.want(upkeep, turn.now)
            elif upkeep.policy.start is Start.TRAFFIC:
                self._upkeeps.retry(upkeep, turn.now)  # when something changes, there may be no packet any more
            upkeep.last_error = decision.why
            turn.notes.append(Note("connect-failed", "Cannot connect: {}", (decision.why,), None, upkeep.policy.name))

    def _connect_failed(self, event: ConnectFailed, turn: Turn) -> None:
        upkeep = self._upkeeps.take_token(event.token)
        if upkeep is None:
            return
        if upkeep.gives_up:
            upkeep.gives_up = False
            if upkeep.wanted:
                self._upkeeps.want(upkeep, turn.now)
            return
        upkeep.last_error = event.why
        to = event.redirected_to
        if upkeep.wanted and to is not None and self._sent_on_while_connecting(upkeep, event, to, turn):
            return
        upkeep.go_home()
        again = ""
        if upkeep.wanted and not self._sessions.count(upkeep.policy.name):
            wait = self._upkeeps.retry(upkeep, turn.now) / 1e9
            again = f"; {'waiting for traffic' if upkeep.rests else 'trying again'} in {wait:.1f} s"
        text = f"Cannot connect: {event.why}{again}"
        turn.notes.append(Note("connect-failed", text, (), None, upkeep.policy.name, {"tried": len(event.tried)}))

    # --- other ways ---

    def _look_for_ways(self, turn: Turn) -> None:
        if self._ways_changed:
            self._ways_changed = False
            self._to_find = dict.fromkeys((each.policy.name for each in self._upkeeps.on_their_way()), turn.now)
            self._ways_at = self._ways_at or turn.now
        if self._ways_at is None or turn.now < self._ways_at:
            return
        given_up: list[Token] = []
        for name in list(islice((name for name, at in self._to_find.items() if at <= turn.now), WAYS_PER_TURN)):
            upkeep = self._upkeeps.get(name)
            again = None if upkeep is None else self._look_for_way(upkeep, given_up, turn)
            if again is None:
                del self._to_find[name]
            else:
                self._to_find[name] = again
        if given_up:
            turn.command(GiveUp(tuple(given_up), "there are other ways now"))
        due = min(self._to_find.values(), default=None)
        self._ways_at = None if due is None else Nanos(max(due, turn.now + WAYS_INTERVAL))

    def _look_for_way(self, upkeep: Upkeep, given_up: list[Token], turn: Turn) -> Nanos | None:
        """When to look again; None: not before something changes."""
        pairs = frozenset(each.pair for each in self._ways_of(upkeep, turn) if each.usable)
        new = pairs - upkeep.ways
        if upkeep.token is None:
            upkeep.ways = pairs
            if new and upkeep.retry_at is not None and not upkeep.rests:
                upkeep.retry_at = min(upkeep.retry_at, max(turn.now, upkeep.patient_until))
            return None
        if pairs and not new:
            upkeep.ways = pairs
            return None
        if turn.now < upkeep.patient_until:
            return upkeep.patient_until
        given_up.append(upkeep.token)
        upkeep.give_up(turn.now)
        why = f"{min(new, key=str)} can be used now" if new else "none of its ways can be used any more"
        turn.notes.append(Note("connecting", f"Begins anew: {why}", (), None, upkeep.policy.name))
        # Who was answered goes on, and is asked again: the answers may have ended.
        return upkeep.patient_until

    def _ways_of(self, upkeep: Upkeep, turn: Turn) -> tuple[RankedPair, ...]:
        return upkeep.policy.policy.rank(self._situation_of(upkeep, turn))

    def _situation_of(self, upkeep: Upkeep, turn: Turn) -> Situation:
        candidates = self._addresses.candidates(upkeep.policy, turn.now)
        return situation_of(upkeep, candidates, self._facts.known, turn.now)
