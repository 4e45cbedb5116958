"""What lists have in common: a page as JSON, or all of it as lines."""

from typing import Any, Final, Protocol

from fastapi import Request, Response
from starlette.responses import StreamingResponse

from mobike_api import lists

PAGE: Final = 100
LINES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "A page; or all as lines, an object each, where `Accept` asks for `application/x-ndjson`.",
        "content": {lists.NDJSON: {"schema": {"type": "string"}}},
    }
}


class ListQuery(Protocol):
    """What every list may be asked."""

    @property
    def after(self) -> str | None: ...

    @property
    def limit(self) -> int | None: ...

    @property
    def fields(self) -> str | None: ...


def asked_of(look: lists.Look[object], known: tuple[str, ...], query: ListQuery, *, limit: int | None) -> lists.Asked:
    """What a query asks of a list whose rows have these members."""
    parts = known if query.fields is None else tuple(dict.fromkeys(query.fields.split(",")))
    return lists.Asked(look, parts, query.after, limit)


def wants_lines(request: Request) -> bool:
    return lists.NDJSON in request.headers.get("accept", "")


def told_as_lines(look: lists.Look[object], known: tuple[str, ...], query: ListQuery) -> Response:
    """A stream. What is wrong with the cursor is said before anything is told."""
    look(query.after)
    asked = asked_of(look, known, query, limit=query.limit)
    return StreamingResponse(lists.lines(asked), media_type=lists.NDJSON)
