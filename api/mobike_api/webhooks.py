"""Events are told to those who want to hear of them: signed, in order, again and again until they are taken.

Each webhook reads the daemon's bounded ring of events at its own pace, so nothing piles up here: whoever falls behind
is told how many are gone. What is sent is a message as https://www.standardwebhooks.com has it.
"""

import asyncio
import base64
import hmac
import json
import logging
import random
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from mobike.facade import EventView, Facade

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

MOST_EVENTS: Final = 100
"""In one message."""
LINGER_S: Final = 0.05
"""How long an event waits for company."""
TRIES: Final = 10
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 120.0
"""Ten tries take about nine minutes; a ring of some thousand events outlives that but in a storm."""
TIMEOUT_S: Final = 10.0
ALWAYS: Final = "dropped"
"""Told whatever was asked for: there is a gap."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Who is told, of what, and the secret that signs it."""

    name: str
    url: str
    secret: bytes = field(repr=False)
    events: tuple[str, ...] = ("*",)
    """Kinds, `*` for any part of one."""

    def wants(self, event: EventView) -> bool:
        return event.kind == ALWAYS or any(fnmatchcase(event.kind, each) for each in self.events)


@dataclass(slots=True)
class Tally:
    """What became of the events for one webhook."""

    told: int = 0
    given_up: int = 0
    """Told so often in vain that the next ones came first."""
    missed: int = 0
    """Fell out of the ring before they could be told."""
    failed_tries: int = 0
    last_error: str | None = None


class Webhooks:
    """All of one daemon, from `start` to `stop`."""

    def __init__(
        self,
        facade: Facade,
        hooks: Sequence[Webhook],
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._facade = facade
        self._hooks = hooks
        self._clock = clock
        self._chance = chance
        self._first_pause_s = first_pause_s
        self._tasks: list[asyncio.Task[None]] = []
        self.tallies = {each.name: Tally() for each in hooks}

    def start(self) -> None:
        """From now on."""
        for hook in self._hooks:
            task = asyncio.create_task(self._serve(hook), name=f"webhook {hook.name}")
            task.add_done_callback(_tell_if_it_failed)
            self._tasks.append(task)

    async def stop(self) -> None:
        """At once: who is not there cannot hold up the end of the daemon."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, hook: Webhook) -> None:
        import httpx  # noqa: PLC0415 - most daemons have no webhooks, and it takes long to import

        # No proxy of the environment, no cookies that last, and nothing is told to where somebody points us.
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, follow_redirects=False) as client,
            aclosing(_together(self._facade.events(None), hook)) as told,
        ):
            async for events in told:
                await self._tell(client, hook, events)

    async def _tell(self, client: "httpx.AsyncClient", hook: Webhook, events: Sequence[EventView]) -> None:
        tally = self.tallies[hook.name]
        tally.missed += sum(_gone(each) for each in events)
        id_, body = f"msg_{secrets.token_hex(12)}", _body(events)
        for tried in range(TRIES):
            if tried:
                await asyncio.sleep(self._pause(tried))
            tally.last_error = await self._try(client, hook, id_, body)
            if tally.last_error is None:
                tally.told += len(events)
                return
            tally.failed_tries += 1
        tally.given_up += len(events)
        log.warning("webhook %s: %d events given up: %s", hook.name, len(events), tally.last_error)

    async def _try(self, client: "httpx.AsyncClient", hook: Webhook, id_: str, body: bytes) -> str | None:
        """None: it was taken."""
        import httpx  # noqa: PLC0415 - as above

        at = str(int(self._clock()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "mobike",
            "webhook-id": id_,
            "webhook-timestamp": at,
            "webhook-signature": sign(hook.secret, id_, at, body),
        }
        try:
            # What it answers beside the status is nothing to us, however long it is.
            async with client.stream("POST", hook.url, content=body, headers=headers) as answer:
                return None if answer.is_success else f"it answered {answer.status_code}"
        except httpx.TimeoutException:
            return f"no answer within {TIMEOUT_S:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as problem:
            return f"it cannot be reached: {type(problem).__name__}"

    def _pause(self, tried: int) -> float:
        """Longer each time, and not the same for all gateways that lost one receiver."""
        whole = min(LONGEST_PAUSE_S, self._first_pause_s * float(1 << (tried - 1)))
        return whole * (0.5 + self._chance() / 2)


def sign(secret: bytes, id_: str, at: str, body: bytes) -> str:
    """HMAC-SHA-256 over id, time and body."""
    mac = hmac.digest(secret, f"{id_}.{at}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(mac).decode()}"


async def _together(events: AsyncIterator[EventView], hook: Webhook) -> AsyncGenerator[list[EventView], None]:
    """Those that it wants and that come at about one time."""
    coming = asyncio.ensure_future(anext(events))
    try:
        while True:
            found = [await coming]
            coming = asyncio.ensure_future(anext(events))
            while len(found) < MOST_EVENTS:
                await asyncio.wait({coming}, timeout=LINGER_S)
                if not coming.done():
                    break
                found.append(coming.result())
                coming = asyncio.ensure_future(anext(events))
            if wanted := [each for each in found if hook.wants(each)]:
                yield wanted
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


def _gone(event: EventView) -> int:
    count = event.data.get("dropped", 0) if event.kind == ALWAYS else 0
    return count if isinstance(count, int) else 0


def _body(events: Sequence[EventView]) -> bytes:
    return json.dumps({"type": "events", "events": [asdict(each) for each in events]}, separators=(",", ":")).encode()


def _tell_if_it_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("a webhook has stopped: %s", task.exception())
