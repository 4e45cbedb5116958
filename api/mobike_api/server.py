"""uvicorn in the daemon's own loop: on a Unix socket, where the kernel says who calls, and on TCP."""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import stat
import struct
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from mobike.facade import Facade
from mobike.facade.books import Books
from mobike_api.app import create_app
from mobike_api.auth import PEER_UID
from mobike_api.operations import Operations
from mobike_api.sse import Streams
from mobike_api.tls import PEER_NAMES, Tls, TlsError, context_of, names_of
from mobike_api.token import TokenError, load_or_make
from mobike_api.webhooks import Webhook, Webhooks

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

log = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 512
"""At the same time; beyond that uvicorn answers 503."""

_BACKLOG: Final = 128
_UCRED: Final = struct.Struct("3i")
"""pid, uid, gid: what SO_PEERCRED tells (unix(7))."""


Listener = socket.socket


class ApiStartError(Exception):
    """The API cannot listen; one line says why and where."""


class ApiServer:
    """The API of one daemon, from `start` to `stop`."""

    def __init__(
        self,
        facade: Facade,
        books: Books,
        *,
        socket: Path | None,
        tcp: tuple[str, int] | None,
        token_file: Path,
        tls: Tls | None = None,
        webhooks: Sequence[Webhook] = (),
        handed: Sequence[Listener] = (),
        version: str = "1",
        tracer: "Tracer | None" = None,
    ) -> None:
        """`handed`: listeners of a service manager, in the place of those of our own of the same kind."""
        self._facade = facade
        self._books = books
        self._socket_path = socket
        self._tcp = tcp
        self._token_file = token_file
        self._version = version
        self._tracer = tracer
        self._tls = tls
        self._running: list[tuple[_Server, asyncio.Task[None]]] = []
        self._streams = Streams()
        self._operations = Operations(facade)
        self._webhooks = Webhooks(facade, webhooks)
        self._handed = tuple(handed)
        self._inode: int | None = None
        self.tcp_address: tuple[str, int] | None = None
        """Where it listens on TCP, once it has started: the port is a real one also if 0 was asked for."""

    async def start(self) -> None:
        """Listen and serve. ApiStartError if that cannot be."""
        with contextlib.ExitStack() as undo:
            listeners: list[tuple[socket.socket, ssl.SSLContext | None]] = []
            token = None
            ours, theirs = self._by_kind()
            if theirs or self._tcp is not None:
                context = None if self._tls is None else self._context(self._tls)
                token = self._token()
                for each in theirs:
                    _check_reach(each.getsockname()[0], safe=context is not None)
                if not theirs and self._tcp is not None:
                    _check_reach(self._tcp[0], safe=context is not None)
                    theirs = [undo.enter_context(_listen_tcp(*self._tcp))]
                listeners += ((each, context) for each in theirs)
                self.tcp_address = listeners[-1][0].getsockname()[:2]
            if ours:
                listeners += ((each, None) for each in ours)
            elif self._socket_path is not None:
                listeners.append((undo.enter_context(_listen_unix(self._socket_path)), None))
                self._inode = self._socket_path.stat().st_ino
            undo.pop_all()
        clients = None if self._tls is None else self._tls.clients
        app = create_app(
            self._facade,
            self._books,
            token=token,
            streams=self._streams,
            operations=self._operations,
            webhooks=self._webhooks,
            clients=clients,
            version=self._version,
            tracer=self._tracer,
        )
        for listener, context in listeners:
            await self._serve(app, listener, context)
        self._webhooks.start()
        log.info("the API listens on %s", " and ".join(self._places()))

    async def _serve(self, app: ASGIApp, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        server = _Server(
            uvicorn.Config(
                app,
                http=_PeerProtocol,
                ws="none",
                lifespan="off",
                loop="none",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_graceful_shutdown=1,
                ssl_context_factory=None if context is None else lambda *_: context,
            )
        )
        task = asyncio.create_task(server.serve([listener]), name="api")
        task.add_done_callback(_tell_if_it_failed)
        self._running.append((server, task))
        began = asyncio.create_task(server.began.wait())
        await asyncio.wait({task, began}, return_when=asyncio.FIRST_COMPLETED)
        began.cancel()
        if task.done():
            raise ApiStartError(f"the API cannot start: {task.exception()}")

    async def stop(self) -> None:
        """End all streams, finish what is being answered, listen no more, and close the books."""
        if not self._running:
            return
        self._streams.close()
        running, self._running = self._running, []
        for server, _ in running:
            server.should_exit = True
        for _, task in running:
            await task
        await self._operations.close()
        await self._webhooks.stop()
        self._books.close()
        if self._inode is not None and self._socket_path is not None:
            # Another daemon may listen under this name by now: that socket is its own.
            with contextlib.suppress(FileNotFoundError):
                if self._socket_path.stat().st_ino == self._inode:
                    self._socket_path.unlink()

    def _by_kind(self) -> tuple[list[socket.socket], list[socket.socket]]:
        """What was handed to us: for this host, and for TCP."""
        local = [each for each in self._handed if each.family == socket.AF_UNIX]
        return local, [each for each in self._handed if each.family != socket.AF_UNIX]

    def _context(self, tls: Tls) -> ssl.SSLContext:
        try:
            return context_of(tls)
        except TlsError as problem:
            raise ApiStartError(f"the API cannot start: {problem}") from None

    def _token(self) -> str:
        try:
            return load_or_make(self._token_file)
        except TokenError as problem:
            raise ApiStartError(str(problem)) from None

    def _places(self) -> Iterator[str]:
        ours, _ = self._by_kind()
        yield from (str(each.getsockname()) for each in ours)
        if not ours and self._socket_path is not None:
            yield str(self._socket_path)
        if self.tcp_address is not None:
            host, port = self.tcp_address
            scheme = "http" if self._tls is None else "https"
            yield f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


class _Server(uvicorn.Server):
    """Signals belong to the daemon, and it wants to know when we listen."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.began = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.began.set()


class _PeerProtocol(H11Protocol):
    """Tells the application who is at the other end: the user on the Unix socket, the names of a certificate."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        uid = _peer_uid(transport)
        known: dict[str, object] = {} if uid is None else {PEER_UID: uid}
        known |= {PEER_NAMES: names} if (names := names_of(transport)) else {}
        app = self.app

        async def with_peer(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, **known}, receive, send)

        self.app = with_peer


