"""A stage for one session: surroundings made of plain values, and short words for what happens on it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mobike.address import Endpoint, Generation, Ip, Nanos, Pair, Path, SaId
from mobike.commands import Announce, Close, Command, Move
from mobike.dataplane.operations import MoveSa, Operation
from mobike.events import IkeSaUp, Moved, MoveRefused, Nat, PathSilent, Role
from mobike.mobility.causes import Cause, LocalLost
from mobike.mobility.folded import fold_session
from mobike.mobility.machine import step
from mobike.mobility.session import Session
from mobike.mobility.states import State, Updating
from mobike.mobility.surroundings import NOTHING_TRIED, Current, Said
from mobike.policy.chance import Chance
from mobike.policy.choose import Decision, Pin, Situation
from mobike.policy.connection import ConnectionPolicy
from mobike.policy.knowledge import UNTRIED, NatCost, PairFact, Reach
from mobike.policy.links import Candidate
from tests.policy.words import CELLULAR, OFFICE, WIFI, cellular, wifi

MS = 1_000_000
SA = SaId(0x101)
START = Nanos(0)


@dataclass
class Stage:
    """Implements Surroundings over the shipped policy."""

    now: Nanos = START
    addresses: tuple[Ip, ...] = (WIFI, CELLULAR)
    candidates: tuple[Candidate, ...] = (wifi(), cellular())
    knowledge: dict[Pair, PairFact] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    said: list[tuple[Said, str]] = field(default_factory=list)
    chance: Chance = field(default_factory=lambda: Chance(1))

    # --- what machines see ---

    def is_dead(self, path: Path) -> bool:
        there = any(each.ip == path.local.ip and each.available for each in self.candidates)
        return not there or self.knowledge.get(path.pair, UNTRIED).reach is Reach.UNREACHABLE

    def is_deaf(self, path: Path) -> bool:
        measured = self.knowledge.get(path.pair, UNTRIED).measured_lately(self.now)
        return measured is not None and not measured.forward

    def choose(self, session: Session, *, current: Current, excluded: frozenset[Pair] = NOTHING_TRIED) -> Decision:
        target = session.target or session.path
        pair = {Current.IN_USE: session.pair, Current.ASKED_FOR: target.pair, Current.NONE: None}[current]
        remotes = tuple(dict.fromkeys((*session.connection.remotes, session.path.remote.ip, *session.peer_addresses)))
        return session.connection.policy.choose(
            Situation(self.candidates, remotes, self.knowledge, pair, pin=session.pin, excluded=excluded, now=self.now)
        )

    def path(self, session: Session, pair: Pair) -> Path:
        same = pair.remote == session.path.remote.ip
        return Path(Endpoint(pair.local, 4500), session.path.remote if same else Endpoint(pair.remote, 4500))

    def is_translated(self, path: Path) -> bool | None:
        cost = self.knowledge.get(path.pair, UNTRIED).nat
        return None if cost is NatCost.UNKNOWN else cost is NatCost.TRANSLATED

    def updating(self, path: Path, why: str, told_plane: bool | None) -> Updating:
        return Updating(path, self.now, why, told_plane, NOTHING_TRIED)

    def test_ends(self, session: Session, test: int) -> Nanos:
        return Nanos(self.now + session.connection.search.share(test, self.chance))

    # --- what machines say ---

    def learn(self, pair: Pair, reach: Reach, nat: Nat | None = None) -> None:
        known = {None: NatCost.UNKNOWN, Nat.NONE: NatCost.NONE}.get(nat, NatCost.TRANSLATED)
        self.knowledge[pair] = PairFact(reach, known, self.now)

    def retry(self, session: Session, pin: Pin) -> None:
        for pair in [pair for pair in self.knowledge if pin.holds(pair)]:
            del self.knowledge[pair]

    def command(self, command: Command) -> None:
        self.commands.append(command)

    def operate(self, operation: Operation) -> None:
        self.operations.append(operation)

    def tell(self, said: Said, session: Session, text: str, to_path: Path | None = None) -> None:
        self.said.append((said, text))

    def tell_all(self, said: Said, sessions: Sequence[Session], text: str, to_path: Path | None = None) -> None:
        for session in sessions:
            self.tell(said, session, text, to_path)

    # --- words of the stories ---

    def happens(self, session: Session, cause: Cause, *, after_ms: int = 0) -> None:
        self.now = Nanos(self.now + after_ms * MS)
        step(session, cause, self)

    def lose(self, session: Session, ip: Ip) -> None:
        self.candidates = tuple(each for each in self.candidates if each.ip != ip)
        self.addresses = tuple(each for each in self.addresses if each != ip)
        self.happens(session, LocalLost(ip))

    def moves(self) -> list[Pair]:
        return [each.path.pair for each in self.commands if isinstance(each, Move)]

    def announced(self) -> list[tuple[Ip, ...]]:
        return [each.addresses for each in self.commands if isinstance(each, Announce)]

    def closed(self) -> list[SaId]:
        return [each.sa for each in self.commands if isinstance(each, Close)]

    def plane_path(self) -> Pair | None:
        moved = [each.path.pair for each in self.operations if isinstance(each, MoveSa)]
        return moved[-1] if moved else None


def path(local: Ip = WIFI, remote: Ip = OFFICE) -> Path:
    return Path(Endpoint(local, 4500), Endpoint(remote, 4500))


def session(
    role: Role = Role.INITIATOR,
    *,
    mobike: bool = True,
    state: State | None = None,
    connection: ConnectionPolicy | None = None,
    told: tuple[Ip, ...] = (WIFI, CELLULAR),
) -> Session:
    up = IkeSaUp(
        SA, None, "office", role, path(), Nat.NONE, "gw.example.net", mobike, (), (), spi_i=1, spi_r=2, suite="suite"
    )
    made = Session(
        sa=SA,
        connection=connection or ConnectionPolicy("office", initiates=role is Role.INITIATOR),
        role=role,
        mobike=mobike,
        path=path(),
        nat=Nat.NONE,
        peer_addresses=(),
        told=told,
        suite="suite",
        facts=fold_session(up, Nanos(0)),
    )
    if state is not None:
        made.state = state
    return made


def answer(asked: Session, nat: Nat = Nat.NONE) -> Moved:
    """The peer's answer to the update that is in flight."""
    assert isinstance(asked.state, Updating)
    return Moved(asked.sa, asked.state.path, asked.generation, nat, Nanos(MS))


def refusal(asked: Session) -> MoveRefused:
    assert isinstance(asked.state, Updating)
    return MoveRefused(asked.sa, asked.state.path, asked.generation)


def silence(of: Session, tries: int = 2) -> PathSilent:
    return PathSilent(of.sa, of.target or of.path, of.generation, tries, Nanos(1_400 * MS))


def older(generation: Generation) -> Generation:
    return Generation(generation - 1)
