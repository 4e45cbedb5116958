"""What the kernel holds, and what it should hold: SAs and policies. Pure; everything else here talks in these words.

How ours are told from those of others, also after a crash:

* SAs by their reqid, which is in `OUR_REQIDS`. The kernel's own and other daemons' count up from 1 or from 16,384.
* Policies by their priority, which is in `OUR_PRIORITIES`; those that protect name a reqid of ours besides. Those that
  let pass have `SPARED_PRIORITY`.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from mobike.address import Ip
from mobike.dataplane.operations import Volumes
from mobike.dataplane.xfrm.selectors import ANY_LANE, Lane, Mark, Selector
from mobike.dataplane.xfrm.suites import Suite
from mobike.dataplane.xfrm.uapi import Dir

OUR_REQIDS: Final = range(0x4D42_0000, 0x4E42_0000)
"""Sixteen million: one for each set of selectors in use."""

_MOST_SPECIFIC: Final = (128 + 128) * 5 + 4
OUR_PRIORITIES: Final = range(45_550, 45_550 + 2 * (_MOST_SPECIFIC + 1))
"""Smaller numbers come first; those of other daemons are larger."""

SPARED_PRIORITY: Final = OUR_PRIORITIES.start - 1
"""Of policies that let pass what a host needs to reach anything: before all others of ours."""

TRAP_REQIDS: Final = range(OUR_REQIDS.stop - 0x1_0000, OUR_REQIDS.stop)
"""Of these, one each time that traffic is waited for. A kernel that has asked for an SA does not ask again for half a
minute (`net.core.xfrm_acq_expires`), unless it is for another reqid."""

ANCHOR_PRIORITY: Final = 1
"""Of the policies that XFRM_MSG_MIGRATE wants to see, and that no packet matches."""

SEQUENCE_JUMP: Final = 256
"""What a counter of sent packets is ahead after it was read: packets may have been on their way through the kernel.
Less than the replay window that we ask for, so that what is late on the old path still comes in."""

BOUND_PACKETS: Final = 256
BOUND_OCTETS: Final = 256 * 512
"""What an SA may still send while it moves and nothing blocks; of octets, because of packets that the kernel numbers in
pieces, of half a kilobyte and more."""

BOUND_JUMP: Final = 768
"""More than those together, and less than the replay window."""

MOST_CALM_PACKETS: Final = 16
MOST_CALM_OCTETS: Final = 8192
"""What may be sent between two looks, one right after the other, for the rest to be done in time."""

REPLAY_WINDOW: Final = 1024
"""Packets: at ten thousand a second, those of a tenth of a second."""


UNLIMITED: Final = Volumes()

BOUNDED: Final = Volumes(hard_bytes=1, hard_packets=1)
"""Stands for limits that hold while an SA moves: they follow from what it has sent."""


class Encap(NamedTuple):
    """UDP around ESP (RFC 3948), with the ports as the packets of this SA carry them."""

    source_port: int
    destination_port: int


class SaKey(NamedTuple):
    """How the kernel finds an SA."""

    destination: Ip
    spi: int

    def __hash__(self) -> int:
        return self.spi


class SaName(NamedTuple):
    """One direction of a Child SA, wherever it goes: what stays the same in a move."""

    child: int
    inbound: bool


class Sa(NamedTuple):
    """One direction of a Child SA, without keys."""

    inbound: bool
    spi: int
    source: Ip
    destination: Ip
    reqid: int
    suite: Suite
    encap: Encap | None
    volumes: Volumes = UNLIMITED
    interface: int = 0
    """`if_id`: of the XFRM interface that it belongs to; 0: none."""
    mark: Mark | None = None
    output_mark: Mark | None = None
    """Set on what has been encapsulated, for the rules that route it."""
    transport_mode: bool = False

    @property
    def key(self) -> SaKey:
        return SaKey(self.destination, self.spi)


@dataclass(frozen=True, slots=True)
class Scope:
    """What SAs and policies of a connection have beside what was agreed with its peer."""

    lane: Lane = ANY_LANE
    output_mark: Mark | None = None
    """Set on what has been encapsulated."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Of sequence numbers: what was sent, what was received, and which of the last ones were."""

    sent: int = 0
    received: int = 0
    window: tuple[int, ...] = ()
    """Words of the bitmap as the kernel keeps them; empty: none was received."""


class Action(Enum):
    """What becomes of packets that a policy is about."""

    PROTECT = "protect"
    BLOCK = "block"
    PASS = "pass"  # noqa: S105 - of packets, not of persons


class Template(NamedTuple):
    """By which SAs a policy protects. Of inbound policies only the reqid counts: so they survive moves."""

    reqid: int
    source: Ip | None = None
    destination: Ip | None = None
    """None: wherever."""
    transport_mode: bool = False
    """Then the kernel goes by the addresses of the packet, and these are for us."""


class PolicyKey(NamedTuple):
    """How the kernel finds a policy: there is one of each key."""

    direction: Dir
    selector: Selector
    """With its lane."""

    @property
    def interface(self) -> int:
        """`if_id`; 0: none."""
        return self.selector.lane.interface

    @property
    def mark(self) -> Mark | None:
        return self.selector.lane.mark


class Policy(NamedTuple):
    """What becomes of the packets of a selector."""

    key: PolicyKey
    action: Action
    priority: int
    template: Template | None = None
    """Where it protects."""


@dataclass(frozen=True, slots=True)
class SaSeen:
    """An SA as the kernel shows it."""

    sa: Sa
    counters: Counters
    packets: int
    octets: int
    used_at: int
    """Seconds since 1970 by the kernel's clock; 0: never."""
    keys_hidden: bool = False
    """It shows zeros where keys are (lockdown)."""

    @property
    def ours(self) -> bool:
        return self.sa.reqid in OUR_REQIDS


@dataclass(frozen=True, slots=True)
class PolicySeen:
    """A policy as the kernel shows it."""

    policy: Policy
    index: int

    @property
    def ours(self) -> bool:
        policy = self.policy
        if policy.action is Action.PASS:
            return policy.priority == SPARED_PRIORITY
        if policy.priority not in OUR_PRIORITIES and policy.priority != ANCHOR_PRIORITY:
            return False
        return policy.action is Action.BLOCK or (policy.template is not None and policy.template.reqid in OUR_REQIDS)


Seen: TypeAlias = SaSeen | PolicySeen


def priority_of(selector: Selector, action: Action) -> int:
    """The narrower a selector, the earlier it is asked; of equals one that protects comes before one that blocks."""
    prefixes = selector.source.prefixlen + selector.destination.prefixlen
    ports = bool(selector.source_ports.mask) + bool(selector.destination_ports.mask)
    specific = 5 * prefixes + 2 * bool(selector.protocol) + ports
    return OUR_PRIORITIES.start + 2 * (_MOST_SPECIFIC - specific) + (action is Action.BLOCK)
