"""One clock, one queue, one seed."""

import heapq
from collections.abc import Callable
from random import Random
from typing import Final

from mobike.address import Nanos

MS: Final = 1_000_000
"""Nanoseconds in a millisecond."""
SECOND: Final = 1_000 * MS

MOST_STEPS_AT_ONCE: Final = 1_000_000
"""Steps without the clock moving: beyond that, two parts of the world keep each other busy for ever."""


class TimeStandsStill(RuntimeError):
    """Steps follow each other and the clock does not move."""


class World:
    """What happens next. Steps due at the same moment happen in the order in which they were asked for."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = Nanos(0)
        self.steps = 0
        self._order = 0
        self._at_once = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []

    def chance(self, name: str) -> Random:
        """A stream of chance of its own: what one part draws does not change what another draws."""
        return Random(f"{self.seed}/{name}")

    def at(self, when: int, step: Callable[[], None]) -> None:
        """Do it then; at once if that is past."""
        self._order += 1
        heapq.heappush(self._queue, (max(when, self.now), self._order, step))

    def after(self, span: int, step: Callable[[], None]) -> None:
        self.at(self.now + span, step)

    def run_until(self, end: int) -> None:
        """Step by step, to this moment and no further."""
        while self._queue and self._queue[0][0] <= end:
            when, _, step = heapq.heappop(self._queue)
            self._at_once = self._at_once + 1 if when == self.now else 0
            if self._at_once > MOST_STEPS_AT_ONCE:
                raise TimeStandsStill(f"{MOST_STEPS_AT_ONCE:,} steps at {when / SECOND:.6f} s; the next is {step}")
            self.now = Nanos(when)
            self.steps += 1
            step()
        self.now = Nanos(max(self.now, end))
