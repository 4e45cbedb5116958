"""The data plane of a simulated host, which an operator of the world can make refuse, or be late.

ESP itself is done by the core. Where the host is to have a kernel, it is done from the moment on in which this plane
says so.
"""

from collections.abc import Callable, Sequence
from functools import partial

from mobike.address import ChildId, Nanos, SaId
from mobike.commands import ChildInstalled, ChildRefused, Command, Move, PlaneWord
from mobike.dataplane.operations import ChildOrder, InstallChild, Operation
from mobike.events import PlaneEvent, PlaneRefused
from mobike.selector import Traffic
from mobike.sim.world import World

WHY = "the world told it to refuse"

Orders = Sequence[Command | Operation]


class SimPlane:
    """Carries operations out in the order in which they came, however late."""

    def __init__(self, world: World, submit: Callable[[Orders], None], wake: Callable[[], None]) -> None:
        self.refuses = False
        self.delay = 0
        """Nanoseconds from an operation to its effect."""
        self.awaited = 0
        """Operations whose effect is still to come."""
        self.asked: dict[int, ChildId] = {}
        """New Child SAs to be carried, by inbound SPI, that it has not answered for."""
        self.known: set[int] = set()
        """Inbound SPIs of all that it was ever asked to carry."""
        self.alone: set[int] = set()
        """And of those that had no other beside them then that they could replace."""
        self.fresh = self.removed = 0
        """New Child SAs that it was asked to carry, and those that it was told to carry no longer."""
        self._world = world
        self._submit = submit
        self._wake = wake
        self._free_at = 0
        self._waiting: list[Orders] = []
        self._events: list[PlaneEvent] = []
        self._words: list[PlaneWord] = []
        self._carries: dict[ChildId, tuple[SaId, str]] = {}
        """Child SAs that it was asked to carry until it is told otherwise: whose, and which of the connection's."""

    def wake(self, now: Nanos) -> None:
        pass

    def poll_deadline(self) -> Nanos | None:
        return None

    def fds(self) -> Sequence[int]:
        return ()

    def block(self, owner: str, traffic: Sequence[Traffic]) -> None:
        """There is no clear here."""

    def unblock(self, owner: str) -> None:
        """The same."""

    def wait_for(self, owner: str, traffic: Sequence[Traffic]) -> None:
        """Nor traffic that nobody asked for."""

    def remove_orphans(self) -> Sequence[str]:
        return ()

    def carry(self, orders: Sequence[ChildOrder]) -> None:
        for order in orders:
            if isinstance(order, InstallChild):
                self._install(order)
            else:
                self.removed += 1
                self._carries.pop(order.child, None)
                self.asked = {spi: child for spi, child in self.asked.items() if child != order.child}

    def _install(self, order: InstallChild) -> None:
        self.known.add(order.spi_in)
        which = (order.sa, order.name)
        if which not in self._carries.values():
            self.alone.add(order.spi_in)
        self._carries[order.child] = which
        if order.keys is not None:
            self.fresh += 1
            self.asked[order.spi_in] = order.child
        if self.refuses:
            self.asked.pop(order.spi_in, None)
            self._words.append(ChildRefused(order.child, WHY))
        elif self.delay or self.awaited:
            self._later([ChildInstalled(order.child)])
        else:
            self.asked.pop(order.spi_in, None)
            self._words.append(ChildInstalled(order.child))

    def foresee(self, moves: Sequence[Move]) -> None:
        """An SA is found by its SPI alone here."""

    def apply(self, operations: Sequence[Operation]) -> None:
        if not operations:
            return
        if self.refuses:
            self._events += [PlaneRefused(each.sa, WHY) for each in operations]
            self._wake()
        elif self.delay or self.awaited:
            self._later(operations)
        else:
            self._submit(operations)

    def finish(self) -> None:
        """Carry out at once what is awaited: the process ends in order."""
        for orders in self._waiting:
            self._submit(orders)
        self.end()

    def end(self) -> None:
        """The process is no more: what is awaited will not happen."""
        self._waiting.clear()
        self.awaited = 0

    def words(self) -> list[PlaneWord]:
        words, self._words = self._words, []
        return words

    def take(self) -> list[PlaneEvent]:
        events, self._events = self._events, []
        return events

    def carried(self, child: ChildId) -> dict[str, int] | None:
        return None

    def close(self, *, keep: bool) -> None:
        pass

    def _later(self, orders: Orders) -> None:
        self.awaited += len(orders)
        self._free_at = max(self._free_at, self._world.now + self.delay)
        self._waiting.append(orders)
        self._world.at(self._free_at, partial(self._carry_out, orders))

    def _carry_out(self, orders: Orders) -> None:
        if any(orders is each for each in self._waiting):
            self._waiting = [each for each in self._waiting if each is not orders]
            self.awaited -= len(orders)
            done = {each.child for each in orders if isinstance(each, ChildInstalled)}
            self.asked = {spi: child for spi, child in self.asked.items() if child not in done}
            self._submit(orders)
