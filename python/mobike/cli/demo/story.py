"""What the demo tells: the networks, the acts, and what each act allows to be lost. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from mobike.address import Nanos

GATEWAY = "127.0.1.1"
GATEWAY_INNER = "10.99.0.1"
POOL = "10.99.1.0/24"
PINGS_PER_SECOND = 100
IN_FLIGHT = 50_000_000
"""Nanoseconds a ping may be under way on this machine: one sent so long before its cable is pulled may die with it."""

FOLLOWING = 5_000_000
"""Nanoseconds from an end's decision until its data plane has followed."""


@dataclass(frozen=True, slots=True)
class Network:
    """A place where the client can be. The rank is the operator's: the lowest that works is used."""

    name: str
    address: str
    rank: int
    colour: str


WIFI = Network("wifi", "127.0.2.1", 2, "cyan")
LTE = Network("lte", "127.0.3.1", 1, "green")
CAFE = Network("cafe", "127.0.4.1", 3, "magenta")
NETWORKS = (WIFI, LTE, CAFE)


class Kind(Enum):
    """Which of the two comes first."""

    MAKE_BEFORE_BREAK = "make before break"
    BREAK_BEFORE_MAKE = "break before make"


@dataclass(slots=True)
class Act:
    """One move: what was to happen, and what was seen of it. Times are on the machine's monotonic clock."""

    kind: Kind
    start: Network
    goal: Network
    pulled: Nanos | None = None
    """When the cable of `start` was pulled."""
    moved: Nanos | None = None
    """When the gateway had answered the client's update."""
    followed: Nanos | None = None
    """When the gateway had its cookie back from there, and began to send its own traffic there."""
    took_ms: float | None = None
    why: str = ""

    def may_lose(self, sent: Nanos) -> bool:
        """May a ping sent then be lost? Only while the old network is dead and not both ends use the new one."""
        if self.kind is Kind.MAKE_BEFORE_BREAK or self.pulled is None or self.moved is None:
            return False
        agreed = max(self.moved, self.followed or self.moved)
        return self.pulled - IN_FLIGHT <= sent <= agreed + FOLLOWING


@dataclass(frozen=True, slots=True)
class Sample:
    """One ping, as the client's process reports it."""

    number: int
    sent: Nanos
    answered: Nanos | None

    @property
    def lost(self) -> bool:
        return self.answered is None


@dataclass(slots=True)
class Verdict:
    """What the table says, and whether the demo has failed."""

    sent: int
    lost: int
    lost_in_act: list[int]
    unexcused: list[Sample] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.unexcused and not self.complaints


def judge(acts: Sequence[Act], samples: Iterable[Sample], repeated: int) -> Verdict:
    """Every lost ping needs an act that allows it; every act needs its move."""
    samples = list(samples)
    lost = [sample for sample in samples if sample.lost]
    unexcused = [sample for sample in lost if not any(act.may_lose(sample.sent) for act in acts)]
    verdict = Verdict(len(samples), len(lost), [_lost_around(act, lost) for act in acts], unexcused)
    for act in acts:
        if act.moved is None:
            verdict.complaints.append(f"the tunnel never moved from {act.start.name} to {act.goal.name}")
    if not samples:
        verdict.complaints.append("no ping was ever sent")
    if repeated:
        verdict.complaints.append(f"{repeated} pings were answered twice")
    if unexcused:
        numbers = ", ".join(str(sample.number) for sample in unexcused[:10])
        verdict.complaints.append(f"{len(unexcused)} pings were lost that should not have been (number {numbers})")
    return verdict


def _lost_around(act: Act, lost: Iterable[Sample]) -> int:
    moments = [moment for moment in (act.pulled, act.moved) if moment is not None]
    if not moments:
        return 0
    return sum(min(moments) - IN_FLIGHT <= sample.sent <= max(moments) + IN_FLIGHT for sample in lost)
