"""What every request passes: security headers on each answer, and a limit for what a stranger may send."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mobike.facade import Facade
from mobike_api.lists import NDJSON
from mobike_api.problems import INTERNAL, TOO_LARGE, problem

MAX_BODY: Final = 64 * 1024
"""Octets. The largest orders are credentials, of 48 KiB."""
_IN_PARTS: Final = "send it as several orders: one for each connection or credential"
ENDLESS: Final = {"/api/v1/events"}
"""Streams."""
_LINES: Final = NDJSON.encode()

SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class SecurityHeaders:
    """Puts the security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, secured)


class Heads:
    """Answers HEAD as GET without the body (RFC 9110 section 9.3.2): probes of load balancers ask so. What does not end
    has no such answer, and a list is told of as its first page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"] in ENDLESS:
            await self._app(scope, receive, send)
            return

        async def headed(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
            elif not message.get("more_body", False):
                await send({"type": "http.response.body", "body": b""})

        headers = [(name, value) for name, value in scope["headers"] if name != b"accept" or _LINES not in value]
        await self._app({**scope, "method": "GET", "headers": headers}, receive, headed)


async def fault(_: Request, __: Exception) -> Response:
    """The answer to a fault. It is made outside of all middleware, so it brings the headers along."""
    hint = "the daemon's log says which"
    return problem(INTERNAL, "the request met a fault inside mobike", hint=hint, headers=SECURITY_HEADERS)


class BodyLimit:
    """Refuses bodies beyond `MAX_BODY`, whether they say so or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        messages = await _whole_body(scope, receive)
        if messages is None:
            await problem(TOO_LARGE, f"a body may have {MAX_BODY} octets", hint=_IN_PARTS)(scope, receive, send)
            return
        replay = iter(messages)

        async def replayed() -> Message:
            return next(replay, None) or await receive()

        await self._app(scope, replayed, send)


class UpToDate:
    """Has the gateway take in what has happened before anybody answers: no peer knows more than the API."""

    def __init__(self, app: ASGIApp, facade: Facade) -> None:
        self._app = app
        self._facade = facade

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._facade.catch_up()
        await self._app(scope, receive, send)


async def _whole_body(scope: Scope, receive: Receive) -> list[Message] | None:
    """The body as it came, or None if it is too long."""
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if not length.isdigit() or int(length) > MAX_BODY:
        return None
    messages: list[Message] = []
    size = 0
    while True:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if size > MAX_BODY:
            return None
        if message["type"] != "http.request" or not message.get("more_body", False):
            return messages
