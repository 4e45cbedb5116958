"""Every change goes into the record before its answer leaves: who, when, from where, what, and how it ended.

What operators order holds no secrets and is kept as it was said. Of all else only the names of the members are kept.
"""

import json
import logging
import time
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mobike.facade import books
from mobike.facade.books import BooksError, Deed, Record
from mobike_api.caller import caller_of
from mobike_api.problems import INTERNAL, problem
from mobike_api.scopes import needed

log = logging.getLogger(__name__)

HARMLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_SAID: Final = 1024
"""Characters of an order that are kept."""
MOST_TARGET: Final = 256


class Recorder:
    """Writes down what is changed."""

    def __init__(self, app: ASGIApp, record: Record, clock: Callable[[], float] = time.time) -> None:
        self._app = app
        self._record = record
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in HARMLESS or caller_of(scope).scope is None:
            await self._app(scope, receive, send)
            return
        body = bytearray()
        held: list[Message] = []

        async def overheard() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def hold(message: Message) -> None:
            held.append(message)

        try:
            await self._app(scope, overheard, hold)
        except Exception:
            await self._write(self._deed(scope, INTERNAL.status, INTERNAL.name, None))
            raise
        status = held[0]["status"] if held else INTERNAL.status
        answer = b"".join(message.get("body", b"") for message in held)
        said = _said(scope, bytes(body)) if status < 400 else None
        if not await self._write(self._deed(scope, status, _problem(status, answer), said)):
            detail = "it was done, and cannot be recorded" if status < 400 else "it cannot be recorded"
            unwritten = problem(INTERNAL, detail, hint="look whether the disk of state_dir is full")
            await unwritten(scope, receive, send)
            return
        for message in held:
            await send(message)

    def _deed(self, scope: Scope, status: int, named: str | None, said: str | None) -> Deed:
        caller = caller_of(scope)
        target = f"{scope['method']} {scope['path']}"[:MOST_TARGET]
        return Deed(self._clock(), caller.name, caller.address, _action(scope), target, status, named, said)

    async def _write(self, deed: Deed) -> bool:
        try:
            await self._record.write(deed)
        except BooksError as fault:
            log.error("a change is not recorded: %s by %s: %s", deed.target, deed.caller, fault)
            return False
        return True


def _action(scope: Scope) -> str:
    endpoint = scope.get("endpoint")
    return getattr(endpoint, "__name__", "none")


def _problem(status: int, answer: bytes) -> str | None:
    if status < 400:
        return None
    try:
        return str(json.loads(answer)["type"]).rpartition(":")[2][:64]
    except (ValueError, KeyError, TypeError):
        return "unknown"


def _said(scope: Scope, body: bytes) -> str | None:
    try:
        order = json.loads(body)
    except ValueError:
        return None
    if not isinstance(order, dict):
        return None
    if needed(_action(scope)) is not books.Scope.OPERATE:
        order = dict.fromkeys(order, "...")
    return json.dumps(order, sort_keys=True)[:MOST_SAID]
