"""Measures connections: what happened how often, and how long exchanges and moves took. Nothing grows with SAs."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Final, Protocol

from mobike.address import Nanos, SaId
from mobike.events import Event, Moved, PathChecked
from mobike.facade.readings import Reading, Spread
from mobike.fleet import Note

BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""From a round trip within a room to one that was repeated until nearly all hope was gone."""


class Switches(Protocol):
    """The part of the fleet that is looked at."""

    def switched(self, sa: SaId) -> tuple[str, Nanos | None] | None: ...


class _Times:
    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._sum = 0.0

    def add(self, took: Nanos) -> None:
        seconds = took / 1e9
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self._sum += seconds

    @property
    def spread(self) -> Spread:
        return Spread(BOUNDS_S, tuple(self._counts), self._sum)


class _Measured:
    def __init__(self) -> None:
        self.happened: Counter[str] = Counter()
        self.exchanges = {"update": _Times(), "test": _Times()}
        self.switch = _Times()


class Meter:
    """Sees what each turn took and noted, when the fleet has handled it."""

    def __init__(self, fleet: Switches) -> None:
        self._fleet = fleet
        self._of: dict[str, _Measured] = {}

    def see(self, events: Sequence[Event], notes: Sequence[Note]) -> None:
        for note in notes:
            if note.connection is not None:
                count = note.data.get("sas", 1) if note.sa is None else 1
                self._measured(note.connection).happened[note.kind] += count if isinstance(count, int) else 1
        for event in events:
            if isinstance(event, Moved | PathChecked):
                self._answered(event)

    def readings(self) -> tuple[Reading, ...]:
        """Of each connection of which anything was measured."""
        return tuple(
            Reading(
                name,
                dict(each.happened),
                {kind: times.spread for kind, times in each.exchanges.items()},
                each.switch.spread,
            )
            for name, each in self._of.items()
        )

    def _answered(self, event: Moved | PathChecked) -> None:
        found = self._fleet.switched(event.sa)
        if found is None:
            return
        name, took = found
        measured = self._measured(name)
        measured.exchanges["update" if isinstance(event, Moved) else "test"].add(event.rtt)
        if isinstance(event, Moved) and took is not None:
            measured.switch.add(took)

    def _measured(self, connection: str) -> _Measured:
        found = self._of.get(connection)
        if found is None:
            found = self._of[connection] = _Measured()
        return found
