"""An answer that has not changed is not sent again: ETag and If-None-Match (RFC 9110 section 13.1.2)."""

from hashlib import sha256
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_JSON: Final = b"application/json"
_ASKS: Final = frozenset({"GET", "HEAD"})


class Conditional:
    """Gives each JSON answer a tag that is made of what it says, and 304 to those who have it. Streams pass."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _ASKS:
            await self._app(scope, receive, send)
            return
        begun: Message | None = None
        body = bytearray()

        async def weigh(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start" and _is_whole(message):
                begun = message
            elif begun is None:
                await send(message)
            else:
                body.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    await _answer(scope, begun, bytes(body), send)

        await self._app(scope, receive, weigh)


def _is_whole(begun: Message) -> bool:
    kinds = [value for name, value in begun["headers"] if name.lower() == b"content-type"]
    return begun["status"] == 200 and kinds == [_JSON]


async def _answer(scope: Scope, begun: Message, body: bytes, send: Send) -> None:
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = MutableHeaders(scope=begun)
    headers["ETag"] = tag
    headers.add_vary_header("Accept")
    if _has(scope, tag):
        del headers["Content-Length"], headers["Content-Type"]
        await send({**begun, "status": 304, "headers": headers.raw})
        await send({"type": "http.response.body", "body": b""})
        return
    await send({**begun, "headers": headers.raw})
    await send({"type": "http.response.body", "body": body})


def _has(scope: Scope, tag: str) -> bool:
    """Compared weakly, as this header asks for."""
    said = b",".join(value for name, value in scope["headers"] if name == b"if-none-match").decode("latin-1")
    tags = {each.strip().removeprefix("W/") for each in said.split(",")}
    return tag in tags or "*" in tags
