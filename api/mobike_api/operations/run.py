"""Operations: one order after another at a pace that storms nobody, with progress, and what came of each.

An order counts as done when the daemon says so in its events, or when a look shows it; not when it was taken.
"""

import asyncio
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from mobike.facade import EventView, Facade, NotFound, Refused
from mobike_api.operations import aims
from mobike_api.operations.kinds import GOOD, Kind, Order
from mobike_api.operations.progress import Operation, Phase, Target

MOST_RUNNING: Final = 4
MOST_KEPT: Final = 100
"""Operations that have ended and can still be asked about."""
MOST_AWAITED: Final = 256
"""Those that were ordered and have not answered: peers that are silent must not let the rest pile up behind them."""
PATIENCE_S: Final = 60.0
"""For one. It goes on after that; only nobody waits for it."""
DRAINED_PER_S: Final = 1_000
"""A drain has so much longer, the more there are: the daemon sends peers on at twice this pace."""
_TICK_S: Final = 0.05
_LOOK_S: Final = 1.0
"""At least between two looks at all IKE SAs."""
_GLANCE_S: Final = 0.1
"""The same for looks at connections."""


class Operations:
    """All operations of one daemon."""

    def __init__(
        self, facade: Facade, *, clock: Callable[[], float] = time.time, patience_s: float = PATIENCE_S
    ) -> None:
        self._facade = facade
        self._clock = clock
        self._patience_s = patience_s
        self._known: OrderedDict[str, Operation] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, order: Order, by: str) -> Operation:
        """Begin. Refused if too many run, or if this cannot be; NotFound."""
        if len(self._tasks) >= MOST_RUNNING:
            raise Refused(f"{MOST_RUNNING} operations run already", hint="wait for one, or cancel it")
        aims.check(self._facade, order)
        if order.kind is Kind.DRAIN:
            aims.tell_all(self._facade, order)
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
            chosen = await aims.choose(self._facade, operation.order)
            operation.total = len(chosen)
            if operation.order.kind.is_drain:
                self._drain(operation, chosen)
            else:
                await self._order_each(operation, chosen)
            await self._follow(operation)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _follow(self, operation: Operation, most: int = 0) -> None:
        """Until no more than so many are waited for."""
        pause = _GLANCE_S if operation.order.kind.of_connections else _LOOK_S
        looked = -math.inf
        while len(operation.awaited) > most:
            now = self._clock()
            late = [name for name, (until, _) in operation.awaited.items() if until <= now]
            if (late or operation.look) and looked + pause <= now:
                await aims.look(self._facade, operation)
                looked = self._clock()
                for name in late:
                    if name in operation.awaited:
                        operation.fails(name, self._silence(operation.order))
            await asyncio.sleep(_TICK_S)

    def _silence(self, order: Order) -> str:
        if order.kind is Kind.DRAIN_LINK:
            return f"it is still on {order.link}"
        if order.kind is Kind.DRAIN:
            return "it is still here"
        return f"nothing was heard of it for {self._patience_s:g} s"

    def _drain(self, operation: Operation, chosen: Sequence[Target]) -> None:
        until = self._clock() + self._patience_s + len(chosen) / DRAINED_PER_S
        operation.awaited.update({each.name: (until, each) for each in chosen})
        if operation.order.kind is Kind.DRAIN_LINK:
            aims.tell_all(self._facade, operation.order)
        # Some may have gone between the choice and the order.
        operation.look = True

    async def _order_each(self, operation: Operation, chosen: Sequence[Target]) -> None:
        batch = max(1, math.ceil(operation.order.per_s * _TICK_S))
        pause = batch / operation.order.per_s
        for begin in range(0, len(chosen), batch):
            await self._follow(operation, MOST_AWAITED - batch)
            for target in chosen[begin : begin + batch]:
                self._order_one(operation, target)
            await asyncio.sleep(pause)

    def _order_one(self, operation: Operation, target: Target) -> None:
        # Whoever answers at once must be awaited by then.
        operation.awaited[target.name] = (self._clock() + self._patience_s, target)
        try:
            aims.tell(self._facade, operation.order, target.name)
        except (Refused, NotFound) as problem:
            operation.fails(target.name, str(problem))
            return
        if (target.there or not GOOD[operation.order.kind]) and target.name in operation.awaited:
            operation.succeeds(target.name)
        # One that is up already: nothing happens, and nothing is told.
        operation.look |= operation.order.kind.of_connections


async def _listen(events: AsyncIterator[EventView], operation: Operation) -> None:
    async for event in events:
        operation.hear(event)
