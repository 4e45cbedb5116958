"""Orders about many IKE SAs: one after another at a pace that storms nobody, with progress, and what came of each.

An order counts as done when the daemon says so in its events, not when it was taken.
"""

import asyncio
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from mobike.facade import EventView, Facade, IkeSaView, NotFound, Refused
from mobike_api.repeats import Repeats

MOST_RUNNING: Final = 4
MOST_KEPT: Final = 100
"""Operations that have ended and can still be asked about."""
MOST_FAILURES: Final = 100
"""Failures that are told one by one; all are counted."""
MOST_AWAITED: Final = 256
"""SAs that were ordered and have not answered: peers that are silent must not let the rest pile up behind them."""
PATIENCE_S: Final = 60.0
"""For one SA. It goes on after that; only nobody waits for it."""
_ROWS: Final = 500
_TICK_S: Final = 0.05


class Kind(Enum):
    """What can be ordered of many."""

    MOVE = "move"
    UNPIN = "unpin"
    REKEY = "rekey"
    REKEY_CHILDREN = "rekey-children"
    REAUTHENTICATE = "reauthenticate"
    TERMINATE = "terminate"


class Phase(Enum):
    """How far an operation is."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


_GOOD: Final[dict[Kind, frozenset[str]]] = {
    Kind.MOVE: frozenset({"moved"}),
    Kind.UNPIN: frozenset(),
    Kind.REKEY: frozenset({"sa-rekeyed"}),
    Kind.REKEY_CHILDREN: frozenset(),
    Kind.REAUTHENTICATE: frozenset({"sa-down"}),
    Kind.TERMINATE: frozenset({"sa-down"}),
}
"""Events that end the wait for an SA; none: it is done when it is taken."""
_BAD: Final = frozenset({"move-refused", "move-failed", "order-refused", "waiting", "sa-down"})


@dataclass(frozen=True, slots=True)
class Selection:
    """Which SAs. What is not said selects all."""

    ids: frozenset[str] | None = None
    connection: str | None = None
    state: str | None = None
    role: str | None = None
    transport: str | None = None
    local: str | None = None
    """An address of ours, without port."""
    remote: str | None = None

    def takes(self, sa: IkeSaView) -> bool:
        wanted = (
            (self.state, sa.state), (self.role, sa.role), (self.transport, sa.transport),
            (self.local, _host(sa.local)), (self.remote, _host(sa.remote)),
        )  # fmt: skip
        return all(want is None or want == has for want, has in wanted) and (self.ids is None or sa.id in self.ids)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done, of whom, and how fast."""

    kind: Kind
    selection: Selection
    local: str | None = None
    remote: str | None = None
    per_s: int = 200


@dataclass(slots=True)
class Operation:
    """One order about many, from its beginning to its end."""

    id: str
    order: Order
    by: str
    began: float
    phase: Phase = Phase.RUNNING
    ended: float | None = None
    total: int = 0
    done: int = 0
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    awaited: dict[str, float] = field(default_factory=dict)
    """What was ordered and has not answered, and until when that is waited for."""

    def succeeds(self, sa: str) -> None:
        self.awaited.pop(sa, None)
        self.done += 1

    def fails(self, sa: str, why: str) -> None:
        self.awaited.pop(sa, None)
        self.failed += 1
        if len(self.failures) < MOST_FAILURES:
            self.failures.append((sa, why))

    def hear(self, event: EventView) -> None:
        """Does this tell how an SA of ours ended?"""
        if event.sa is None or event.sa not in self.awaited:
            return
        if event.kind in _GOOD[self.order.kind]:
            self.succeeds(event.sa)
        elif event.kind in _BAD:
            self.fails(event.sa, event.text)


