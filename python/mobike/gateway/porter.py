"""Asks operators' authorisers: coroutines on the loop, plain functions in threads; some at a time, with a deadline."""

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from mobike.auth.visitors import Admit, Authoriser, Inquiry, Judgement, Refuse, Ticket
from mobike.config.settings import AuthoriserSettings

log = structlog.get_logger()

THREADS: Final = 16
"""For authorisers that are no coroutines: one that hangs holds a thread until it returns."""
AT_A_TIME: Final = 256
"""Beyond, visitors wait for their turn, and their deadline runs on."""


class Porter:
    """One for the daemon. `heard` gets what an authoriser said, in the loop."""

    def __init__(
        self, authorisers: Mapping[str, AuthoriserSettings], heard: Callable[[Ticket, Judgement], None]
    ) -> None:
        self._authorisers = dict(authorisers)
        self._heard = heard
        self._room = asyncio.Semaphore(AT_A_TIME)
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads: ThreadPoolExecutor | None = None

    def obey(self, authorisers: Mapping[str, AuthoriserSettings]) -> None:
        """From now on these are asked."""
        self._authorisers = dict(authorisers)

    def ask(self, inquiries: Iterable[Inquiry]) -> None:
        """Begin to ask; nothing waits for it."""
        for inquiry in inquiries:
            task = asyncio.get_running_loop().create_task(self._inquire(inquiry))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Nobody waits for an answer any more."""
        for task in self._tasks:
            task.cancel()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _inquire(self, inquiry: Inquiry) -> None:
        settings = self._authorisers.get(inquiry.visitor.connection)
        if settings is None:
            self._heard(inquiry.ticket, Refuse("its connection has no authoriser any more"))
            return
        try:
            async with asyncio.timeout(settings.within / 1e9), self._room:
                judgement = await self._judge(settings.authoriser, inquiry)
        except TimeoutError:
            judgement = Refuse(f"no word within {settings.within / 1e9:g} s")
        except Exception as fault:
            log.exception("authoriser.failed", text=f"the authoriser of {inquiry.visitor.connection} failed: {fault!r}")
            judgement = Refuse(f"it failed ({type(fault).__name__})")
        self._heard(inquiry.ticket, judgement)

    async def _judge(self, authoriser: Authoriser, inquiry: Inquiry) -> Judgement:
        if inspect.iscoroutinefunction(authoriser.judge):
            said: object = await authoriser.judge(inquiry.visitor)
        else:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(THREADS, "authorise")
            said = await asyncio.get_running_loop().run_in_executor(self._threads, authoriser.judge, inquiry.visitor)
        match said:
            case Admit() | Refuse():
                return said
            case _:
                return Refuse(f"it answered {type(said).__name__}, which is neither Admit nor Refuse")
