"""One connection, as the operator wants it: where its peer is, which links may carry it, and how it moves."""

from dataclasses import dataclass, field
from enum import Enum

from mobike.address import Ip, Transport
from mobike.policy.choose import OrderedPolicy, Policy
from mobike.policy.links import LinkRule
from mobike.policy.pairs import ANY_PAIR, PairRules
from mobike.policy.redirects import NOWHERE, FollowRule
from mobike.policy.schedule import MILLISECOND, RETEST, SEARCH, RetestRule, SearchRule
from mobike.selector import Traffic


class Start(Enum):
    """Who brings an initiating connection up."""

    AUTO = "auto"
    """We do, at start and after every loss."""
    NONE = "none"
    """An operator does (`mobike up`)."""
    TRAFFIC = "traffic"
    """The first packet that is for it does; after every loss the next one."""


class Switch(Enum):
    """When traffic follows a decision to move."""

    PROVEN = "proven"
    """When the peer has answered from the new pair; at once only where the old pair is known to be dead."""
    AT_ONCE = "at-once"
    """With the decision (RFC 4555 section 3.5 leaves it to us)."""


class OnRefusal(Enum):
    """What to do when the peer answers UNACCEPTABLE_ADDRESSES (RFC 4555 section 3.5)."""

    TRY_NEXT = "try-next"
    KEEP_OLD = "keep-old"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of both ends: IKE_SA_INIT begins on `ike`, all that follows is on `natt` (RFC 4555 section 3.3), and so is
    everything in TCP (RFC 9329 section 2)."""

    local_ike: int = 500
    local_natt: int = 4500
    remote_ike: int = 500
    remote_natt: int = 4500


@dataclass(frozen=True, slots=True)
class MovePolicy:
    """How an SA of this connection moves."""

    switch: Switch = Switch.PROVEN
    on_refusal: OnRefusal = OnRefusal.TRY_NEXT
    settle: int = 500 * MILLISECOND
    """How long a better link must have been there before a working pair is left for it, in nanoseconds. A flapping link
    then causes no flapping; a dead pair is left at once in any case."""


@dataclass(frozen=True, slots=True)
class Reconnect:
    """How long to wait before an SA that should be up is tried again: doubling from `initial`, in nanoseconds."""

    initial: int = 1_000 * MILLISECOND
    max: int = 60_000 * MILLISECOND


@dataclass(frozen=True, slots=True, eq=False)
class ConnectionPolicy:
    """What the control plane knows of one connection. Compared by identity: there is one for each name."""

    name: str
    initiates: bool
    """True: we begin it (role initiator). False: we wait for the peer (role responder)."""
    remotes: tuple[Ip, ...] = ()
    """Where the peer may be, best first. Empty where we wait for it."""
    ports: Ports = Ports()
    links: tuple[LinkRule, ...] = ()
    """The operator's order of links: the first rule that matches a link's name speaks for it."""
    pairs: PairRules = ANY_PAIR
    """Which addresses and families may be used at all."""
    transports: tuple[Transport, ...] = (Transport.UDP,)
    """What may go between the two ends."""
    start: Start = Start.AUTO
    wakes_on: tuple[Traffic, ...] = ()
    """Packets that bring it up, where it waits for them."""
    moves: MovePolicy = MovePolicy()
    reconnect: Reconnect = Reconnect()
    search: SearchRule = SEARCH
    retest: RetestRule = RETEST
    probe_interval: int = 1_000 * MILLISECOND
    """How often path probes poll each pair, in nanoseconds, where both ends know them; 0: never."""
    redirects: FollowRule = NOWHERE
    """Where its gateways may send us on to."""
    children: tuple[str, ...] = ()
    """Names of its Child SAs, the first one's first. Empty: it has one, called as the connection."""
    policy: Policy = field(default_factory=OrderedPolicy)
    """The plug: who ranks and chooses."""
