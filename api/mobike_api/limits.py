"""How often somebody may call: a bucket of calls for each caller, which fills up again as time passes."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MOST_CALLERS: Final = 4096
"""Buckets that are kept. Who is forgotten begins with a full one, so this must be more than can be busy at once."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls a second, and so many at once after a pause."""

    per_s: float
    burst: int


CALLS: Final = Rate(200, 1000)
"""Of one caller: far beyond what a page or a script needs, far below what the daemon can do."""
FAILURES: Final = Rate(2, 20)
"""Wrong tokens from one address."""


class Limiter:
    """The buckets of all callers."""

    def __init__(self, rate: Rate, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What was left, and when."""

    def take(self, caller: str) -> int | None:
        """Take one call; or the seconds until there is one."""
        now = self._clock()
        left, since = self._buckets.pop(caller, (float(self._rate.burst), now))
        left = min(float(self._rate.burst), left + (now - since) * self._rate.per_s)
        short = left < 1
        self._buckets[caller] = (left if short else left - 1, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return max(1, math.ceil((1 - left) / self._rate.per_s)) if short else None
