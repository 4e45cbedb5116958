"""Facts: what the core, the links, the data plane and the operator tell the fleet.

Events of the core mirror `rust/ike/src/event.rs` name by name; `rust/py` builds them in batches. Nothing here decides.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from mobike.address import ChildId, Generation, Ip, Nanos, Pair, Path, SaId, Token
from mobike.handout import NOTHING, Handout


class Role(Enum):
    """Who began the IKE SA. It stays with that end when the SA is rekeyed (RFC 4555 section 1.3)."""

    INITIATOR = "initiator"
    RESPONDER = "responder"


class Nat(Enum):
    """What the NAT detection payloads said of a path (RFC 7296 section 2.23)."""

    NONE = "none"
    WE_ARE_BEHIND = "we-are-behind"
    PEER_IS_BEHIND = "peer-is-behind"
    BOTH_ARE_BEHIND = "both-are-behind"


# --- the core: one IKE SA ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IkeSaUp:
    """An IKE SA is established and both ends are authenticated."""

    sa: SaId
    token: Token | None
    """Whose `Connect` made it; None where the peer began."""
    connection: str
    role: Role
    path: Path
    nat: Nat
    peer_id: str
    mobike: bool
    peer_addresses: tuple[Ip, ...]
    virtual_ips: tuple[Ip, ...]
    """Leased to the peer (responder) or to us (initiator)."""
    spi_i: int
    spi_r: int
    suite: str
    extensions: tuple[str, ...] = ()
    """Private extensions that both ends offered."""
    handout: Handout = NOTHING
    """What came with the addresses leased to us."""
    generation: int = 0
    """Of the standing orders that it came up under."""


@dataclass(frozen=True, slots=True)
class Authorise:
    """A peer has signed with the key of its first certificate: may it in? Its IKE SA waits for `Allow` or `Deny`, some
    seconds long; then it is refused."""

    sa: SaId
    question: int
    connection: str
    role: Role
    """Ours."""
    peer_id: str
    id_kind: int
    """Of its ID payload (RFC 7296 section 3.5)."""
    id_data: bytes
    certificates: tuple[bytes, ...]
    """X.509 in DER, as they came: its own first."""
    path: Path
    staples: tuple[bytes, ...] = ()
    """OCSP responses in DER that came with them (RFC 4806)."""


@dataclass(frozen=True, slots=True)
class EapAsked:
    """An EAP packet of a peer: what comes next? Its IKE SA waits for `EapSend`, `EapDone` or `EapFail`, some seconds
    long; then the peer is refused."""

    sa: SaId
    question: int
    connection: str
    role: Role
    """Ours: the initiator answers requests, the responder makes them."""
    peer_id: str
    """Who the peer says it is in its ID payload, which is not who EAP proves it to be."""
    packet: bytes | None = field(repr=False)
    """What it said (RFC 3748 section 4); None: the responder begins."""
    path: Path


Question: TypeAlias = Authorise | EapAsked
"""What the core wants to know of whoever judges peers; no fact for the fleet."""


@dataclass(frozen=True, slots=True)
class IkeSaResumed:
    """An IKE SA of an earlier process goes on here, with the same id and SPIs. Its Child SAs are told next."""

    up: IkeSaUp
    """As it is now; nobody's order is behind it any more."""
    agreed: bool
    """Both ends agreed on the path; if not, the peer has yet to answer, or to prove that it is there."""
    sure: bool
    """It was parked in order, and not long ago: the peer knows what we know. If not, the core tests that first."""
    notes: bytes
    """What the fleet wrote down with it."""


@dataclass(frozen=True, slots=True)
class IkeSaDown:
    """An IKE SA and all its Child SAs are gone."""

    sa: SaId
    why: str


@dataclass(frozen=True, slots=True)
class IkeSaRekeyed:
    """An IKE SA has new keys and SPIs. Its name, path, Child SAs and all that was agreed are the same."""

    sa: SaId
    spi_i: int
    """Of the end that asked for it, which need not be the one that set the IKE SA up."""
    spi_r: int
    suite: str
    by_us: bool


@dataclass(frozen=True, slots=True)
class Redirected:
    """The gateway asks us to go to another one (RFC 5685 section 5). The SA stays until it is closed."""

    sa: SaId
    to: str


