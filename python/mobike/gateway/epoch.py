"""The time of day of moments on the monotonic clock."""

import time
from collections.abc import Callable
from typing import Final

from mobike.address import Nanos

STEP: Final = 500_000_000
"""Nanoseconds by which the clock must have been set before anything looks different."""


class Epoch:
    """Says the same of a moment each time, so that what has not changed looks the same; unless the clock was set."""

    def __init__(
        self, clock: Callable[[], int] = time.time_ns, monotonic: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._offset = clock() - monotonic()

    def of(self, at: Nanos) -> float:
        """Seconds since the epoch."""
        offset = self._clock() - self._monotonic()
        if abs(offset - self._offset) > STEP:
            self._offset = offset
        return (at + self._offset) / 1e9
