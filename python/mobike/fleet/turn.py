"""One `handle`: what the machines see of the fleet, and where their outputs are collected."""

from collections.abc import Sequence
from typing import Final

from mobike.address import Endpoint, Ip, Nanos, Pair, Path, Transport
from mobike.commands import Command
from mobike.dataplane.operations import Operation
from mobike.events import Nat, Role
from mobike.fleet.addresses import AddressBook
from mobike.fleet.facts import PairFacts
from mobike.fleet.notes import Datum, Note
from mobike.fleet.sessions import Sessions
from mobike.mobility.session import Session
from mobike.mobility.states import Updating
from mobike.mobility.surroundings import NOTHING_TRIED, Current, Said
from mobike.policy.chance import Chance
from mobike.policy.choose import Decision, Pin, Situation
from mobike.policy.knowledge import UNTRIED, Measured, Reach

NOTES_OF_A_KIND = 16
"""Notes of one kind and connection in one turn; behind that they are counted and told as one. When a link dies under
100,000 SAs, a person wants one sentence, and the event stream must not push out everything else."""

_NO_FACTS: Final = PairFacts().known


class Turn:
    """Implements `mobility.Surroundings`."""

    def __init__(
        self, now: Nanos, addresses: AddressBook, facts: PairFacts, sessions: Sessions, chance: Chance
    ) -> None:
        self.now = now
        self.commands: list[Command] = []
        self.operations: list[Operation] = []
        self.notes: list[Note] = []
        self._book = addresses
        self._facts = facts
        self._sessions = sessions
        self._chance = chance
        # Answers of this turn, and with them the objects whose identity is in the key.
        self._decisions: dict[tuple[object, ...], tuple[Decision, Path, Path | None]] = {}
        self._paths: dict[tuple[int, int], tuple[Path, Pair, Path]] = {}
        self._locals: dict[tuple[int, int], tuple[Endpoint, Pair]] = {}
        self._translated: dict[int, tuple[bool | None, Path]] = {}
        self._searches: dict[tuple[int, int, bool | None], Updating] = {}
        self._gone: dict[int, bool] = {}
        self._more: dict[tuple[Said, str], int] = {}

    # --- what the machines see ---

    @property
    def addresses(self) -> tuple[Ip, ...]:
        return self._book.announced

    def is_dead(self, path: Path) -> bool:
        key = id(path.local)
        gone = self._gone.get(key)
        if gone is None:
            gone = self._gone[key] = not self._book.is_available(path.local.ip)
        return gone or (self._facts.any_unreachable and self._facts.is_unreachable(path.pair))

    def is_deaf(self, path: Path) -> bool:
        measured = self._facts.known.get(path.pair, UNTRIED).measured_lately(self.now)
        return measured is not None and not measured.forward

    def choose(self, session: Session, *, current: Current, excluded: frozenset[Pair] = NOTHING_TRIED) -> Decision:
        """Policy is asked once for all sessions that share connection, path in use, peer's list and pin."""
        path, target = session.path, session.target
        key = (*situation_key(session), id(target), current, excluded)
        known = self._decisions.get(key)
        if known is None:
            decision = session.connection.policy.choose(self.situation(session, current=current, excluded=excluded))
            # The key names objects by identity: they must live as long as it does.
            self._decisions[key] = known = (decision, path, target)
        return known[0]

    def situation(self, session: Session, *, current: Current, excluded: frozenset[Pair] = NOTHING_TRIED) -> Situation:
        return Situation(
            candidates=self._book.candidates(session.connection, self.now),
            remotes=remotes_of(session),
            knowledge=self._facts.known if session.role is Role.INITIATOR else _NO_FACTS,
            current=_pair(session, current),
            rules=session.connection.pairs,
            pin=session.pin,
            transports=(session.connection.transports if session.role is Role.INITIATOR else (session.path.transport,)),
            left_out=session.left_out,
            excluded=excluded,
            now=self.now,
        )

    def path(self, session: Session, pair: Pair) -> Path:
        """Ports: those in use where the address stays, the usual ones of NAT traversal elsewhere."""
        if _is_alone(session):
            return Path(self._local(pair, session.path.local.port), session.path.remote, pair.transport)
        key = (id(pair), id(session.path))
        known = self._paths.get(key)
        if known is None:
            ports = session.connection.ports
            streams = pair.transport is Transport.TCP and session.role is Role.INITIATOR
            local = self._local(pair, ports.local_natt if streams else session.path.local.port)
            remote = session.path.remote
            if pair.remote != remote.ip or streams:
                remote = Endpoint(pair.remote, ports.remote_natt)
            self._paths[key] = known = (
                self._sessions.share_path(Path(local, remote, pair.transport)),
                pair,
                session.path,
            )
        return known[0]

    def is_translated(self, path: Path) -> bool | None:
        known = self._translated.get(id(path))
        if known is None:
            self._translated[id(path)] = known = (self._facts.is_translated(path.pair), path)
        return known[0]

    def _local(self, pair: Pair, port: int) -> Endpoint:
        key = (id(pair), port)
        known = self._locals.get(key)
        if known is None:
            self._locals[key] = known = (self._sessions.share_local(Endpoint(pair.local, port)), pair)
        return known[0]

    def updating(self, path: Path, why: str, told_plane: bool | None) -> Updating:
        key = (id(path), id(why), told_plane)
        known = self._searches.get(key)
        if known is None:
            self._searches[key] = known = Updating(path, self.now, why, told_plane, NOTHING_TRIED)
        return known

    def test_ends(self, session: Session, test: int) -> Nanos:
        return Nanos(self.now + session.connection.search.share(test, self._chance))

    # --- what the machines say ---

    def learn(self, pair: Pair, reach: Reach, nat: Nat | None = None) -> None:
        if self._facts.learn(pair, reach, nat, now=self.now):
            self.look_anew()

    def measure(self, pair: Pair, measured: Measured) -> bool:
        """Tell all sessions what path probes say of a pair. True if that is news."""
        news = self._facts.measure(pair, measured)
        if news:
            self.look_anew()
        return news

    def retry(self, session: Session, pin: Pin) -> None:
        for candidate in self._book.candidates(session.connection, self.now):
            for remote in remotes_of(session):
                for transport in session.connection.transports:
                    pair = Pair(candidate.ip, remote, transport)
                    if pin.holds(pair):
                        self._facts.forget_bad(pair)
        self.look_anew()

    def look_anew(self) -> None:
        """Something that policy weighs has changed."""
        self._decisions.clear()
        self._translated.clear()
        self._gone.clear()

    def command(self, command: Command) -> None:
        self.commands.append(command)

    def operate(self, operation: Operation) -> None:
        self.operations.append(operation)

    def tell(self, said: Said, session: Session, text: str, to_path: Path | None = None) -> None:
        key = (said, session.connection.name)
        count = self._more[key] = self._more.get(key, 0) + 1
        if count > NOTES_OF_A_KIND:
            return
        data: dict[str, Datum] = {"path": str(session.path), "generation": session.generation}
        if to_path is not None:
            data["to_path"] = str(to_path)
        if said is Said.MOVED and session.last_move is not None:
            data["from_path"] = str(session.last_move.from_path)
            data["duration_ms"] = None if session.last_move.duration is None else session.last_move.duration / 1e6
            data["why"] = session.last_move.why
        self.notes.append(Note(said.value, text, (), session.sa, session.connection.name, data))

    def tell_all(self, said: Said, sessions: Sequence[Session], text: str, to_path: Path | None = None) -> None:
        for session in sessions[:NOTES_OF_A_KIND]:
            self.tell(said, session, text, to_path)
        rest = len(sessions) - NOTES_OF_A_KIND
        if rest > 0:
            self._more[said, sessions[0].connection.name] += rest

    def finish(self) -> None:
        """Say how many notes were not written."""
        for (kind, connection), count in self._more.items():
            if count > NOTES_OF_A_KIND:
                more = count - NOTES_OF_A_KIND
                text = f"The same ({kind}) for {more:,} more SAs of connection {connection}"
                self.notes.append(Note(kind.value, text, (), None, connection, {"sas": more}))


