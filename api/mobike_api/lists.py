"""Lists of IKE SAs: filters, parts of rows, pages, and all of them as a stream. The loop gets on with other things."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, TypeAlias

from mobike.facade import Facade, IkeSaView
from mobike_api.operations import Selection

Row: TypeAlias = dict[str, Any]

NDJSON: Final = "application/x-ndjson"
ROWS: Final = 200
"""Looked at before the loop gets on with other things: two milliseconds."""
FIELDS: Final = tuple(each.name for each in fields(IkeSaView))


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows, and what of them."""

    selection: Selection
    fields: tuple[str, ...] = FIELDS
    after: str | None = None
    limit: int | None = None
    """None: all."""

    def row(self, sa: IkeSaView) -> Row:
        return {name: getattr(sa, name) for name in self.fields}


async def page(facade: Facade, asked: Asked) -> Row:
    """One page, as JSON tells it. How many fit is told where that is known without looking at all."""
    rows: list[IkeSaView] = []
    more = False
    async for some in _batches(facade, asked):
        room = len(some) if asked.limit is None else asked.limit - len(rows)
        more = len(some) > room
        rows += some[:room]
        if more:
            break
    plain = Selection(connection=asked.selection.connection) == asked.selection
    total = facade.list_ike_sas(limit=1, connection=asked.selection.connection).total if plain else None
    return {"items": [asked.row(each) for each in rows], "after": rows[-1].id if more else None, "total": total}


async def lines(facade: Facade, asked: Asked) -> AsyncIterator[bytes]:
    """All rows that fit, one JSON object a line. Who comes or goes meanwhile may be missed; nobody is told twice."""
    left = asked.limit
    async for some in _batches(facade, asked):
        told = some if left is None else some[:left]
        yield b"".join(map(_line(asked.row), told))
        if left is not None:
            left -= len(told)
            if left <= 0:
                return


async def _batches(facade: Facade, asked: Asked) -> AsyncIterator[Sequence[IkeSaView]]:
    after = asked.after
    while True:
        found = facade.list_ike_sas(after=after, limit=ROWS, connection=asked.selection.connection)
        yield [each for each in found.items if asked.selection.takes(each)]
        after = found.after
        if after is None:
            return
        await asyncio.sleep(0)


def _line(row: Callable[[IkeSaView], Row]) -> Callable[[IkeSaView], bytes]:
    return lambda sa: json.dumps(row(sa), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
