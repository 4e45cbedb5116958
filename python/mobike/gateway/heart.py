"""One turn: facts in, one decision, orders out. No loop, no clock: the daemon and the simulation both call it.

Questions about peers go to the doorkeeper, facts to the fleet; both answer in the turn that asks, or soon after. Child
SAs that somebody outside of the core carries go to the data plane first of all: a peer waits for its word.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Final, Protocol

from mobike.address import Nanos, Pair
from mobike.auth import Doorkeeper
from mobike.commands import ChildRemoved, Command
from mobike.dataplane.last_words import LastWords
from mobike.dataplane.operations import ChildOrder, Operation, RemoveChild
from mobike.dataplane.planes import DataPlane, foreseen
from mobike.events import Event, LinkEvent, OperatorEvent, Question
from mobike.fleet import Decided, Fleet

EVENTS_PER_TURN: Final = 1024
"""So that a storm of events leaves the loop time for the API: a turn of this many takes some tens of milliseconds."""


class Faults:
    """Collects what goes wrong in parts of a turn, so that the others are done all the same."""

    def __init__(self) -> None:
        self._faults: list[Exception] = []

    def __enter__(self) -> None:
        """A part begins."""

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(fault, Exception):
            return False
        self._faults.append(fault)
        return True

    def tell(self) -> None:
        """Raise it, if there is any."""
        if len(self._faults) == 1:
            raise self._faults[0]
        if self._faults:
            raise ExceptionGroup("parts of a turn failed", self._faults)


class CoreEvents(Protocol):
    """The part of the core that a turn needs."""

    def submit(self, orders: Sequence[Command | Operation], /) -> None: ...

    def take_events(self, limit: int, /) -> Sequence[Event | Question | ChildOrder]: ...


class LinkNews(Protocol):
    """The part of the links that a turn needs."""

    def take(self) -> list[LinkEvent]: ...

    def ask_route(self, pair: Pair) -> None: ...


class Heart:
    """Wires core, links, data plane and fleet; decides nothing. `watch` sees what each turn took and decided."""

    def __init__(
        self,
        core: CoreEvents,
        links: LinkNews,
        plane: DataPlane,
        fleet: Fleet,
        watch: Callable[[Sequence[Event], Decided], None],
        *,
        door: Doorkeeper,
        time_of_day: Callable[[], datetime],
    ) -> None:
        self._core = core
        self._links = links
        self._plane = plane
        self._fleet = fleet
        self._watch = watch
        self._door = door
        self._time_of_day = time_of_day
        self._orders: list[OperatorEvent] = []
        self._last_words = LastWords(plane.carried)

    def order(self, order: OperatorEvent) -> None:
        """Take what an operator wants into the next turn."""
        self._orders.append(order)

    def turn(self, now: Nanos) -> bool:
        """One pass; True if there is more to do than one turn does. A part that fails takes no other with it: what is
        raised in the end says what went wrong."""
        faults = Faults()
        orders, self._orders = self._orders, []
        with faults:
            self._door.servers.wake(now)
        with faults:
            self._plane.wake(now)
        told = self._core.take_events(EVENTS_PER_TURN)
        with faults:
            self._carry([each for each in told if isinstance(each, ChildOrder)])
        with faults:
            self._door.ask((each for each in told if isinstance(each, Question)), now)
        facts = self._last_words.put_in(each for each in told if not isinstance(each, Question | ChildOrder))
        events: list[Event] = [*self._links.take(), *facts, *self._plane.take(), *orders]
        with faults:
            self._door.servers.accounts.see(events, now)
        with faults:
            self._decide(events, now)
        with faults:
            if self._door.busy:
                self._core.submit(self._door.answers(now, self._time_of_day()))
        faults.tell()
        return len(told) == EVENTS_PER_TURN or self._door.busy

    def _decide(self, events: Sequence[Event], now: Nanos) -> None:
        faults = Faults()
        decided = self._fleet.handle(events, now)
        with faults:
            if moves := foreseen(decided.commands, decided.operations):
                self._plane.foresee(moves)
        with faults:
            if decided.commands:
                self._core.submit(decided.commands)
        with faults:
            self._plane.apply(decided.operations)
            self._carry([])
        with faults:
            for question in decided.questions:
                self._links.ask_route(question.pair)
        with faults:
            self._watch(events, decided)
        faults.tell()

    def _carry(self, orders: Sequence[ChildOrder]) -> None:
        if orders:
            self._last_words.note(orders)
            self._plane.carry(orders)
        gone = (ChildRemoved(order.child) for order in orders if isinstance(order, RemoveChild))
        words = [*self._plane.words(), *gone]
        if words:
            self._core.submit(words)
