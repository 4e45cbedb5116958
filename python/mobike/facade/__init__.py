"""What the API may see of the gateway: one Protocol and frozen views. Nothing here is mutable, nothing leaks a key."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mobike.facade.attempts import AttemptView
from mobike.facade.captures import Captures
from mobike.facade.configuration import Configurations
from mobike.facade.exchanges import ExchangeView
from mobike.facade.inventory import Inventory
from mobike.facade.lists import ChildRows, PathRow
from mobike.facade.loudness import LogLevels
from mobike.facade.readings import Reading


@dataclass(frozen=True, slots=True)
class PairView:
    """One pair that could carry an SA, as policy ranks it (rank 1 is the best)."""

    rank: int
    local: str
    remote: str
    link: str
    current: bool
    usable: bool
    score: str
    """The ordered tuple that ranks it, readable."""
    why: str
    forward: bool | None = None
    """Path probes: what we send there arrives. None, like the next three, where nobody probes."""
    backward: bool | None = None
    """Path probes: what the peer sends from there arrives."""
    rtt_ms: float | None = None
    loss: float | None = None
    """From 0 to 1."""
    transport: str = "udp"
    """Or `tcp` (RFC 9329)."""


@dataclass(frozen=True, slots=True)
class ChildView:
    """One Child SA."""

    id: str
    name: str
    """Which of the connection's Child SAs it is."""
    spi_in: str
    spi_out: str
    suite: str
    local_ts: tuple[str, ...]
    remote_ts: tuple[str, ...]
    encap: bool
    mode: str
    """`tunnel` or `transport`."""
    packets_in: int
    packets_out: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class IkeSaView:
    """One IKE SA, as a row of a list."""

    id: str
    connection: str
    role: str
    state: str
    """`established`, `updating`, `waiting` or `away`."""
    local: str
    remote: str
    peer_id: str
    mobike: bool
    nat: str
    suite: str
    spi_i: str
    spi_r: str
    virtual_ips: tuple[str, ...]
    since: float
    """When it came up, in seconds since the epoch."""
    moves: int
    transport: str = "udp"
    """What the path in use is made of: `udp`, or `tcp` (RFC 9329)."""


@dataclass(frozen=True, slots=True)
class MoveView:
    """The last move of an SA: what happened, who wanted it, how long it took."""

    at: float
    from_path: str
    to_path: str
    why: str
    duration_ms: float | None
    """From the decision to the peer's answer; None while it is awaited."""


@dataclass(frozen=True, slots=True)
class IkeSaDetail:
    """One IKE SA with its pairs, its children, and why it is where it is."""

    sa: IkeSaView
    why: str
    """One sentence: why the current pair is in use."""
    pairs: tuple[PairView, ...]
    peer_addresses: tuple[str, ...]
    children: tuple[ChildView, ...]
    last_move: MoveView | None
    pin: str | None = None
    """The pair that an operator's order asks for; None: policy chooses."""
    dns: tuple[str, ...] = ()
    """Resolvers that the gateway told us with our inner address."""
    networks: tuple[str, ...] = ()
    """Networks behind it, as it told us."""
    domains: tuple[str, ...] = ()
    """Names below these are for those resolvers; none: all are."""