@dataclass(frozen=True, slots=True)
class Row:
    """One part of a refusal."""

    what: str
    theirs: tuple[str, ...]
    """What the peer offers or says; none: nothing."""
    ours: tuple[str, ...]
    """What we take; none: nothing."""
    fits: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the peer asked for, beside what we take: the first row that does not fit is why we refused."""

    reason: str
    """Its name, for programs."""
    connection: str | None
    """Whose standing orders come closest."""
    peer_id: str | None
    """Who the peer says it is."""
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """A `Connect` gave up."""

    token: Token
    why: str
    tried: tuple[Path, ...]
    redirected_to: str | None = None
    """The gateway at the last of these paths sends us on to this one (RFC 5685)."""
    compared: Comparison | None = None
    """Where it was we who refused."""
    reason: str = ""
    """The name of why, for programs."""


@dataclass(frozen=True, slots=True)
class ChildUp:
    """A Child SA exists. The userspace plane already has its keys; they never come here."""

    sa: SaId
    child: ChildId
    name: str
    """Which of the connection's Child SAs it is."""
    spi_in: int
    spi_out: int
    suite: str
    local_ts: tuple[str, ...]
    remote_ts: tuple[str, ...]
    encap: bool
    transport_mode: bool = False
    """Not a tunnel: it carries what both ends send to each other."""


@dataclass(frozen=True, slots=True)
class ChildFailed:
    """A Child SA that was to be opened is not there, and is not asked for again."""

    sa: SaId
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class ChildDown:
    """A Child SA is gone."""

    sa: SaId
    child: ChildId
    why: str
    packets_in: int = 0
    """What it carried; nothing where the userspace plane does not."""
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


# --- the core: paths -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moved:
    """Our UPDATE_SA_ADDRESSES was answered: the peer has moved (RFC 4555 section 3.5)."""

    sa: SaId
    path: Path
    generation: Generation
    nat: Nat
    rtt: Nanos


@dataclass(frozen=True, slots=True)
class MoveRefused:
    """The peer answered UNACCEPTABLE_ADDRESSES: it has not moved."""

    sa: SaId
    path: Path
    generation: Generation


@dataclass(frozen=True, slots=True)
class PathSilent:
    """A request of ours on this path was sent again and again, and nothing came back."""

    sa: SaId
    path: Path
    generation: Generation
    tries: int
    unanswered_for: Nanos


@dataclass(frozen=True, slots=True)
class PathChecked:
    """A probe on this path was answered."""

    sa: SaId
    path: Path
    generation: Generation
    rtt: Nanos


@dataclass(frozen=True, slots=True)
class PairSeen:
    """What path probes tell of a pair: news, or the same again now and then (docs/extensions/path-probes.md)."""

    sa: SaId
    path: Path
    forward: bool
    """What we send there arrives."""
    backward: bool
    """What the peer sends from there arrives."""
    rtt: Nanos | None
    loss_permille: int


@dataclass(frozen=True, slots=True)
class PathHeard:
    """Authenticated data came in over this path after it was told to be silent: it lives."""

    sa: SaId
    path: Path


@dataclass(frozen=True, slots=True)
class PeerMoved:
    """The initiator moved the SA here; `verified` says whether it has echoed our COOKIE2 from there."""

    sa: SaId
    path: Path
    nat: Nat
    verified: bool


@dataclass(frozen=True, slots=True)
class PeerAddresses:
    """The peer's list of further addresses, most preferred first; it replaces the one before.

    `source`, where it came from, is one more address of the peer, which the list leaves out (RFC 4555 section 3.6).
    """

    sa: SaId
    addresses: tuple[Ip, ...]
    source: Ip


@dataclass(frozen=True, slots=True)
class NatChanged:
    """The peer sees us at another address than it did: a NAT came, went, or forgot us."""

    sa: SaId
    path: Path
    nat: Nat


@dataclass(frozen=True, slots=True)
class WentAway:
    """The peer gave us leave to be away: it keeps the IKE SA for `span`, and nothing is sent until we move."""

    sa: SaId
    span: int


@dataclass(frozen=True, slots=True)
class AwayRefused:
    """We cannot be away; the SA stays as it is."""

    sa: SaId
    why: str


@dataclass(frozen=True, slots=True)
class PeerAway:
    """The peer is away for at most `span` nanoseconds; `PeerMoved` tells that it is back."""

    sa: SaId
    span: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something was refused or odd; one line for a person. Limited in rate by the core."""

    kind: str
    text: str
    sa: SaId | None
    path: Path | None
    compared: Comparison | None = None
    """Of a refusal."""


# --- links ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddressAdded:
    """A local address can be used (RFC 4621 section 2: "available"); told again when it changes how well."""

    ip: Ip
    link: str
    deprecated: bool = False
    """IPv6: its preferred lifetime is over (RFC 4862 section 5.5.4)."""
    optimistic: bool = False
    """IPv6: it may still turn out to be somebody else's (RFC 4429)."""


