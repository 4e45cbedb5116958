"""The planes of today behind one interface. A plane does what it is told and answers with events in a later turn."""

from collections.abc import Sequence
from typing import Protocol

from mobike.commands import Command
from mobike.dataplane.operations import MoveSa, Operation
from mobike.events import PlaneEvent, SaMoved


class DataPlane(Protocol):
    """Where operations go."""

    def apply(self, operations: Sequence[Operation]) -> None:
        """Carry out one batch; returns at once."""
        ...

    def take(self) -> list[PlaneEvent]:
        """What became of earlier operations; never blocks."""
        ...


class Submits(Protocol):
    """The part of the core that the userspace plane needs."""

    def submit(self, orders: Sequence[Command | Operation], /) -> None: ...


class UserspacePlane:
    """ESP in the core's own shards (rust/esp). Their answers come with the core's other events."""

    def __init__(self, core: Submits) -> None:
        self._core = core

    def apply(self, operations: Sequence[Operation]) -> None:
        if operations:
            self._core.submit(operations)

    def take(self) -> list[PlaneEvent]:
        return []


class NullPlane:
    """No ESP at all: for measuring IKE alone, and for hosts that only want the control plane."""

    def __init__(self) -> None:
        self._events: list[PlaneEvent] = []

    def apply(self, operations: Sequence[Operation]) -> None:
        moves = (operation for operation in operations if isinstance(operation, MoveSa))
        self._events += [SaMoved(operation.sa, operation.path) for operation in moves]

    def take(self) -> list[PlaneEvent]:
        events, self._events = self._events, []
        return events
