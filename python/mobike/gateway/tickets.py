"""The keys of tickets (RFC 5723): the operator's, or some that this process makes and changes."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from mobike.commands import SetTicketKeys

LEAST_ROTATION_S = 60.0


class Takes(Protocol):
    """The part of the core that is needed."""

    def submit(self, orders: Sequence[SetTicketKeys], /) -> None: ...


class TicketKeys:
    """Gives the core its keys, and the time of day with them."""

    def __init__(self, core: Takes, keys: tuple[bytes, ...], lifetime: int) -> None:
        """`lifetime`: of the tickets, in nanoseconds, at most. `keys`: none: our own, changed as often as that, so that
        a key is known for no longer than twice that time."""
        self._core = core
        self._own = not keys
        self._keys = keys or (secrets.token_bytes(32),)
        self._lifetime = lifetime
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._lifetime:
            self._give()
            self._task = asyncio.get_running_loop().create_task(self._rotate())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def change(self, fresh: Callable[[int], bytes] = secrets.token_bytes) -> None:
        """Another key seals; the one before still opens what it sealed."""
        if self._own:
            self._keys = (fresh(32), self._keys[0])
        self._give()

    def _give(self) -> None:
        self._core.submit([SetTicketKeys(self._keys, time.time_ns())])

    async def _rotate(self) -> None:
        while True:
            await asyncio.sleep(max(self._lifetime / 1e9, LEAST_ROTATION_S))
            self.change()
