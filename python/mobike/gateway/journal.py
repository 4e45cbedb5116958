"""What happened, for people and programs that watch: a bounded ring that many may read, each at its own pace."""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator

from mobike.address import SaId
from mobike.facade import EventPage, EventView
from mobike.fleet import Note

CAPACITY = 8192
"""Events kept: enough for a watcher to reconnect after a mass failover of some thousand SAs; about 4 MiB at most."""


class Journal:
    """Append in the loop's thread; read with `follow`."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._ring: deque[tuple[float, Note]] = deque(maxlen=capacity)
        self._next = 1
        self._news = asyncio.Event()

    @property
    def last(self) -> int:
        """The newest sequence number; 0 before the first event."""
        return self._next - 1

    def append(self, at: float, note: Note) -> None:
        """Add one event and wake whoever waits. `at` is in seconds since the epoch.

        Its words are made when somebody reads it: most events of a busy gateway nobody ever does.
        """
        self._ring.append((at, note))
        self._next += 1
        self._news.set()

    async def follow(self, after: int | None) -> AsyncIterator[EventView]:
        """Events behind `after` (None: from now on), for ever. What fell out of the ring is told as one `dropped`."""
        position = self.last if after is None else min(after, self.last)
        while True:
            for event in self._behind(position):
                position = event.seq
                yield event
            if position == self.last:
                # A fresh Event each time: a reader may not clear what others still wait for.
                self._news = asyncio.Event() if self._news.is_set() else self._news
                await self._news.wait()

    def past(
        self,
        before: int | None,
        limit: int,
        *,
        sa: SaId | None = None,
        connection: str | None = None,
        kinds: frozenset[str] = frozenset(),
    ) -> EventPage:
        """The newest events before `before` that fit what is said. Words are made for those alone."""
        found: list[EventView] = []
        for seq, (at, note) in zip(itertools.count(self.last, -1), reversed(self._ring), strict=False):
            if before is not None and seq >= before:
                continue
            about = sa in {None, note.sa} and connection in {None, note.connection}
            if not about or (kinds and note.kind not in kinds):
                continue
            if len(found) == limit:
                return EventPage(tuple(found), found[-1].seq)
            found.append(_view(seq, at, note))
        return EventPage(tuple(found), None)

    def _behind(self, position: int) -> list[EventView]:
        first = self._next - len(self._ring)
        missed = first - (position + 1)
        kept = itertools.islice(enumerate(self._ring, start=first), max(0, -missed), None)
        views = [_view(seq, at, note) for seq, (at, note) in kept]
        if missed <= 0 or not views:
            return views
        text = f"{missed} events are no longer kept; read the lists to catch up"
        return [EventView(first - 1, views[0].at, "dropped", None, None, text, {"dropped": missed}), *views]


def _view(seq: int, at: float, note: Note) -> EventView:
    sa = None if note.sa is None else f"{note.sa:016x}"
    return EventView(seq, at, note.kind, sa, note.connection, note.text, dict(note.data))
