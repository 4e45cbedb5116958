"""uvicorn in the daemon's own loop: on a Unix socket, where the kernel says who calls, and on loopback with a token."""

import asyncio
import contextlib
import logging
import os
import socket
import stat
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from mobike.facade import Facade
from mobike.facade.books import Books
from mobike_api.app import create_app
from mobike_api.auth import PEER_UID
from mobike_api.sse import Streams
from mobike_api.token import TokenError, load_or_make

log = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 512
"""At the same time; beyond that uvicorn answers 503."""

_BACKLOG: Final = 128
_UCRED: Final = struct.Struct("3i")
"""pid, uid, gid: what SO_PEERCRED tells (unix(7))."""


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
        version: str = "1",
    ) -> None:
        self._facade = facade
        self._books = books
        self._socket_path = socket
        self._tcp = tcp
        self._token_file = token_file
        self._version = version
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._streams = Streams()
        self._inode: int | None = None
        self.tcp_address: tuple[str, int] | None = None
        """Where it listens on TCP, once it has started: the port is a real one also if 0 was asked for."""

    async def start(self) -> None:
        """Listen and serve. ApiStartError if that cannot be."""
        with contextlib.ExitStack() as undo:
            sockets: list[socket.socket] = []
            token = None
            if self._tcp is not None:
                token = self._token()
                sockets.append(undo.enter_context(_listen_tcp(*self._tcp)))
                self.tcp_address = sockets[-1].getsockname()[:2]
            if self._socket_path is not None:
                sockets.append(undo.enter_context(_listen_unix(self._socket_path)))
                self._inode = self._socket_path.stat().st_ino
            undo.pop_all()
        app = create_app(self._facade, self._books, token=token, streams=self._streams, version=self._version)
        self._server = _Server(
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
            )
        )
        self._task = asyncio.create_task(self._server.serve(sockets), name="api")
        self._task.add_done_callback(_tell_if_it_failed)
        began = asyncio.create_task(self._server.began.wait())
        await asyncio.wait({self._task, began}, return_when=asyncio.FIRST_COMPLETED)
        began.cancel()
        if self._task.done():
            raise ApiStartError(f"the API cannot start: {self._task.exception()}")
        log.info("the API listens on %s", " and ".join(self._places()))

    async def stop(self) -> None:
        """End all streams, finish what is being answered, listen no more, and close the books."""
        if self._server is None or self._task is None:
            return
        self._streams.close()
        self._server.should_exit = True
        await self._task
        self._server = None
        self._books.close()
        if self._socket_path is not None:
            # Another daemon may listen under this name by now: that socket is its own.
            with contextlib.suppress(FileNotFoundError):
                if self._socket_path.stat().st_ino == self._inode:
                    self._socket_path.unlink()

    def _token(self) -> str:
        try:
            return load_or_make(self._token_file)
        except TokenError as problem:
            raise ApiStartError(str(problem)) from None

    def _places(self) -> Iterator[str]:
        if self._socket_path is not None:
            yield str(self._socket_path)
        if self.tcp_address is not None:
            host, port = self.tcp_address
            yield f"http://{f'[{host}]' if ':' in host else host}:{port}"


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
    """Tells the application who is at the other end of the Unix socket."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        uid = _peer_uid(transport)
        app = self.app

        async def with_peer(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, PEER_UID: uid} if uid is not None else scope, receive, send)

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
    if not address.is_loopback:
        raise ApiStartError(f"the API will not listen on {host}: it has no TLS yet, and its token could be read there")
    listener = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as problem:
        listener.close()
        raise ApiStartError(f"the API cannot listen on {host} port {port}: {problem.strerror}") from None
    return listener


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
