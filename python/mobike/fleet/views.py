"""What may be seen of the fleet: frozen records, which the gateway translates for the API."""

from dataclasses import dataclass

from mobike.address import Ip, Nanos, Pair, Path, SaId
from mobike.events import Nat, Role
from mobike.handout import Handout
from mobike.mobility.away import words
from mobike.mobility.folded import ChildFacts
from mobike.mobility.session import Session
from mobike.mobility.states import Away, Stable, Updating, Waiting
from mobike.policy.choose import Choice, Keep, NoPair, RankedPair
from mobike.policy.knowledge import Measured, NatCost, Reach


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One IKE SA, as a row of a list."""

    sa: SaId
    connection: str
    role: Role
    state: str
    """`established`, `updating`, `waiting` or `away`."""
    path: Path
    nat: Nat
    peer_id: str
    mobike: bool
    suite: str
    spi_i: int
    spi_r: int
    virtual_ips: tuple[Ip, ...]
    since: Nanos
    moves: int


@dataclass(frozen=True, slots=True)
class PairRow:
    """One pair as policy ranks it for this SA; rank 1 is the best."""

    rank: int
    pair: Pair
    link: str
    current: bool
    usable: bool
    score: str
    why: str
    measured: Measured | None
    """What path probes say of it; None where nobody probes."""


@dataclass(frozen=True, slots=True)
class MoveRow:
    """The move under way, or the last one."""

    at: Nanos
    from_path: Path
    to_path: Path
    why: str
    duration: Nanos | None
    """None while it is awaited, or where there was nothing to await."""


@dataclass(frozen=True, slots=True)
class SessionDetail:
    """One IKE SA with its pairs and its children, and why it is where it is."""

    row: SessionRow
    why: str
    pairs: tuple[PairRow, ...]
    peer_addresses: tuple[Ip, ...]
    handout: Handout
    children: tuple[ChildFacts, ...]
    last_move: MoveRow | None
    pin: str | None
    """The pair that the operator wants, in words."""


@dataclass(frozen=True, slots=True)
class Supposition:
    """What one IKE SA would do now, or in a case that has not happened."""

    moves_to: Pair | None
    """None: it would stay, or have nothing to move to."""
    stays: bool
    why: str
    pairs: tuple[PairRow, ...]


@dataclass(frozen=True, slots=True)
class SessionPage:
    """A page of rows; the next one begins behind `after`, None at the end."""

    items: tuple[SessionRow, ...]
    after: SaId | None
    total: int


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """One connection; down is a value, not an absence."""

    name: str
    role: Role
    state: str
    """`up`, `connecting`, `waiting-for-traffic`, `down` or `listening`."""
    sas: int
    last_error: str | None
    children: tuple[str, ...] = ()
    """Names of the Child SAs it may have."""


@dataclass(frozen=True, slots=True)
class FactRow:
    """What is known of one pair, whoever has found it out."""

    pair: Pair
    link: str | None
    """Of our address; None: it is gone."""
    reach: Reach
    """As it is worth now: results grow old."""
    nat: NatCost
    at: Nanos
    lapses: int
    measured: Measured | None


@dataclass(frozen=True, slots=True)
class AddressRow:
    """One local address."""

    ip: Ip
    link: str
    available: bool
    standing: str
    """`preferred`, `deprecated`, `optimistic`, or `avoided` by the operator."""
    ike_sas: int
    """How many use it, or are moving to it."""


def row(session: Session) -> SessionRow:
    facts = session.unfold()
    return SessionRow(
        sa=session.sa,
        connection=session.connection.name,
        role=session.role,
        state=str(session.state),
        path=session.path,
        nat=session.nat,
        peer_id=facts.peer_id,
        mobike=session.mobike,
        suite=session.suite,
        spi_i=facts.spi_i,
        spi_r=facts.spi_r,
        virtual_ips=facts.virtual_ips,
        since=facts.since,
        moves=session.moves,
    )


def pair_rows(ranked: tuple[RankedPair, ...], current: Pair) -> tuple[PairRow, ...]:
    return tuple(
        PairRow(
            place, each.pair, each.link, each.pair == current, each.usable, each.score.detail, _why(each), each.measured
        )
        for place, each in enumerate(ranked, start=1)
    )


def _why(ranked: RankedPair) -> str:
    return ranked.why if ranked.measured is None else f"{ranked.why}; {ranked.measured}"


def move_row(session: Session) -> MoveRow | None:
    if isinstance(session.state, Updating):
        state = session.state
        return MoveRow(state.since, session.path, state.path, state.why, None)
    last = session.last_move
    return None if last is None else MoveRow(last.at, last.from_path, last.to_path, last.why, last.duration)


def why_here(session: Session, decision: Choice | Keep | NoPair) -> str:
    """One sentence: why the pair in use is the one in use."""
    match session.state:
        case Waiting(why=why):
            return f"Nothing to move to: {why}"
        case Updating(path=path, why=why):
            return f"Moving to {path.pair}: {why}"
        case Away(since=since, until=until):
            who = "We are" if session.role is Role.INITIATOR else "The peer is"
            return f"{who} away, for at most {words(until - since)}"
        case Stable():
            pass
    if session.role is Role.RESPONDER:
        return "The peer began here" if session.last_move is None else f"{session.last_move.why}"
    match decision:
        case Keep(why) | NoPair(why):
            return why
        case Choice(pair, why):
            return f"About to move to {pair}: {why}"