def _peer_uid(transport: asyncio.Transport) -> int | None:
    connection = transport.get_extra_info("socket")
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, uid, _ = _UCRED.unpack(credentials)
    return int(uid)


def _listen_tcp(host: str, port: int) -> socket.socket:
    address = ip_address(host)
    listener = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as problem:
        listener.close()
        raise ApiStartError(f"the API cannot listen on {host} port {port}: {problem.strerror}") from None
    return listener


def _check_reach(host: str, *, safe: bool) -> None:
    if not ip_address(host).is_loopback and not safe:
        raise ApiStartError(f"the API will not listen on {host}: it has no TLS, and its tokens could be read there")


def _listen_unix(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        _remove_dead_socket(path)
        # On Linux the mode set before bind is the mode of the name: there is no moment in which others could connect.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except OSError as problem:
        listener.close()
        raise ApiStartError(f"the API cannot listen on {path}: {problem.strerror or problem}") from None
    except ApiStartError:
        listener.close()
        raise
    return listener


def _remove_dead_socket(path: Path) -> None:
    """A daemon that was killed leaves its socket behind; one that lives answers on it."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ApiStartError(f"the API cannot listen on {path}: something that is no socket is there")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise ApiStartError(f"the API cannot listen on {path}: another daemon does")


def _tell_if_it_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("the API has stopped: %s", task.exception())