@dataclass(frozen=True, slots=True)
class AddressRemoved:
    """A local address is gone, or its link is down."""

    ip: Ip
    link: str


@dataclass(frozen=True, slots=True)
class RouteAnswer:
    """The kernel was asked for a route to `remote` from `local`: is there one?"""

    pair: Pair
    reachable: bool
    into_tunnel: bool = False
    """There is one, but it leads into one of our own tunnels; `reachable` is false then."""


@dataclass(frozen=True, slots=True)
class RoutesChanged:
    """A route came or went: what was asked before may be answered differently now."""


# --- the data plane ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SaMoved:
    """The data plane now sends the Child SAs of `sa` over `path`."""

    sa: SaId
    path: Path


@dataclass(frozen=True, slots=True)
class TrafficWaits:
    """A packet, and maybe others like it, found no Child SA that carries it, and was dropped. Told seldom: one word for
    many packets."""

    source: Ip
    destination: Ip
    protocol: int = 0
    source_port: int = 0
    """0: it does not show any."""
    destination_port: int = 0


@dataclass(frozen=True, slots=True)
class PlaneRefused:
    """The data plane could not do what it was told."""

    sa: SaId
    why: str


# --- the operator --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OperatorUp:
    """Bring this connection up and keep it up."""

    connection: str


@dataclass(frozen=True, slots=True)
class OperatorDown:
    """Take this connection's SAs down and keep them down."""

    connection: str


@dataclass(frozen=True, slots=True)
class OperatorClose:
    """Close this one SA."""

    sa: SaId


@dataclass(frozen=True, slots=True)
class OperatorMove:
    """Use this pair from now on; either half may be left to policy."""

    sa: SaId
    local: Ip | None
    remote: Ip | None


@dataclass(frozen=True, slots=True)
class OperatorProbe:
    """Ask the peer of this SA for a sign of life now, over the path in use."""

    sa: SaId


@dataclass(frozen=True, slots=True)
class OperatorRekey:
    """Give this SA new keys now: the IKE SA, or each of its Child SAs."""

    sa: SaId
    children: bool


@dataclass(frozen=True, slots=True)
class OperatorReauth:
    """Set up another IKE SA in the place of this one, with new proofs."""

    sa: SaId


@dataclass(frozen=True, slots=True)
class OperatorRedirect:
    """Send the peer of this SA on to one of these gateways."""

    sa: SaId
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OperatorDrain:
    """Send all peers on to one of these gateways, those that ask and those that have an SA; nowhere: serve them."""

    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OperatorOpenChild:
    """Open a Child SA of this SA that its connection names."""

    sa: SaId
    name: str


@dataclass(frozen=True, slots=True)
class OperatorCloseChild:
    """Close one Child SA of this SA."""

    sa: SaId
    child: ChildId


@dataclass(frozen=True, slots=True)
class OperatorUnpin:
    """Take an `OperatorMove` back: policy chooses again."""

    sa: SaId


@dataclass(frozen=True, slots=True)
class OperatorAway:
    """Be away with the SAs of this connection, for `span` nanoseconds at most (docs/extensions/away.md)."""

    connection: str
    span: int


@dataclass(frozen=True, slots=True)
class OperatorBack:
    """Come back with those of them that are away."""

    connection: str


@dataclass(frozen=True, slots=True)
class OperatorAvoid:
    """Use this link only where nothing else is left; or, with `avoid` false, as the rules say again."""

    link: str
    avoid: bool


CoreEvent: TypeAlias = (
    IkeSaUp
    | IkeSaResumed
    | IkeSaDown
    | IkeSaRekeyed
    | Redirected
    | ConnectFailed
    | ChildUp
    | ChildFailed
    | ChildDown
    | Moved
    | MoveRefused
    | PathSilent
    | PathChecked
    | PairSeen
    | PathHeard
    | PeerMoved
    | PeerAddresses
    | NatChanged
    | WentAway
    | AwayRefused
    | PeerAway
    | Notice
)
LinkEvent: TypeAlias = AddressAdded | AddressRemoved | RouteAnswer | RoutesChanged
PlaneEvent: TypeAlias = SaMoved | PlaneRefused | TrafficWaits
OperatorEvent: TypeAlias = (
    OperatorUp
    | OperatorDown
    | OperatorClose
    | OperatorMove
    | OperatorProbe
    | OperatorRekey
    | OperatorReauth
    | OperatorRedirect
    | OperatorDrain
    | OperatorOpenChild
    | OperatorCloseChild
    | OperatorUnpin
    | OperatorAway
    | OperatorBack
    | OperatorAvoid
)
Event: TypeAlias = CoreEvent | LinkEvent | PlaneEvent | OperatorEvent
