"""What is sent and received. Answers mirror the views of `mobike.facade`; orders refuse what they do not know."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StrictBool
from pydantic.json_schema import SkipJsonSchema

from mobike.facade.books import Scope
from mobike_api.described import Described
from mobike_api.lists import FIELDS


def fields_pattern(known: tuple[str, ...]) -> str:
    """Names of members, with commas between."""
    one = f"(?:{'|'.join(known)})"
    return f"^{one}(?:,{one})*$"


def _read_ip(value: object) -> IPv4Address | IPv6Address:
    """Text only: pydantic would also take numbers, and zones with anything in them."""
    if not isinstance(value, str) or "%" in value:
        raise ValueError("must be an IP address without a zone")
    try:
        return ip_address(value)
    except ValueError:
        raise ValueError("is no IP address") from None


Left = SkipJsonSchema[None]
"""Of a query parameter: it may be left out, but a query has no word for null."""

Ip = Annotated[IPv4Address | IPv6Address, BeforeValidator(_read_ip)]


class Answer(Described):
    """Something that is sent."""

    model_config: ClassVar[ConfigDict] = ConfigDict(from_attributes=True, frozen=True, extra="forbid")


class Order(Described):
    """Something that is received."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")


class Asked(Order):
    """The query of a request. FastAPI looks for the descriptions of its members in the class."""

    model_config: ClassVar[ConfigDict] = ConfigDict(use_attribute_docstrings=True)


class IkeSa(Answer):
    """One IKE SA."""

    id: str
    """Stays the same when the SA is rekeyed."""
    connection: str
    """The connection it belongs to."""
    role: str
    """`initiator` or `responder`: who began it."""
    state: str
    """What it is doing: `established`, `updating`, `waiting`, `away`."""
    local: str
    """Our end of the path in use, with its port."""
    remote: str
    """The peer's end of the path in use, with its port."""
    transport: str
    """What the path in use is made of: `udp`, or `tcp` (RFC 9329)."""
    peer_id: str
    """Who the peer proved to be."""
    mobike: bool
    """Both ends speak MOBIKE (RFC 4555)."""
    nat: str
    """Who is behind a NAT on the path in use."""
    suite: str
    """Algorithms of the IKE SA."""
    spi_i: str
    """The initiator's SPI, in hexadecimal."""
    spi_r: str
    """The responder's SPI, in hexadecimal."""
    virtual_ips: tuple[str, ...]
    """Inner addresses that were leased."""
    since: float
    """When it came up, in seconds since the epoch."""
    moves: int
    """How often it has moved."""


class Pair(Answer):
    """Two addresses that could carry an IKE SA, as policy ranks them."""

    rank: int
    """1 is the best."""
    local: str
    """Our address."""
    remote: str
    """The peer's address."""
    transport: str
    """`udp` or `tcp` (RFC 9329)."""
    link: str
    """The link of our address."""
    current: bool
    """It is in use."""
    usable: bool
    """It may be used now."""
    score: str
    """What ranks it, most important first."""
    why: str
    """One line for people."""
    forward: bool | None
    """Path probes: what we send there arrives; null where nobody probes."""
    backward: bool | None
    """Path probes: what the peer sends from there arrives; null where nobody probes."""
    rtt_ms: float | None
    """Round trip of path probes; null where none was measured."""
    loss: float | None
    """The part of path probes without echo, from 0 to 1; null where nobody probes."""


class Child(Answer):
    """One Child SA, both directions."""

    id: str
    name: str
    """Which of the connection's Child SAs it is."""
    spi_in: str
    spi_out: str
    suite: str
    local_ts: tuple[str, ...]
    """Traffic on our side."""
    remote_ts: tuple[str, ...]
    """Traffic on the peer's side."""
    encap: bool
    """ESP goes in UDP (RFC 3948)."""
    mode: str
    """`tunnel` or `transport`."""
    packets_in: int
    packets_out: int
    bytes_in: int
    bytes_out: int


class Move(Answer):
    """A move of an IKE SA to another path."""

    at: float
    """When it was decided, in seconds since the epoch."""
    from_path: str
    to_path: str
    why: str
    """Who wanted it, and why."""
    duration_ms: float | None
    """From the decision to the peer's answer; null while it is awaited."""


class IkeSaDetail(Answer):
    """One IKE SA with its pairs and its children, and why it is where it is."""

    sa: IkeSa
    why: str
    """Why the pair in use is in use."""
    pairs: tuple[Pair, ...]
    """Every pair that could carry it, best first."""
    peer_addresses: tuple[str, ...]
    """Further addresses that the peer has told of."""
    children: tuple[Child, ...]
    last_move: Move | None
    pin: str | None
    """The pair that an order to move asks for; null: policy chooses."""
    dns: tuple[str, ...]
    """Resolvers that the gateway told us with our inner address."""
    networks: tuple[str, ...]
    """Networks behind the gateway, as it told us."""
    domains: tuple[str, ...]
    """Names below these are for those resolvers; none: all are."""


class Explanation(Answer):
    """What an IKE SA would do, and why."""

    without: str | None
    """What of ours is supposed to be gone; null: nothing, this is how it is."""
    decision: str
    """`stay`, `move`, or `wait` for a pair that can be used."""
    local: str | None
    """Our address of the pair it would use; null if it would wait."""
    remote: str | None
    why: str
    """One line for people."""
    pairs: tuple[Pair, ...]
    """Every pair that could carry it then, best first."""


class IkeSaPart(IkeSa):
    """Of one IKE SA what `fields` asked for."""

    model_config: ClassVar[ConfigDict] = ConfigDict(json_schema_extra=lambda schema: schema.update(required=[]))


