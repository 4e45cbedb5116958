"""HTTP/1.1 as commands need it: over a Unix socket, TCP, or TLS, one request after another, and streams of lines.

Of the standard library, because a command is over in a fraction of the time that importing a client of HTTP takes.
"""

import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Final, Protocol, Self
from urllib.parse import quote, urlencode, urlsplit

if TYPE_CHECKING:
    from ssl import SSLContext

TIMEOUT_S: Final = 10.0
"""The daemon answers in milliseconds; one that does not within this time is stuck."""
IDLE_S: Final = 2.0
"""A connection that rested for longer may be gone at the other end: a daemon closes it after five seconds."""
_PIECE: Final = 1 << 16
"""Octets of a stream that are read at a time, at most."""
_SUCCESS: Final = range(200, 300)
_SAFE: Final = "/%:@!$&'()*+,;="
"""In a path, beside letters and digits; `%` of what is written in hexadecimal already."""


class Connect(Protocol):
    """Makes a connection, which is opened when something is sent."""

    def __call__(self, *, timeout: float) -> HTTPConnection: ...


class Answer:
    """What came back, unless it is a stream."""

    def __init__(self, response: HTTPResponse, content: bytes) -> None:
        self.status = response.status
        self.reason = response.reason
        self.tag = response.headers["ETag"]
        self.content = content

    @property
    def is_success(self) -> bool:
        return self.status in _SUCCESS


class Stream:
    """An answer that comes line by line."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response
        self.is_success = response.status in _SUCCESS

    def whole(self) -> Answer:
        return Answer(self._response, self._response.read())

    def lines(self) -> Iterator[str]:
        rest = b""
        while piece := self._response.read1(_PIECE):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.decode().removesuffix("\r")
        if rest:
            yield rest.decode()


class Client:
    """One server: `OSError` or `http.client.HTTPException` of any call says why it could not be asked."""

    def __init__(self, connect: Connect, *, prefix: str = "", headers: Mapping[str, str] | None = None) -> None:
        """`prefix`: of all paths."""
        self._connect = connect
        self._prefix = prefix
        self._headers = dict(headers or {})
        self._kept: HTTPConnection | None = None
        self._kept_at = 0.0

    @classmethod
    def over_unix(cls, path: str) -> Self:
        return cls(partial(_OverUnix, path))

    @classmethod
    def at(cls, url: str, headers: Mapping[str, str], trust: "SSLContext | None" = None) -> Self:
        """ValueError says what is wrong with the URL."""
        split = urlsplit(url)
        if split.scheme not in {"http", "https"} or not split.hostname:
            raise ValueError("a URL begins with http:// or https://, and a host")
        connect = partial(HTTPConnection, split.hostname, split.port)
        if split.scheme == "https":
            connect = partial(HTTPSConnection, split.hostname, split.port, context=trust)
        return cls(connect, prefix=split.path.rstrip("/"), headers=headers)

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`body` as JSON."""
        if time.monotonic() - self._kept_at > IDLE_S:
            self.close()
        connection, self._kept = self._kept or self._connect(timeout=TIMEOUT_S), None
        told = self._headers | dict(headers or {})
        if body is not None:
            told["Content-Type"] = "application/json"
        try:
            connection.request(
                method, self._where(path, query), None if body is None else json.dumps(body).encode(), told
            )
            response = connection.getresponse()
            answer = Answer(response, response.read())
        except BaseException:
            connection.close()
            raise
        # One that the server closes is opened anew by itself.
        self._kept, self._kept_at = connection, time.monotonic()
        return answer

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT_S,
    ) -> Iterator[Stream]:
        """On a connection of its own: meanwhile other things may be asked. `timeout`: seconds between two pieces."""
        connection = self._connect(timeout=timeout)
        try:
            connection.request("GET", self._where(path, query), None, self._headers | dict(headers or {}))
            yield Stream(connection.getresponse())
        finally:
            connection.close()

    def _where(self, path: str, query: Mapping[str, str | int] | None) -> str:
        return quote(f"{self._prefix}{path}", safe=_SAFE) + (f"?{urlencode(query)}" if query else "")


class _OverUnix(HTTPConnection):
    """To a Unix socket."""

    def __init__(self, path: str, *, timeout: float) -> None:
        super().__init__("mobike", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
