"""The data plane of a simulated host: userspace ESP that an operator of the world can make refuse, or be late."""

from collections.abc import Callable, Sequence
from functools import partial

from mobike.dataplane.operations import Operation
from mobike.events import PlaneEvent, PlaneRefused
from mobike.sim.world import World


class SimPlane:
    """Carries operations out in the order in which they came, however late."""

    def __init__(self, world: World, submit: Callable[[Sequence[Operation]], None], wake: Callable[[], None]) -> None:
        self.refuses = False
        self.delay = 0
        """Nanoseconds from an operation to its effect."""
        self.awaited = 0
        """Operations whose effect is still to come."""
        self._world = world
        self._submit = submit
        self._wake = wake
        self._free_at = 0
        self._waiting: list[Sequence[Operation]] = []
        self._events: list[PlaneEvent] = []

    def apply(self, operations: Sequence[Operation]) -> None:
        if not operations:
            return
        if self.refuses:
            self._events += [PlaneRefused(each.sa, "the world told it to refuse") for each in operations]
            self._wake()
        elif self.delay or self.awaited:
            self.awaited += len(operations)
            self._free_at = max(self._free_at, self._world.now + self.delay)
            self._waiting.append(operations)
            self._world.at(self._free_at, partial(self._carry_out, operations))
        else:
            self._submit(operations)

    def finish(self) -> None:
        """Carry out at once what is awaited: the process ends in order."""
        for operations in self._waiting:
            self._submit(operations)
        self.end()

    def end(self) -> None:
        """The process is no more: what is awaited will not happen."""
        self._waiting.clear()
        self.awaited = 0

    def take(self) -> list[PlaneEvent]:
        events, self._events = self._events, []
        return events

    def _carry_out(self, operations: Sequence[Operation]) -> None:
        if operations in self._waiting:
            self._waiting.remove(operations)
            self.awaited -= len(operations)
            self._submit(operations)