def situation_key(session: Session) -> tuple[object, ...]:
    """The same for sessions about which policy is asked the same, as long as these objects live."""
    path = session.path
    if _is_alone(session):  # such peers differ in nothing that policy weighs, but for their family
        return id(session.connection), id(path.local), type(path.remote.ip)
    return id(session.connection), id(path), session.peer_addresses, session.left_out, session.pin


def _is_alone(session: Session) -> bool:
    """A gateway's peer with one address: only our own end is a choice, so such sessions share their answers."""
    return session.role is Role.RESPONDER and not session.peer_addresses


def remotes_of(session: Session) -> tuple[Ip, ...]:
    """Where the peer may be: as configured first, then as it says itself, then where it is asked for, and where it is.

    A configured address that the peer did not list stays: some gateways list nothing (RFC 4555 section 3.4 lets them).
    So does the one asked for: a list that comes from there does not repeat it.
    """
    if session.role is Role.RESPONDER:
        return (session.path.remote.ip, *session.peer_addresses)
    asked = () if session.target is None else (session.target.remote.ip,)
    return tuple(dict.fromkeys((*session.connection.remotes, *session.peer_addresses, *asked, session.path.remote.ip)))


def _pair(session: Session, current: Current) -> Pair | None:
    match current:
        case Current.IN_USE:
            return session.pair
        case Current.ASKED_FOR:
            return session.state.path.pair if isinstance(session.state, Updating) else session.pair
        case Current.NONE:
            return None
