"""The planes of today behind one interface. A plane does what it is told and answers in a later turn."""

from collections.abc import Sequence
from typing import Protocol

from mobike.address import ChildId, Nanos
from mobike.commands import Command, Move, PlaneWord
from mobike.dataplane.operations import ChildOrder, MoveSa, Operation
from mobike.events import PlaneEvent, SaMoved
from mobike.selector import Traffic


class DataPlane(Protocol):
    """Where operations go. Nothing here blocks."""

    def wake(self, now: Nanos) -> None:
        """A turn begins: look at what has come in, and do what is due."""
        ...

    def poll_deadline(self) -> Nanos | None:
        """When `wake` is wanted next, whatever happens."""
        ...

    def fds(self) -> Sequence[int]:
        """Descriptors that are readable when a turn should be taken."""
        ...

    def carry(self, orders: Sequence[ChildOrder]) -> None:
        """Take Child SAs in and out, in this order. Only a plane outside of the core is asked. When this returns, what
        was to go is gone."""
        ...

    def foresee(self, moves: Sequence[Move]) -> None:
        """These are about to be asked of peers: take what they send over the new path, too, from now on."""
        ...

    def apply(self, operations: Sequence[Operation]) -> None:
        """Carry out one batch; returns at once."""
        ...

    def words(self) -> list[PlaneWord]:
        """What the core is to hear: answers to `carry` first of all."""
        ...

    def take(self) -> list[PlaneEvent]:
        """What became of earlier operations; never blocks."""
        ...

    def block(self, owner: str, traffic: Sequence[Traffic]) -> None:
        """This, and nothing else of the owner's, leaves protected or not at all, from now until `unblock`."""
        ...

    def unblock(self, owner: str) -> None:
        """All that was blocked for this owner, and for nobody else, may leave as it likes; nor does it wait."""
        ...

    def wait_for(self, owner: str, traffic: Sequence[Traffic]) -> None:
        """Tell of the next packet of these selectors that nothing carries (`TrafficWaits`), until `unblock`. Said again
        each time that one is waited for."""
        ...

    def remove_orphans(self) -> Sequence[str]:
        """What an earlier process left and nobody goes on with; a line for each."""
        ...

    def carried(self, child: ChildId) -> dict[str, int] | None:
        """What a Child SA has carried: `packets_in`, `bytes_in`, `packets_out`, `bytes_out`, and more by name; None if
        it is not there."""
        ...

    def close(self, *, keep: bool) -> None:
        """No more turns. `keep`: another process goes on with what is carried."""
        ...


def foreseen(commands: Sequence[Command], operations: Sequence[Operation]) -> list[Move]:
    """The moves that traffic follows only when the peer has answered."""
    at_once = {operation.sa for operation in operations}
    return [each for each in commands if isinstance(each, Move) and each.sa not in at_once]


class CorePlane(Protocol):
    """The part of the core that the userspace plane needs."""

    def submit(self, orders: Sequence[Command | Operation], /) -> None: ...

    def child_counters(self, child: ChildId, /) -> dict[str, int] | None: ...


class InCore:
    """What a plane inside of the core leaves to it: Child SAs go in and out there, and nobody hears of them here."""

    def wake(self, now: Nanos) -> None:
        pass

    def poll_deadline(self) -> Nanos | None:
        return None

    def fds(self) -> Sequence[int]:
        return ()

    def close(self, *, keep: bool) -> None:
        pass

    def carry(self, orders: Sequence[ChildOrder]) -> None:
        raise AssertionError(f"the core carries Child SAs, and yet asks for it: {orders}")

    def words(self) -> list[PlaneWord]:
        return []

    def block(self, owner: str, traffic: Sequence[Traffic]) -> None:
        """Routes do it: `inner_net`."""

    def unblock(self, owner: str) -> None:
        """The same."""

    def wait_for(self, owner: str, traffic: Sequence[Traffic]) -> None:
        """What comes into the core and finds no Child SA is told of always."""

    def remove_orphans(self) -> Sequence[str]:
        return ()

    def foresee(self, moves: Sequence[Move]) -> None:
        """An SA is found by its SPI alone there: whatever path a packet came by."""


class UserspacePlane(InCore):
    """ESP in the core's own shards (rust/esp). Their answers come with the core's other events."""

    def __init__(self, core: CorePlane) -> None:
        self._core = core

    def apply(self, operations: Sequence[Operation]) -> None:
        if operations:
            self._core.submit(operations)

    def take(self) -> list[PlaneEvent]:
        return []

    def carried(self, child: ChildId) -> dict[str, int] | None:
        return self._core.child_counters(child)


class NullPlane(InCore):
    """No ESP at all: for measuring IKE alone, and for hosts that only want the control plane."""

    def __init__(self) -> None:
        self._events: list[PlaneEvent] = []

    def apply(self, operations: Sequence[Operation]) -> None:
        moves = (operation for operation in operations if isinstance(operation, MoveSa))
        self._events += [SaMoved(operation.sa, operation.path) for operation in moves]

    def take(self) -> list[PlaneEvent]:
        events, self._events = self._events, []
        return events

    def carried(self, child: ChildId) -> dict[str, int] | None:
        return None
