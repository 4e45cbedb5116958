"""A change that is sent twice under one key is made once (`Idempotency-Key`): the second one is answered as the first.

```
new                       carried out; its answer is kept
known, the same request   answered with what is kept; if the first is still on its way, with what becomes of it
known, another request    a problem; nothing is carried out
```

What was refused has changed nothing, and is not kept: it may be sent again as it is. What met a fault may have changed
something, and is not tried twice.
"""

import asyncio
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mobike_api.caller import caller_of
from mobike_api.problems import INTERNAL, INVALID, KEY_REUSED, FieldError, problem
from mobike_api.recorder import HARMLESS

HEADER: Final = "Idempotency-Key"
REPEATED: Final = "Idempotency-Replayed"
"""On an answer that was given before."""
KEPT_S: Final = 3600.0
"""Seconds: longer than anybody tries again; an answer may hold a token that is told once."""
MOST_KEYS: Final = 1000
"""Of one caller; those that were used first are forgotten first."""
MOST_OCTETS: Final = 16 << 20
"""Of all answers; who has most of them loses the oldest."""
FORM: Final = r"^[A-Za-z0-9._:-]{1,64}$"
PARAMETER: Final[dict[str, Any]] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": FORM},
    "description": "Sent again by the same caller within an hour with the same key, method, path and body, a change is "
    "made once: the answer is that of the first time.",
}
WITHOUT: Final = re.compile(r"/api/v1/captures/[^/]+/keys")
"""What is answered here is kept nowhere else, and changes nothing."""
_FORM: Final = re.compile(FORM[1:-1])


@dataclass(frozen=True, slots=True)
class _Known:
    request: bytes
    """A digest of it."""
    at: float
    answer: "asyncio.Future[tuple[Message, ...]]"
    """No messages: it was refused, and is not kept."""
    octets: int = 0


class Repeats:
    """Makes each change once."""

    def __init__(self, app: ASGIApp, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._callers: OrderedDict[str, OrderedDict[str, _Known]] = OrderedDict()
        self._octets: dict[str, int] = {}
        self._chance = secrets.token_bytes(32)
        """Digests of requests are of no use to who tries guesses at what was in them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        changes = scope["type"] == "http" and scope["method"] not in HARMLESS and not WITHOUT.fullmatch(scope["path"])
        key = _key(scope) if changes else None
        caller = caller_of(scope)
        if key is None or caller.scope is None:
            await self._app(scope, receive, send)
            return
        if not _FORM.fullmatch(key):
            detail = "must be 1 to 64 letters, digits, '.', '_', ':' or '-'"
            error = FieldError(detail=detail, parameter=HEADER)
            await problem(INVALID, f"{HEADER}: {detail}", errors=[error])(scope, receive, send)
            return
        body = await _body(receive)
        request = self._digest(scope, body)
        while (known := self._found(caller.name, key)) is not None:
            if known.request != request:
                hint = "take a new key for a new order"
                await problem(KEY_REUSED, f"this {HEADER} was used for another order", hint=hint)(scope, receive, send)
                return
            if messages := await asyncio.shield(known.answer):
                for message in _marked(messages):
                    await send(message)
                return
            # The one that we waited for was refused. Now it is this one's turn, or that of another who waited.
        await self._first(scope, body, send, (caller.name, key), request)

    async def _first(self, scope: Scope, body: bytes, send: Send, place: tuple[str, str], request: bytes) -> None:
        answer: asyncio.Future[tuple[Message, ...]] = asyncio.get_running_loop().create_future()
        self._remember(place, _Known(request, self._clock(), answer))
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        replay = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replayed() -> Message:
            return next(replay, {"type": "http.disconnect"})

        try:
            await self._app(scope, replayed, hold)
        except BaseException:
            fault: list[Message] = []

            async def keep(message: Message) -> None:
                fault.append(message)

            hint = "look what there is now; a new key carries it out anew"
            await problem(INTERNAL, "the first one of this key met a fault", hint=hint)(scope, replayed, keep)
            self._settle(place, answer, fault)
            raise
        self._settle(place, answer, held)
        for message in held:
            await send(message)

    def _found(self, caller: str, key: str) -> _Known | None:
        known = self._callers[caller].get(key) if caller in self._callers else None
        if known is not None and known.answer.done() and self._clock() - known.at > KEPT_S:
            self._forget(caller, key)
            return None
        return known

    def _remember(self, place: tuple[str, str], known: _Known) -> None:
        caller, key = place
        keys = self._callers.setdefault(caller, OrderedDict())
        keys[key] = known
        self._octets[caller] = self._octets.get(caller, 0) + known.octets
        if len(keys) > MOST_KEYS:
            self._forget(caller, next(iter(keys)))
        while sum(self._octets.values()) > MOST_OCTETS:
            most = max(self._octets, key=self._octets.__getitem__)
            self._forget(most, next(iter(self._callers[most])))

    def _settle(
        self, place: tuple[str, str], answer: "asyncio.Future[tuple[Message, ...]]", messages: list[Message]
    ) -> None:
        """What the first one was answered with."""
        caller, key = place
        known = self._callers[caller].get(key) if caller in self._callers else None
        refused = 400 <= (messages[0]["status"] if messages else INTERNAL.status) < INTERNAL.status
        answer.set_result(() if refused else tuple(messages))
        if known is None or known.answer is not answer:
            return
        self._forget(caller, key)
        if not refused:
            octets = sum(len(message.get("body", b"")) for message in messages)
            self._remember(place, _Known(known.request, known.at, answer, octets))

    def _forget(self, caller: str, key: str) -> None:
        known = self._callers[caller].pop(key)
        self._octets[caller] -= known.octets
        if not self._callers[caller]:
            del self._callers[caller], self._octets[caller]

    def _digest(self, scope: Scope, body: bytes) -> bytes:
        digest = blake2b(digest_size=32, key=self._chance)
        for part in (scope["method"].encode(), scope["path"].encode(), scope.get("query_string", b""), body):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()


def _key(scope: Scope) -> str | None:
    found = [value for name, value in scope["headers"] if name == HEADER.lower().encode()]
    return b",".join(found).decode("latin-1") if found else None


async def _body(receive: Receive) -> bytes:
    """All of it: it was limited before."""
    body = bytearray()
    while True:
        message = await receive()
        body.extend(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            return bytes(body)


def _marked(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    begun = {**messages[0], "headers": [*messages[0]["headers"]]}
    MutableHeaders(scope=begun)[REPEATED] = "true"
    return (begun, *messages[1:])
