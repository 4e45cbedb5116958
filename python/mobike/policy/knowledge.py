"""What is known of pairs, as policy sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from mobike.address import Pair


class Reach(IntEnum):
    """What was last heard of a pair, best first."""

    VERIFIED = 0
    """An authenticated answer came back over it."""
    UNTRIED = 1
    SILENT = 2
    """A request was repeated on it, and nothing came back."""
    REFUSED = 3
    """The peer answered that it will not use it (UNACCEPTABLE_ADDRESSES)."""
    UNREACHABLE = 4
    """This host has no route for it: not usable until that changes."""

    @property
    def is_bad(self) -> bool:
        return self >= Reach.SILENT


class NatCost(IntEnum):
    """Whether the pair is translated on its way: then it needs keepalives and UDP encapsulation."""

    NONE = 0
    UNKNOWN = 1
    TRANSLATED = 2


@dataclass(frozen=True, slots=True)
class PairFact:
    """What is known of one pair."""

    reach: Reach = Reach.UNTRIED
    nat: NatCost = NatCost.UNKNOWN


UNTRIED = PairFact()

Knowledge: TypeAlias = Mapping[Pair, PairFact]
"""A pair that is not there was never tried."""