@dataclass(frozen=True, slots=True)
class ExplanationView:
    """What an SA would do, and why: as things are, or without a link or an address of ours."""

    without: str | None
    decision: str
    """`stay`, `move`, or `wait` for a pair that can be used."""
    local: str | None
    """Our address of the pair that it would use; None if it would wait."""
    remote: str | None
    why: str
    """One sentence."""
    pairs: tuple[PairView, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list; `after` is where the next one begins, None at the end."""

    items: tuple[IkeSaView, ...]
    after: str | None
    total: int


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """One configured connection; down is a value, not an absence."""

    name: str
    role: str
    state: str
    """`up`, `connecting`, `waiting-for-traffic`, `down`, or `listening`."""
    ike_sas: int
    last_error: str | None
    children: tuple[str, ...] = ()
    """Names of the Child SAs it may have."""


@dataclass(frozen=True, slots=True)
class EventView:
    """One thing that happened. `seq` grows by one each time."""

    seq: int
    at: float
    kind: str
    sa: str | None
    connection: str | None
    text: str
    data: dict[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events that are still kept, newest first; the next page begins before `before`, None at the end."""

    items: tuple[EventView, ...]
    before: int | None


@dataclass(frozen=True, slots=True)
class Health:
    """Is the daemon alive, and can it do its work?"""

    live: bool
    ready: bool
    reasons: tuple[str, ...]
    version: str
    uptime_s: float


@dataclass(frozen=True, slots=True)
class AddressView:
    """One local address and whether it can be used now."""

    ip: str
    link: str
    available: bool
    standing: str = "preferred"
    """`preferred`, `deprecated`, `optimistic` (not yet proven to be ours alone), or `avoided` by the operator."""
    ike_sas: int = 0
    """How many use it, or are moving to it."""


class NotFound(LookupError):
    """No such thing; the message names it."""


class Refused(ValueError):
    """The order makes no sense or is not allowed now; the message says why, `hint` what to do."""

    def __init__(self, message: str, *, field: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.hint = hint


class Facade(Protocol):
    """Everything the API can see and ask. Calls return at once; what they cause is seen in `events`."""

    def catch_up(self) -> None:
        """From here on all that a peer can have seen is told: who asks next knows no less than the other end."""
        ...

    def health(self) -> Health: ...

    @property
    def configuration(self) -> Configurations:
        """What is in force, and the ways to change it. Refused if there are none."""
        ...

    @property
    def inventory(self) -> Inventory:
        """What connections rest on."""
        ...

    def counters(self) -> dict[str, int]: ...

    def readings(self) -> tuple[Reading, ...]:
        """What was measured of each connection; those of which nothing was are left out."""
        ...

    def connections(self) -> tuple[ConnectionView, ...]: ...

    def list_ike_sas(self, *, after: str | None = None, limit: int = 100, connection: str | None = None) -> Page:
        """At most `limit` (1 to 1000) rows from behind `after`. Refused if `after` is no cursor of ours."""
        ...

    def list_child_sas(self, *, after: str | None = None, limit: int = 100, connection: str | None = None) -> ChildRows:
        """Of at most `limit` (1 to 1000) IKE SAs from behind `after`. Refused if that is no cursor of ours."""
        ...

    def list_paths(self, *, limit: int = 1000) -> tuple[PathRow, ...]:
        """What is known of pairs, the latest news first; at most `limit` (1 to 1000)."""
        ...

    @property
    def log_levels(self) -> LogLevels:
        """How much is logged of single peers."""
        ...

    @property
    def captures(self) -> Captures:
        """What is taken down of single IKE SAs."""
        ...

    def attempts(self, *, peer: str | None = None, limit: int = 20) -> tuple[AttemptView, ...]:
        """The last attempts of a peer (an address, an identity, a connection, an IKE SA) or of all, the latest first;
        at most `limit` (1 to 1000)."""
        ...

    def ike_sa(self, sa: str) -> IkeSaDetail:
        """One SA, or NotFound."""
        ...

    def exchanges(self, sa: str) -> tuple[ExchangeView, ...]:
        """The last exchanges of one SA in the order in which they ended, then what is unanswered; or NotFound."""
        ...

    def explain(self, sa: str, *, without: str | None = None) -> ExplanationView:
        """What one SA would do, or NotFound; Refused if `without` names nothing of ours."""
        ...

    def addresses(self) -> tuple[AddressView, ...]: ...

    def up(self, connection: str) -> None:
        """Bring a connection up, or NotFound, or Refused."""
        ...

    def down(self, connection: str) -> None:
        """Take a connection down, or NotFound."""
        ...

    def away(self, connection: str, span_s: int) -> None:
        """Be away with a connection for so many seconds at most, or NotFound, or Refused (docs/extensions/away.md)."""
        ...

    def back(self, connection: str) -> None:
        """Come back with a connection that is away, or NotFound, or Refused."""
        ...

    def close(self, sa: str) -> None:
        """Delete one IKE SA, or NotFound."""
        ...

    def move(self, sa: str, *, local: str | None, remote: str | None) -> None:
        """Move one SA to this pair, or NotFound, or Refused."""
        ...

    def probe(self, sa: str) -> None:
        """Ask the peer of one IKE SA for a sign of life now, or NotFound, or Refused."""
        ...

    def rekey(self, sa: str, *, children: bool) -> None:
        """Give one IKE SA new keys, or each of its Child SAs; or NotFound."""
        ...

    def reauth(self, sa: str) -> None:
        """Set up another IKE SA in the place of this one, or NotFound, or Refused."""
        ...

    def redirect(self, sa: str, to: Sequence[str]) -> None:
        """Send the peer of this SA on to one of these gateways, or NotFound, or Refused."""
        ...

    def drain(self, to: Sequence[str]) -> None:
        """Send all peers on to one of these gateways; nowhere: serve them again. Refused if that is no gateway."""
        ...

    def open_child(self, sa: str, name: str) -> None:
        """Open a Child SA that the connection of this SA names, or NotFound, or Refused."""
        ...

    def close_child(self, sa: str, child: str) -> None:
        """Close one Child SA, or NotFound."""
        ...

    def pin(self, sa: str) -> None:
        """Keep one SA on the pair that it uses now, as a `move` to it does; NotFound, or Refused."""
        ...

    def unpin(self, sa: str) -> None:
        """Take a `move` back: policy chooses again. NotFound, or Refused where no order holds."""
        ...

    def avoid(self, link: str, *, avoid: bool) -> None:
        """Use this link only where nothing else is left, or as the rules say again. Refused if that is nothing new."""
        ...

    def set_address(self, ip: str, *, available: bool, announce: bool = True) -> None:
        """Plug or unplug a local address; Refused unless `[links] source = "manual"`."""
        ...

    def events(self, after: int | None = None) -> AsyncIterator[EventView]:
        """Events behind sequence number `after` (None: from now on), then new ones as they come.

        The ring is bounded: who falls behind gets a `dropped` event that says how many are gone.
        """
        ...

    def past_events(
        self,
        *,
        before: int | None = None,
        limit: int = 100,
        sa: str | None = None,
        connection: str | None = None,
        kinds: frozenset[str] = frozenset(),
    ) -> EventPage:
        """Of the events that are kept, the newest `limit` (1 to 1000) that fit; no kinds: of every kind."""
        ...