class IkeSaPage(Answer):
    """A page of the list of IKE SAs."""

    items: tuple[IkeSa, ...] | tuple[IkeSaPart, ...]
    """Whole, or what `fields` asked for."""
    after: str | None
    """Ask with this as `after` for the next page; null on the last."""
    total: int | None
    """How many there are on all pages; null where that would mean to look at all of them."""


class Connection(Answer):
    """One configured connection."""

    name: str
    role: str
    """`initiator` or `responder`."""
    state: str
    """`up`, `connecting`, `waiting-for-traffic`, `down` or `listening`."""
    ike_sas: int
    """How many IKE SAs it has."""
    last_error: str | None
    """Why it failed last."""
    children: tuple[str, ...]
    """Names of the Child SAs it may have."""


class Connections(Answer):
    """All configured connections."""

    items: tuple[Connection, ...]


class Address(Answer):
    """One local address."""

    ip: str
    link: str
    available: bool
    """It can be used now."""
    standing: str
    """`preferred`, `deprecated`, `optimistic` (not yet proven to be ours alone), or `avoided` by an operator."""
    ike_sas: int
    """How many use it, or are moving to it."""


class Addresses(Answer):
    """All local addresses."""

    items: tuple[Address, ...]


class Event(Answer):
    """One thing that happened."""

    seq: int
    """Grows by one each time; also the id of the event in the stream."""
    at: float
    """When, in seconds since the epoch."""
    kind: str
    sa: str | None
    """The IKE SA it is about."""
    connection: str | None
    """The connection it is about."""
    text: str
    """One line for people."""
    data: dict[str, str | int | float | bool | None]
    """The same for programs."""


class EventPage(Answer):
    """A page of events that are still kept, newest first."""

    items: tuple[Event, ...]
    before: int | None
    """Ask with this as `before` for the next page; null on the last."""


class Caller(Answer):
    """Who asks."""

    name: str
    scope: Scope
    """What they may do: `metrics`, `read`, `operate`, `configure` or `admin`; each allows those before it."""


class Counters(Answer):
    """Everything that is counted; every drop has its reason."""

    counters: dict[str, int]


class Liveness(Answer):
    """The daemon lives."""

    live: bool


class Readiness(Answer):
    """The daemon can do its work."""

    ready: bool


class Health(Answer):
    """How the daemon is."""

    live: bool
    ready: bool
    reasons: tuple[str, ...]
    """Why it is not ready."""
    version: str
    uptime_s: float


class Accepted(Answer):
    """An order was taken. What comes of it is seen in the events."""

    order: str
    """What was ordered."""
    target: str
    """Of what."""


class MoveOrder(Order):
    """Use this pair from now on. What is left out is chosen by policy."""

    local: Ip | None = None
    """Our address."""
    remote: Ip | None = None
    """The peer's address."""


class AwayOrder(Order):
    """Be away; the peer may grant less."""

    span_s: Annotated[int, Field(ge=1, le=365 * 86_400)]
    """For so many seconds at most."""


class RekeyOrder(Order):
    """Give an SA new keys."""

    children: StrictBool = False
    """Each of its Child SAs instead of the IKE SA itself."""


class RedirectOrder(Order):
    """Go on to another gateway."""

    to: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=253)], ...], Field(min_length=1, max_length=8)]
    """Addresses or host names; the first of the family in use is told, or a name."""


class ChildOrder(Order):
    """Open a Child SA."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    """Which of those that the connection names."""


class LinkOrder(Order):
    """Avoid a link, or use it as the configuration says again."""

    avoid: StrictBool


class ExplainQuery(Asked):
    """What is to be supposed."""

    without: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """A link or an address of ours that is to be thought away."""


class AddressOrder(Order):
    """Plug or unplug a local address, as if its cable were."""

    available: StrictBool
    """Can it be used from now on?"""
    announce: StrictBool = True
    """Tell the control plane at once; false: it has to find out by silence, as with a broken path."""


class IkeSaQuery(Asked):
    """Which part of the list."""

    limit: Annotated[int, Field(ge=1, le=1000)] | Left = None
    """At most so many; 100 where nothing is said, and all in a stream of lines."""
    after: Annotated[str, Field(max_length=128)] | Left = None
    """From behind here: `after` of the page before."""
    connection: Annotated[str, Field(max_length=64)] | Left = None
    """Of this connection only."""
    state: Literal["established", "updating", "waiting", "away"] | Left = None
    role: Literal["initiator", "responder"] | Left = None
    transport: Literal["udp", "tcp"] | Left = None
    local: Ip | Left = None
    """Those that use this address of ours."""
    remote: Ip | Left = None
    """Those whose peer is at this address."""
    fields: Annotated[str, Field(pattern=fields_pattern(FIELDS), max_length=256)] | Left = None
    """Only these members of each, with commas between: `id,state,local`."""


class EventQuery(Asked):
    """Which of the events that are kept."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """At most so many."""
    before: Annotated[int, Field(ge=1, le=1 << 62)] | Left = None
    """Older than this: `before` of the page before."""
    sa: Annotated[str, Field(pattern=r"^[0-9A-Za-z._:-]{1,64}$")] | Left = None
    """About this IKE SA."""
    connection: Annotated[str, Field(max_length=64)] | Left = None
    """About this connection."""
    kind: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}(,[a-z0-9-]{1,32}){0,31}$")] | Left = None
    """Of these kinds, with commas between: `moved,peer-moved`."""
