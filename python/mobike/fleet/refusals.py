"""Data planes that refused: they are told again, ever more rarely, until they obey or the SA is gone.

An SA whose traffic stays behind is never left so: without this, a move that the data plane refused once would be a
tunnel that is up and carries nothing.
"""

from collections.abc import Iterator
from typing import Final

from mobike.address import Nanos, SaId

FIRST_INTERVAL: Final = 100_000_000
"""Nanoseconds until the first try; doubles with each."""

LONGEST_INTERVAL: Final = 5_000_000_000

MOST_AT_ONCE: Final = 4_096
"""SAs told again in one turn."""


class Refusals:
    """By SA: when to tell its data plane again."""

    def __init__(self) -> None:
        self._due: dict[SaId, Nanos] = {}
        self._intervals: dict[SaId, int] = {}

    def refused(self, sa: SaId, now: Nanos) -> None:
        """The data plane did not do what it was told for this SA."""
        if sa not in self._due:
            self._due[sa] = Nanos(now + self._intervals.get(sa, FIRST_INTERVAL))

    def obeyed(self, sa: SaId) -> None:
        """It did, or the SA is gone."""
        self._due.pop(sa, None)
        self._intervals.pop(sa, None)

    def next_due(self) -> Nanos | None:
        return min(self._due.values(), default=None)

    def take_due(self, now: Nanos) -> Iterator[SaId]:
        """Whom to tell again now; each is told more rarely next time."""
        if not self._due:
            return
        for sa in [sa for sa, at in self._due.items() if at <= now][:MOST_AT_ONCE]:
            del self._due[sa]
            self._intervals[sa] = min(2 * self._intervals.get(sa, FIRST_INTERVAL), LONGEST_INTERVAL)
            yield sa
