"""A daemon at work: until a signal ends it, with its API beside it, and read anew on another."""

import asyncio
import gc
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

import structlog

from mobike.config import Settings
from mobike.facade import Facade
from mobike.gateway.daemon import Daemon
from mobike.gateway.editor import Editor
from mobike.gateway.manager import Manager
from mobike.gateway.opening import Opening

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

log = structlog.get_logger()

GC_YOUNG, GC_MIDDLE, GC_OLD = 50_000, 20, 100
"""Objects made before the collector looks at young ones, and how seldom it looks at older ones (`gc.set_threshold`)."""


class Serves(Protocol):
    """A management API: how the shell starts and stops one without knowing which."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def _calm_the_collector() -> None:
    """Sessions hold no cycles, and walking 100,000 of them for each batch of events took half of all time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_YOUNG, GC_MIDDLE, GC_OLD)


@contextmanager
def _reload_on_signal(editor: Editor) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = loop.create_task(editor.on_signal())
        running.add(task)
        task.add_done_callback(running.discard)

    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        for task in running:
            task.cancel()


async def serve(
    opening: Opening,
    api: Callable[[Facade, Settings], Serves] | None,
    *,
    manager: Manager | None = None,
    tracer: "Tracer | None" = None,
    also: Callable[[Daemon], Coroutine[None, None, None]] | None = None,
) -> None:
    """Run a daemon with its API until SIGTERM or SIGINT; SIGHUP makes it read its files again. `manager` is told when
    it is up, that it lives, and when it ends. `also` runs beside it and is cancelled with it."""
    settings = opening.loaded.settings
    loop = asyncio.get_running_loop()
    _calm_the_collector()
    async with AsyncExitStack() as stack:
        daemon = await stack.enter_async_context(Daemon(opening, tracer))
        stack.enter_context(_reload_on_signal(daemon.editor))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, daemon.stopping.set)
            stack.callback(loop.remove_signal_handler, number)
        if api is not None:
            server = api(daemon.facade, settings)
            await server.start()
            stack.push_async_callback(server.stop)
        up = (
            f"{len(settings.connections)} connections, ports {settings.daemon.ike_port} and {settings.daemon.natt_port}"
        )
        log.info("daemon.up", text=up)
        if manager is not None:
            manager.ready(up, daemon.is_whole)
        tasks: list[asyncio.Task[object]] = [loop.create_task(daemon.stopping.wait())]
        if also is not None:
            tasks.append(loop.create_task(also(daemon)))
        done, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for task in done:
            task.result()
        ends = "closing all SAs" if settings.store is None else "parking all SAs"
        log.info("daemon.ends", text=ends)
        if manager is not None:
            manager.ends(ends)
