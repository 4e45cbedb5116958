"""What is measured of connections, as the API sees it: counts and times, and nothing that tells who the peers are."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took, each time: a histogram."""

    bounds_s: tuple[float, ...]
    """Upper bounds, growing."""
    counts: tuple[int, ...]
    """Between them: one more than there are bounds."""
    sum_s: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured of one connection since the daemon began."""

    connection: str
    happened: Mapping[str, int]
    """Events by their kind, those that were told as one among them."""
    exchanges: Mapping[str, Spread]
    """Round trips: `update` (UPDATE_SA_ADDRESSES) and `test` (a liveness test)."""
    switch: Spread
    """From the decision to move to the peer's answer."""
