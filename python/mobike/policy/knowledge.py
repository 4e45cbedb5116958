"""What is known of pairs, as policy sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from mobike.address import Nanos, Pair

_SECOND = 1_000_000_000

REST = 2 * _SECOND
"""A pair that worked and then did not is not returned to for so long, twice as long the next time, and so on: a path
that comes and goes would throw the tunnel about."""
MOST_LAPSES = 6
"""Counted: the longest rest is about a minute."""
FORGIVEN = 30 * _SECOND
"""One lapse is forgotten in so long."""


class Reach(IntEnum):
    """What was last heard of a pair, best first."""

    VERIFIED = 0
    """An authenticated answer came back over it."""
    WORKED = 1
    """The same, but long ago."""
    UNTRIED = 2
    FADED = 3
    """It failed, but long ago: worth a try before one that failed just now, no reason to leave one that works."""
    SILENT = 4
    """A request was repeated on it, and nothing came back."""
    ONE_WAY = 5
    """Path probes say that one direction works and the other does not: no request is answered there."""
    REFUSED = 6
    """The peer answered that it will not use it (UNACCEPTABLE_ADDRESSES)."""
    UNREACHABLE = 7
    """This host has no route for it: not usable until that changes."""
    INTO_TUNNEL = 8
    """This host's route for it leads into one of our own tunnels: likewise."""

    @property
    def is_routed(self) -> bool:
        """As far as is known, a packet sent on it would go towards the peer."""
        return self < Reach.UNREACHABLE

    @property
    def is_bad(self) -> bool:
        return self >= Reach.FADED


class NatCost(IntEnum):
    """Whether the pair is translated on its way: then it needs keepalives and UDP encapsulation."""

    NONE = 0
    UNKNOWN = 1
    TRANSLATED = 2


@dataclass(frozen=True, slots=True)
class Measured:
    """What path probes tell of a pair (docs/extensions/path-probes.md)."""

    at: Nanos
    forward: bool
    """What we send there arrives."""
    backward: bool
    """What the peer sends from there arrives."""
    rtt: Nanos | None
    loss_permille: int

    @property
    def reach(self) -> Reach:
        if self.forward and self.backward:
            return Reach.VERIFIED
        return Reach.ONE_WAY if self.forward or self.backward else Reach.SILENT

    def __str__(self) -> str:
        ways = {
            (True, True): "both ways",
            (True, False): "there but not back",
            (False, True): "back but not there",
            (False, False): "neither way",
        }
        said = [f"works {ways[self.forward, self.backward]}"]
        said += [f"round trip {self.rtt / 1e6:.1f} ms"] if self.rtt is not None and self.backward else []
        said += [f"loses {self.loss_permille / 10:.0f} %"] if self.loss_permille and self.forward else []
        return ", ".join(said)


@dataclass(frozen=True, slots=True)
class Lapses:
    """How often a pair worked and then did not, of late."""

    count: int
    at: Nanos
    """Of the last one."""

    def again(self, now: Nanos) -> "Lapses":
        """One more. One is forgiven each while."""
        left = max(0, self.count - (now - self.at) // FORGIVEN)
        return Lapses(min(left + 1, MOST_LAPSES), now)

    @property
    def rests_until(self) -> Nanos:
        """Until then no working pair is left for this one: it would soon be left again."""
        return Nanos(self.at + (REST << self.count) // 2) if self.count else Nanos(0)


@dataclass(frozen=True, slots=True)
class PairFact:
    """What is known of one pair."""

    reach: Reach = Reach.UNTRIED
    nat: NatCost = NatCost.UNKNOWN
    at: Nanos = Nanos(0)  # noqa: RUF009
    """When that was seen last."""
    measured: Measured | None = None
    """None: nobody has probed it."""
    lapses: Lapses = Lapses(0, Nanos(0))

    def followed_by(self, reach: Reach, nat: NatCost, at: Nanos, measured: Measured | None) -> "PairFact":
        """What is known once this was seen."""
        lapsed = self.reach is Reach.VERIFIED and reach in (Reach.SILENT, Reach.ONE_WAY)
        return PairFact(reach, nat, at, measured, self.lapses.again(at) if lapsed else self.lapses)

    def measured_lately(self, now: Nanos) -> Measured | None:
        """What probes say of it, if somebody still watches it."""
        measured = self.measured
        return measured if measured is not None and now - measured.at <= MEASURED_FOR else None


UNTRIED = PairFact()

Knowledge: TypeAlias = Mapping[Pair, PairFact]
"""A pair that is not there was never tried."""


VERIFIED_FOR = 600 * _SECOND
"""A success counts as fresh for so long."""
SILENT_FOR = 60 * _SECOND
"""A silence counts as fresh for so long: most outages of a path are shorter."""
REFUSED_FOR = 600 * _SECOND
"""A peer that says no means it for longer than a path that is silent."""
MEASURED_FOR = 90 * _SECOND
"""What probes say counts for so long: who watches a pair says it again each half minute."""


def aged(fact: PairFact, now: Nanos, *, in_use: bool) -> Reach:
    """What a result is worth now (draft-ietf-multi6-failure-detection-00 section 5.3: results, and their age).

    The pair in use is watched by the core all the time: its success does not grow old, and a silence that is not told
    again is over.
    """
    age = now - fact.at
    if fact.reach is Reach.VERIFIED and age > VERIFIED_FOR and not in_use:
        return Reach.WORKED
    if fact.reach in (Reach.SILENT, Reach.ONE_WAY) and age > SILENT_FOR:
        return Reach.UNTRIED if in_use else Reach.FADED
    if fact.reach is Reach.REFUSED and age > REFUSED_FOR:
        return Reach.FADED
    return fact.reach
