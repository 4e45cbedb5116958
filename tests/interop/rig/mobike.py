"""Our own daemon in a namespace: its configuration written, its API asked, its events followed, its log read."""

from __future__ import annotations

import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from re import Match
from types import TracebackType
from typing import Any, Self, TypeAlias

import httpx

from mobike.config.toml import write_value
from mobike_api.schemas import Connection, Event, IkeSaDetail

from .network import INNER_NET, Namespace, Rig
from .program import TAIL, Program
from .roles import CLIENT_ID, ESP, GATEWAY_ID, IKE, POOL, PSK
from .waiting import PATIENCE, START, until

Toml: TypeAlias = str | int | bool | Sequence["Toml"] | Mapping[str, "Toml"]

CONNECTION = "net"
"""What both configurations below call their connection."""

DEVICE = "mobike0"
"""The TUN device of a daemon."""


def mobike_client(*remote: str, links: Sequence[Mapping[str, Toml]] = (), **connection: Toml | None) -> dict[str, Toml]:
    """A client of the gateway at `remote`, which it connects to at once; `connection` changes its keys, None: away."""
    usual: dict[str, Toml] = {
        "role": "initiator",
        "remote": remote,
        "local_id": CLIENT_ID,
        "remote_id": GATEWAY_ID,
        "psk": PSK,
        "virtual_ip": ["ipv4"],
        "remote_ts": [INNER_NET],
        "while_down": "clear",  # shields have tests of their own
        "ike": [IKE],
        "esp": [ESP],
    }
    return _config(links, usual, connection)


def mobike_gateway(**connection: Toml | None) -> dict[str, Toml]:
    """A gateway for the net behind it, with addresses of `POOL` to lease; `connection` changes its keys."""
    usual: dict[str, Toml] = {
        "role": "responder",
        "local_id": GATEWAY_ID,
        "remote_id": "*",
        "psk": PSK,
        "local_ts": [INNER_NET],
        "pool": [POOL],
        "ike": [IKE],
        "esp": [ESP],
    }
    return _config((), usual, connection)


