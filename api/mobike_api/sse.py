"""The stream of events (Server-Sent Events), with ids to go on from and a heartbeat that shows it lives.

Nothing is queued here: an event is taken from the facade's ring when the one before is written. Who reads slowly falls
behind in that ring, which is bounded, and is told by a `dropped` event.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from mobike.facade import EventView
from mobike_api.schemas import Event

MAX_STREAMS: Final = 64
"""At the same time; each costs a connection and wakes on every event."""

HEARTBEAT_S: Final = 15.0
"""Seconds of silence after which a comment is sent: proxies close what is silent for half a minute."""

RETRY_MS: Final = 1000
"""Milliseconds that a client waits before it connects again."""


class Streams:
    """The streams that are open."""

    def __init__(self, *, limit: int = MAX_STREAMS, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._limit = limit
        self._heartbeat_s = heartbeat_s
        self._closing = asyncio.Event()
        self.count = 0

    @property
    def full(self) -> bool:
        return self.count >= self._limit

    def close(self) -> None:
        """End them all: the daemon stops."""
        self._closing.set()

    async def stream(self, events: AsyncIterator[EventView]) -> AsyncIterator[bytes]:
        """What is written to one client, until it goes or the daemon stops."""
        self.count += 1
        closing = asyncio.ensure_future(self._closing.wait())
        coming = asyncio.ensure_future(_next(events))
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            while not closing.done():
                await asyncio.wait({closing, coming}, timeout=self._heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    yield b"" if closing.done() else b": still here\n\n"
                    continue
                event = coming.result()
                if event is None:
                    return
                coming = asyncio.ensure_future(_next(events))
                yield _frame(event)
        finally:
            # No await here: the client is gone, and this task is being cancelled.
            self.count -= 1
            closing.cancel()
            coming.cancel()


async def _next(events: AsyncIterator[EventView]) -> EventView | None:
    return await anext(events, None)


def _frame(event: EventView) -> bytes:
    kind = event.kind.replace("\r", " ").replace("\n", " ")
    return f"id: {event.seq}\nevent: {kind}\ndata: {Event.model_validate(event).model_dump_json()}\n\n".encode()