class Operations:
    """All operations of one daemon."""

    def __init__(
        self, facade: Facade, *, clock: Callable[[], float] = time.time, patience_s: float = PATIENCE_S
    ) -> None:
        self._facade = facade
        self._clock = clock
        self._patience_s = patience_s
        self._known: OrderedDict[str, Operation] = OrderedDict()
        self.repeats = Repeats()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, order: Order, by: str) -> Operation:
        """Begin. Refused if too many run."""
        if len(self._tasks) >= MOST_RUNNING:
            raise Refused(f"{MOST_RUNNING} operations run already", hint="wait for one, or cancel it")
        operation = Operation(secrets.token_hex(8), order, by, self._clock())
        self._known[operation.id] = operation
        task = asyncio.create_task(self._run(operation), name=f"operation {operation.id}")
        self._tasks[operation.id] = task
        task.add_done_callback(lambda task: self._ended(operation, task))
        return operation

    def all(self) -> tuple[Operation, ...]:
        """Newest first."""
        return tuple(reversed(self._known.values()))

    def get(self, id_: str) -> Operation:
        """One, or NotFound."""
        if id_ not in self._known:
            raise NotFound(f"there is no operation {id_!r}")
        return self._known[id_]

    def cancel(self, id_: str) -> Operation:
        """Order nothing more. What was ordered goes on."""
        operation = self.get(id_)
        if operation.phase is not Phase.RUNNING:
            raise Refused(f"operation {id_} has ended: {operation.phase.value}")
        operation.phase = Phase.CANCELLED
        self._tasks[id_].cancel()
        return operation

    async def close(self) -> None:
        """End them all: the daemon stops."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, operation: Operation, task: asyncio.Task[None]) -> None:
        del self._tasks[operation.id]
        operation.ended = self._clock()
        operation.awaited.clear()
        if task.cancelled():
            operation.phase = Phase.CANCELLED
        elif (fault := task.exception()) is not None:
            operation.phase = Phase.CANCELLED
            operation.failures.append(("", f"a fault inside mobike: {fault!r}"))
            asyncio.get_running_loop().call_exception_handler({"message": "an operation failed", "exception": fault})
        else:
            operation.phase = Phase.DONE
        ended = [each for each in self._known.values() if each.phase is not Phase.RUNNING]
        for old in ended[: max(0, len(ended) - MOST_KEPT)]:
            del self._known[old.id]

    async def _run(self, operation: Operation) -> None:
        listening = asyncio.create_task(_listen(self._facade.events(None), operation))
        try:
            # Before anything is ordered: an answer may come in the turn that takes the order.
            await asyncio.sleep(0)
            chosen = await self._choose(operation.order.selection)
            operation.total = len(chosen)
            await self._order_each(operation, chosen)
            while operation.awaited:
                self._give_up(operation)
                await asyncio.sleep(_TICK_S)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _choose(self, selection: Selection) -> list[IkeSaView]:
        """As things are now: who comes later is not meant. The loop gets on with other things between pages."""
        chosen: list[IkeSaView] = []
        after: str | None = None
        while True:
            page = self._facade.list_ike_sas(after=after, limit=_ROWS, connection=selection.connection)
            chosen += filter(selection.takes, page.items)
            after = page.after
            if after is None:
                return chosen
            await asyncio.sleep(0)

    async def _order_each(self, operation: Operation, chosen: list[IkeSaView]) -> None:
        batch = max(1, math.ceil(operation.order.per_s * _TICK_S))
        pause = batch / operation.order.per_s
        for begin in range(0, len(chosen), batch):
            while len(operation.awaited) > MOST_AWAITED - batch:
                self._give_up(operation)
                await asyncio.sleep(_TICK_S)
            for sa in chosen[begin : begin + batch]:
                self._order_one(operation, sa)
            await asyncio.sleep(pause)

    def _order_one(self, operation: Operation, sa: IkeSaView) -> None:
        order = operation.order
        # Whoever answers at once must be awaited by then.
        operation.awaited[sa.id] = self._clock() + self._patience_s
        try:
            self._tell(order, sa.id)
        except (Refused, NotFound) as problem:
            operation.fails(sa.id, str(problem))
            return
        if (not _GOOD[order.kind] or _is_there(order, sa)) and sa.id in operation.awaited:
            operation.succeeds(sa.id)

    def _tell(self, order: Order, sa: str) -> None:
        match order.kind:
            case Kind.MOVE:
                self._facade.move(sa, local=order.local, remote=order.remote)
            case Kind.UNPIN:
                self._facade.unpin(sa)
            case Kind.REKEY:
                self._facade.rekey(sa, children=False)
            case Kind.REKEY_CHILDREN:
                self._facade.rekey(sa, children=True)
            case Kind.REAUTHENTICATE:
                self._facade.reauth(sa)
            case Kind.TERMINATE:
                self._facade.close(sa)

    def _give_up(self, operation: Operation) -> None:
        now = self._clock()
        for sa in [sa for sa, until in operation.awaited.items() if until <= now]:
            operation.fails(sa, f"nothing was heard of it for {self._patience_s:g} s")


async def _listen(events: AsyncIterator[EventView], operation: Operation) -> None:
    async for event in events:
        operation.hear(event)


def _is_there(order: Order, sa: IkeSaView) -> bool:
    """A move to where it is already: the order holds from now on, and nothing happens."""
    if order.kind is not Kind.MOVE:
        return False
    return order.local in {None, _host(sa.local)} and order.remote in {None, _host(sa.remote)}


def _host(endpoint: str) -> str:
    return endpoint.rpartition(":")[0].removeprefix("[").removesuffix("]")
