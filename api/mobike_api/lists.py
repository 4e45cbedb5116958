"""Lists: filters, parts of rows, pages, and all as a stream of lines. The loop gets on with other things meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, TypeAlias, TypeVar

from mobike.facade import Facade, IkeSaView
from mobike.facade.lists import ChildRow
from mobike_api.operations import Selection

Row: TypeAlias = dict[str, Any]
T_co = TypeVar("T_co", covariant=True)
Part: TypeAlias = tuple[Sequence[tuple[str, T_co]], str | None]
"""Rows that fit, each with the cursor behind it; and where the next part begins."""
Look: TypeAlias = Callable[[str | None], Part[T_co]]
"""A part of a list, from behind a cursor."""

NDJSON: Final = "application/x-ndjson"
ROWS: Final = 50
"""IKE SAs that are looked at before the loop gets on with other things: a millisecond or two (`benches.listing`)."""
FIELDS: Final = tuple(each.name for each in fields(IkeSaView))
CHILD_FIELDS: Final = tuple(each.name for each in fields(ChildRow))


@dataclass(frozen=True, slots=True)
class Lease:
    """One inner address that a peer has."""

    ip: str
    connection: str
    peer_id: str
    ike_sa: str
    since: float


LEASE_FIELDS: Final = tuple(each.name for each in fields(Lease))


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows, and what of them."""

    look: Look[object]
    fields: tuple[str, ...]
    after: str | None = None
    limit: int | None = None
    """None: all."""

    def row(self, row: object) -> Row:
        return {name: getattr(row, name) for name in self.fields}


def ike_sas(facade: Facade, selection: Selection) -> Look[IkeSaView]:
    """IKE SAs that fit."""

    def look(after: str | None) -> Part[IkeSaView]:
        found = facade.list_ike_sas(after=after, limit=ROWS, connection=selection.connection)
        return [(sa.id, sa) for sa in found.items if selection.takes(sa)], found.after

    return look


def child_sas(facade: Facade, *, connection: str | None, name: str | None) -> Look[ChildRow]:
    """Child SAs of a connection, of a name. Those of one IKE SA have one cursor: they are told together."""

    def look(after: str | None) -> Part[ChildRow]:
        found = facade.list_child_sas(after=after, limit=ROWS, connection=connection)
        return [(child.ike_sa, child) for child in found.items if name in {None, child.name}], found.after

    return look


def leases(facade: Facade, *, connection: str | None) -> Look[Lease]:
    """Inner addresses that peers have of us. Those of one IKE SA have one cursor."""

    def look(after: str | None) -> Part[Lease]:
        found = facade.list_ike_sas(after=after, limit=ROWS, connection=connection)
        peers = (sa for sa in found.items if sa.role == "responder")
        return [
            (sa.id, Lease(ip, sa.connection, sa.peer_id, sa.id, sa.since)) for sa in peers for ip in sa.virtual_ips
        ], found.after

    return look


async def page(asked: Asked) -> tuple[list[Row], str | None]:
    """The rows of one page, and where the next one begins; None at the end."""
    rows: list[Row] = []
    last: str | None = None
    async for part in parts(asked.look, asked.after):
        for cursor, row in part:
            if asked.limit is not None and len(rows) >= asked.limit and cursor != last:
                return rows, last
            rows.append(asked.row(row))
            last = cursor
    return rows, None


async def lines(asked: Asked) -> AsyncIterator[bytes]:
    """All rows that fit, one JSON object a line. Who comes or goes meanwhile may be missed; nobody is told twice."""
    left = asked.limit
    async for part in parts(asked.look, asked.after):
        told = part if left is None else part[:left]
        yield b"".join(_lines(asked, told))
        if left is not None:
            left -= len(told)
            if left <= 0:
                return


async def parts(look: Look[T_co], after: str | None = None) -> AsyncIterator[Sequence[tuple[str, T_co]]]:
    """The rows that fit, from behind a cursor. The loop gets on with other things between two parts."""
    while True:
        found, after = look(after)
        yield found
        if after is None:
            return
        await asyncio.sleep(0)


def _lines(asked: Asked, told: Sequence[tuple[str, object]]) -> Iterator[bytes]:
    for _, row in told:
        yield json.dumps(asked.row(row), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
