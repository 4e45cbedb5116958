"""When to look at the counters of SAs, and what they tell. Pure.

Who set up an IKE SA wants to know soon that its path is silent: those are looked at ten times a second. Of the others
the core only wants to know now and then that they live. New pairs whose peer may not know them yet come most often.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from mobike.address import ChildId, Nanos, SaId
from mobike.commands import Traffic

SOON: Final = 50_000_000
"""Nanoseconds between two looks at a Child SA that waits for its first packet."""
EAGER: Final = 100_000_000
"""... at those of IKE SAs that we set up."""
CALM: Final = 10_000_000_000
"""... at all others."""
MOST_AT_ONCE: Final = 256
"""Child SAs looked at in one turn: a few milliseconds."""


@dataclass(slots=True)
class _Seen:
    sa: SaId
    packets_in: int = 0
    packets_out: int = 0
    silent: bool = True
    """What came in since the last move may have come by the old way: the next look only counts."""


class Watch:
    """Who is looked at when."""

    def __init__(self) -> None:
        self._seen: dict[ChildId, _Seen] = {}
        self._queues: dict[int, dict[ChildId, Nanos]] = {SOON: {}, EAGER: {}, CALM: {}}

    def add(self, child: ChildId, sa: SaId, every: int, now: Nanos) -> None:
        """Look at it from now on; again: from now on as often as this."""
        if child in self._seen:
            for queue in self._queues.values():
                queue.pop(child, None)
        else:
            self._seen[child] = _Seen(sa)
        self._queues[every][child] = Nanos(now + every)

    def remove(self, child: ChildId) -> None:
        self._seen.pop(child, None)
        for queue in self._queues.values():
            queue.pop(child, None)

    def moved(self, child: ChildId) -> None:
        if child in self._seen:
            self._seen[child].silent = True

    def next_due(self) -> Nanos | None:
        """Queues are in order: whoever was looked at goes to the end."""
        return min((next(iter(queue.values())) for queue in self._queues.values() if queue), default=None)

    def due(self, now: Nanos) -> list[ChildId]:
        """Whom to look at now."""
        found: list[ChildId] = []
        for every, queue in self._queues.items():
            for child in list(islice(_until(queue, now), MOST_AT_ONCE - len(found))):
                found.append(child)
                del queue[child]
                queue[child] = Nanos(now + every)
        return found

    def saw(self, child: ChildId, packets_in: int, packets_out: int) -> Traffic | None:
        """The counters of a Child SA; what is news in them."""
        seen = self._seen.get(child)
        if seen is None:
            return None
        heard, sent = packets_in > seen.packets_in, packets_out > seen.packets_out
        silent, seen.silent = seen.silent and seen.packets_in > 0, False
        seen.packets_in, seen.packets_out = packets_in, packets_out
        heard = heard and not silent
        return Traffic(seen.sa, heard, sent) if heard or sent else None


def _until(queue: dict[ChildId, Nanos], now: Nanos) -> Iterator[ChildId]:
    for child, at in queue.items():
        if at > now:
            return
        yield child
