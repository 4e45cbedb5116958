"""A change counts only while things are as its sender has seen them: If-Match and If-None-Match (RFC 9110 section 13).

What there is now is asked for as anybody would ask, with GET. Changes of the configuration come one after another, so
that nothing comes in between.
"""

import asyncio
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mobike_api.problems import CHANGED, problem

_CHANGES: Final = frozenset({"PUT", "PATCH", "DELETE"})
_ONE_BY_ONE: Final = ("/api/v1/connections/", "/api/v1/credentials/", "/api/v1/config/")
_HEADERS: Final = frozenset({b"if-match", b"if-none-match"})
PARAMETERS: Final[list[dict[str, Any]]] = [
    {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "The `ETag` of what is to be changed: if that has changed by now, nothing is done (412).",
    },
    {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "`*`: only if there is none yet.",
    },
]
RESOURCES: Final = frozenset({"/api/v1/connections/{name}", "/api/v1/credentials/{name}"})
"""Of these the description says it. Elsewhere there is nothing to compare with, and such a change is refused."""


class Preconditions:
    """Refuses what was meant for something else than there is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
        elif scope["path"].startswith(_ONE_BY_ONE):
            async with self._turn:
                await self._judged(scope, receive, send)
        else:
            await self._judged(scope, receive, send)

    async def _judged(self, scope: Scope, receive: Receive, send: Send) -> None:
        match, none_match = (_said(scope, name) for name in (b"if-match", b"if-none-match"))
        if scope["method"] in _CHANGES and (match is not None or none_match is not None):
            tag = await self._tag(scope)
            if (match is not None and not _names(match, tag)) or (none_match is not None and _names(none_match, tag)):
                there = "there is none" if tag is None else f"there is {tag}"
                hint = "read it again, and decide anew"
                headers = None if tag is None else {"ETag": tag}
                await problem(CHANGED, f"this was meant for something else: {there}", hint=hint, headers=headers)(
                    scope, receive, send
                )
                return
        await self._app(scope, receive, send)

    async def _tag(self, scope: Scope) -> str | None:
        """Of what there is; None: there is nothing."""
        headers = [each for each in scope["headers"] if each[0] not in _HEADERS | {b"content-length", b"content-type"}]
        asking = {**scope, "method": "GET", "query_string": b"", "headers": headers, "state": {}}
        begun: list[Message] = []

        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def look(message: Message) -> None:
            if message["type"] == "http.response.start":
                begun.append(message)

        await self._app(asking, nothing, look)
        if not begun or begun[0]["status"] != 200:
            return None
        return next((value.decode() for name, value in begun[0]["headers"] if name.lower() == b"etag"), None)


def _said(scope: Scope, name: bytes) -> list[str] | None:
    found = [value.decode("latin-1") for each, value in scope["headers"] if each == name]
    return [tag.strip() for tag in ",".join(found).split(",")] if found else None


def _names(said: list[str], tag: str | None) -> bool:
    return tag is not None and ("*" in said or tag in said)