class Mobike:
    """`mobike run` in a namespace. Entering starts it and waits for its API; leaving ends it, and looks at its log."""

    def __init__(self, rig: Rig, ns: Namespace, directory: Path, config: Mapping[str, Toml] | str) -> None:
        """`config` as tables, or as the text of a file that says nothing of [daemon], [api] and [dataplane]."""
        directory.mkdir(parents=True, exist_ok=True)
        self._rig = rig
        self._ns = ns
        self._log_path = directory / "mobike.log"
        self._config_path = directory / "mobike.toml"
        # A path of a Unix socket has 107 bytes at most; the folder of a test may be longer.
        self._socket_folder = tempfile.TemporaryDirectory(prefix="mbk-api-")
        self._socket = f"{self._socket_folder.name}/api"
        own: dict[str, Toml] = {
            "daemon": {"state_dir": str(directory / "state"), "log_level": "debug", "log_format": "json"},
            "api": {"socket": self._socket, "tcp": ""},
            "dataplane": {"inner": "tun", "tun": DEVICE},
        }
        self._config_path.touch(mode=0o600)
        text = _toml_file(own) + "\n" + config if isinstance(config, str) else _toml_file(own | dict(config))
        self._config_path.write_text(text)
        self._program: Program | None = None
        self._http: httpx.Client | None = None
        self._events = _Follower(self._socket)

    # --- asked --------------------------------------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        """GET under /api/v1."""
        return self._client.get(path).raise_for_status().json()

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> None:
        """POST under /api/v1."""
        self._client.post(path, json=body).raise_for_status()

    def put(self, path: str, body: Mapping[str, Any]) -> None:
        """PUT under /api/v1."""
        self._client.put(path, json=body).raise_for_status()

    def delete(self, path: str) -> None:
        """DELETE under /api/v1."""
        self._client.delete(path).raise_for_status()

    def ike_sas(self) -> list[IkeSaDetail]:
        """All IKE SAs, in detail; one that ended meanwhile is left out."""
        found = []
        for row in self.get("ike-sas")["items"]:
            answer = self._client.get(f"ike-sas/{row['id']}")
            if answer.status_code != httpx.codes.NOT_FOUND:
                found.append(IkeSaDetail.model_validate_json(answer.raise_for_status().content))
        return found

    def connection(self, name: str = CONNECTION) -> Connection:
        """A connection as the API shows it."""
        return next(
            each for each in map(Connection.model_validate, self.get("connections")["items"]) if each.name == name
        )

    def counters(self) -> dict[str, int]:
        """All counters."""
        counters: dict[str, int] = self.get("counters")["counters"]
        return counters

    def events(self, kind: str = "") -> list[Event]:
        """What happened since the start, as the API told it: all, or of one kind."""
        return [each for each in self._events.seen() if kind in ("", each.kind)]

    def written(self, store: str = "sas.db") -> int:
        """When it wrote to its store last, in nanoseconds."""
        files = self._config_path.parent.glob(f"{store}*")
        return max((file.stat().st_mtime_ns for file in files), default=0)

    # --- awaited ------------------------------------------------------------------------------------------------------

    def wait_sa(self, condition: Callable[[IkeSaDetail], bool], what: str, timeout: float = PATIENCE) -> IkeSaDetail:
        """Wait until one IKE SA meets the condition; the error shows those there were."""
        with self._explained():
            return until(lambda: next(filter(condition, self.ike_sas()), None), what, timeout)

    def wait_up(self, timeout: float = PATIENCE) -> IkeSaDetail:
        """Wait for an IKE SA with a Child SA."""
        return self.wait_sa(lambda one: one.sa.state == "established" and bool(one.children), "a tunnel is up", timeout)

    def wait_connection(
        self, condition: Callable[[Connection], bool], what: str, timeout: float = PATIENCE
    ) -> Connection:
        """Wait until the connection meets the condition."""
        with self._explained():
            return until(lambda: next(filter(condition, [self.connection()]), None), what, timeout)

    def wait_event(
        self, kind: str, condition: Callable[[Event], bool] = lambda _: True, timeout: float = PATIENCE
    ) -> Event:
        """Wait for an event of this kind, from the start on."""
        with self._explained():
            return until(lambda: next(filter(condition, self.events(kind)), None), f"an event {kind!r}", timeout)

    def wait_log(self, pattern: str, timeout: float = PATIENCE) -> Match[str]:
        """Wait for a line of the log that matches."""
        return self.program.wait_log(pattern, timeout)

    def log(self) -> str:
        """What it logged."""
        return self.program.log()

    # --- its life -----------------------------------------------------------------------------------------------------

    @property
    def socket(self) -> str:
        """Where its API listens."""
        return self._socket

    @property
    def program(self) -> Program:
        """The running daemon."""
        if self._program is None:
            raise RuntimeError("this mobike was not started")
        return self._program

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        argv = [sys.executable, "-m", "mobike.cli", "run", "--config", str(self._config_path)]
        # Compiled modules may be kept: without them every start takes seconds.
        env = {"PYTHONDONTWRITEBYTECODE": ""}
        self._program = self._rig.spawn(self._ns, argv, env, log=self._log_path)
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=self._socket), base_url="http://mobike/api/v1/", timeout=5.0
        )
        self._program.wait_log('"daemon.up"', timeout=START)  # the API listens by then
        self._events.start()

    def stop(self) -> int:
        """End the daemon, which deletes its SAs and tells the peers; its exit status."""
        status = self.program.stop()
        self._events.stop()
        self._client.close()
        with suppress(FileNotFoundError):
            self._socket_folder.cleanup()
        return status

    def restart(self, sign: signal.Signals = signal.SIGTERM) -> None:
        """End the daemon by this signal, and start it again."""
        self.end(sign)
        self.begin_again()

    def end(self, sign: signal.Signals) -> None:
        """End the daemon by this signal, for a while."""
        status = self.program.stop(sign)
        assert status == (0 if sign is signal.SIGTERM else -sign), f"it ended with {status}\n{self.log()[-TAIL:]}"
        self._events.stop()
        self._client.close()

    def begin_again(self) -> None:
        """Start the daemon that was ended."""
        self._events = _Follower(self._socket)
        self.start()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            if self._program is not None:
                self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = self.stop()
        if error is not None:
            error.add_note(f"{self.program}:\n{self.log()[-TAIL:]}")
            return
        assert status == 0, f"{self.program} ended with {status}\n{self.log()[-TAIL:]}"
        faults = re.findall(r'^.*"level": "error".*$|^Traceback.*$', self.log(), re.MULTILINE)
        assert not faults, "\n".join(faults)

    @property
    def _client(self) -> httpx.Client:
        if self._http is None:
            raise RuntimeError("this mobike was not started")
        return self._http

    def _explained(self) -> _Explained:
        return _Explained(self)


class _Explained:
    """Adds what the daemon shows and logged to a wait that failed."""

    def __init__(self, mobike: Mobike) -> None:
        self._mobike = mobike

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, TimeoutError):
            with suppress(httpx.HTTPError):
                error.add_note(f"{self._mobike.get('connections')}\n{self._mobike.ike_sas()}")


class _Follower:
    """Follows the stream of events in a thread until the daemon closes it; its heartbeat comes every 15 s."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._events: list[Event] = []
        self._thread: threading.Thread | None = None
        self._follows = threading.Event()

    def start(self) -> None:
        """The daemon listens; wait until it is heard, so that none is asked that was killed meanwhile."""
        self._thread = threading.Thread(target=self._follow, name="events")
        self._thread.start()
        self._follows.wait(PATIENCE)

    def stop(self) -> None:
        """The daemon is gone, and the stream with it."""
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def seen(self) -> list[Event]:
        return list(self._events)

    def _follow(self) -> None:
        transport = httpx.HTTPTransport(uds=self._socket)
        with (
            suppress(httpx.TransportError),
            httpx.Client(transport=transport, base_url="http://mobike/api/v1/", timeout=60.0) as http,
            http.stream("GET", "events", params={"after": 0}) as stream,
        ):
            self._follows.set()
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    self._events.append(Event.model_validate_json(line.removeprefix("data:")))


def _config(
    rules: Sequence[Mapping[str, Toml]], usual: Mapping[str, Toml], changes: Mapping[str, Toml | None]
) -> dict[str, Toml]:
    return {
        "links": {"source": "netlink", "rule": list(rules)},
        "connections": {CONNECTION: {key: value for key, value in {**usual, **changes}.items() if value is not None}},
    }


def _toml_file(tables: Mapping[str, Toml]) -> str:
    text = ""
    for name, table in tables.items():
        assert isinstance(table, Mapping), name
        text += f"[{name}]\n" + "".join(f"{key} = {write_value(value)}\n" for key, value in table.items())
    return text
