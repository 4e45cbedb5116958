"""Real sockets: uvicorn on a Unix socket and on loopback, the kernel's word on who calls, streams of events."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from mobike_api import ApiServer, ApiStartError
from mobike_api.sse import Streams
from tests.api.books import some_books
from tests.api.house import RING, House, a_house


@dataclass
class Served:
    house: House
    server: ApiServer
    socket: Path
    token_file: Path

    def by_unix(self) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket))
        return httpx.AsyncClient(transport=transport, base_url="http://mobike")

    def by_tcp(self, token: str | None = None) -> httpx.AsyncClient:
        assert self.server.tcp_address is not None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.server.tcp_address[1]}", headers=headers)

    @property
    def token(self) -> str:
        return self.token_file.read_text().strip()


@asynccontextmanager
async def _serving(folder: Path, house: House | None = None) -> AsyncIterator[Served]:
    house = house or a_house()
    path, token_file = folder / "run/api.sock", folder / "state/api.token"
    server = ApiServer(house, some_books(), socket=path, tcp=("127.0.0.1", 0), token_file=token_file)
    await server.start()
    try:
        yield Served(house, server, path, token_file)
    finally:
        await server.stop()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with _serving(tmp_path) as served:
        yield served


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can enter: pytest's own are closed to them."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


# --- who may call ----------------------------------------------------------------------------------------------------


async def test_our_own_user_needs_no_token_on_the_unix_socket(served: Served) -> None:
    assert stat.S_IMODE(served.socket.stat().st_mode) == 0o600
    async with served.by_unix() as api:
        assert (await api.get("/api/v1/ike-sas")).raise_for_status().json()["total"] == 3


async def test_tcp_wants_the_token_that_was_made_at_first_start(served: Served) -> None:
    assert stat.S_IMODE(served.token_file.stat().st_mode) == 0o600
    assert len(served.token) >= 43
    for token, status in ((None, 401), ("wrong" * 10, 401), (served.token, 200)):
        async with served.by_tcp(token) as api:
            assert (await api.get("/api/v1/ike-sas")).status_code == status
            assert (await api.get("/livez")).status_code == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to call as another user")
async def test_another_user_is_refused_by_the_socket_and_by_its_credentials(open_folder: Path) -> None:
    async with _serving(open_folder) as served:
        assert await _as_nobody(served.socket) == "PermissionError"
        served.socket.chmod(0o666)
        answer = await _as_nobody(served.socket)
        assert answer.startswith("HTTP/1.1 401")
        assert "user 65534 is neither root nor the daemon's own user" in answer
        assert (await _as_nobody(served.socket, served.token)).startswith("HTTP/1.1 200")


async def _as_nobody(path: Path, token: str = "") -> str:
    """What user 65534 gets to see on the socket."""
    program = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
try:
    connection.connect(sys.argv[1])
except OSError as problem:
    print(type(problem).__name__)
    sys.exit()
authorization = f"Authorization: Bearer {sys.argv[2]}\\r\\n" if sys.argv[2] else ""
request = "GET /api/v1/counters HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n" + authorization + "\\r\\n"
connection.sendall(request.encode())
print(b"".join(iter(lambda: connection.recv(65536), b"")).decode())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", program, str(path), token, stdout=subprocess.PIPE
    )
    stdout, _ = await process.communicate()
    return stdout.decode().strip()


# --- starting and stopping -------------------------------------------------------------------------------------------


async def test_the_token_survives_a_restart(tmp_path: Path) -> None:
    tokens = []
    for _ in range(2):
        async with _serving(tmp_path) as served:
            tokens.append(served.token)
    assert tokens[0] == tokens[1]


async def test_a_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    async with _serving(tmp_path) as served:
        port = served.server.tcp_address
        assert served.socket.is_socket()
    assert not served.socket.exists()
    assert port is not None
    with socket.socket() as probe:
        assert probe.connect_ex(port) != 0


async def test_the_socket_of_a_daemon_that_was_killed_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "run/api.sock"))
    async with _serving(tmp_path) as served, served.by_unix() as api:
        assert (await api.get("/livez")).status_code == 200


async def test_a_second_daemon_is_refused_and_the_first_goes_on(served: Served, tmp_path: Path) -> None:
    second = ApiServer(a_house(), some_books(), socket=served.socket, tcp=None, token_file=tmp_path / "x")
    with pytest.raises(ApiStartError, match="another daemon does"):
        await second.start()
    async with served.by_unix() as api:
        assert (await api.get("/livez")).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
async def test_tcp_is_for_loopback_only(tmp_path: Path, host: str) -> None:
    server = ApiServer(a_house(), some_books(), socket=None, tcp=(host, 0), token_file=tmp_path / "token")
    with pytest.raises(ApiStartError, match="no TLS"):
        await server.start()


async def test_a_port_in_use_is_named(served: Served, tmp_path: Path) -> None:
    address = served.server.tcp_address
    other = ApiServer(
        a_house(), some_books(), socket=tmp_path / "other.sock", tcp=address, token_file=served.token_file
    )
    with pytest.raises(ApiStartError, match=r"cannot listen on 127\.0\.0\.1 port \d+: Address already in use"):
        await other.start()
    assert not (tmp_path / "other.sock").exists()


async def test_something_else_in_the_place_of_the_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "api.sock").write_text("precious")
    server = ApiServer(a_house(), some_books(), socket=tmp_path / "api.sock", tcp=None, token_file=tmp_path / "token")
    with pytest.raises(ApiStartError, match="no socket"):
        await server.start()
    assert (tmp_path / "api.sock").read_text() == "precious"


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        ("t" * 43, 0o640, "chmod 600"),
        ("short", 0o600, "no token"),
        ("", 0o600, "no token"),
        ("a b" * 20, 0o600, "no token"),
    ],
)
async def test_a_token_that_is_not_safe_is_refused(tmp_path: Path, content: str, mode: int, reason: str) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(content)
    token_file.chmod(mode)
    server = ApiServer(a_house(), some_books(), socket=None, tcp=("127.0.0.1", 0), token_file=token_file)
    with pytest.raises(ApiStartError, match=reason):
        await server.start()


async def test_signals_stay_with_the_daemon(tmp_path: Path) -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    before = handlers()
    async with _serving(tmp_path):
        assert handlers() == before


# --- the stream of events --------------------------------------------------------------------------------------------


@dataclass
class Heard:
    """One message of a stream."""

    id: int | None = None
    event: str = ""
    data: str = ""
    comments: list[str] = field(default_factory=list)


async def _messages(lines: AsyncIterator[str]) -> AsyncIterator[Heard]:
    heard = Heard()
    async for line in lines:
        name, _, value = line.partition(": ")
        match name:
            case "id":
                heard.id = int(value)
            case "event":
                heard.event = value
            case "data":
                heard.data = value
            case "" if line:
                heard.comments.append(value)
            case "":
                yield heard
                heard = Heard()
            case _:
                assert name == "retry"


@asynccontextmanager
async def _following(served: Served, **query: int) -> AsyncIterator[AsyncIterator[Heard]]:
    headers = {"Last-Event-ID": str(query.pop("last_event_id"))} if "last_event_id" in query else {}
    async with (
        served.by_unix() as api,
        api.stream("GET", "/api/v1/events", params=query, headers=headers, timeout=5) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        messages = _messages(answer.aiter_lines())
        await anext(messages)  # the retry line: we are being served
        yield messages


async def _until(condition: str, served: Served, count: int) -> None:
    for _ in range(200):
        if getattr(served.house, condition) == count:
            return
        await asyncio.sleep(0.01)
    assert getattr(served.house, condition) == count


async def test_events_come_as_they_happen_with_their_ids(served: Served) -> None:
    async with _following(served) as messages:
        await _until("open_streams", served, 1)
        served.house.tell("moved", "1 moved\nto somewhere", sa="1")
        heard = await anext(messages)
    assert (heard.id, heard.event) == (1, "moved")
    assert '"text":"1 moved\\nto somewhere"' in heard.data


async def test_who_comes_back_goes_on_behind_the_last_event_it_saw(served: Served) -> None:
    for number in range(1, 6):
        served.house.tell("noted", str(number))
    async with _following(served, last_event_id=2) as messages:
        assert [(await anext(messages)).id for _ in range(3)] == [3, 4, 5]
        served.house.tell("noted", "6")
        assert (await anext(messages)).id == 6
    async with _following(served, after=0) as messages:
        assert (await anext(messages)).id == 1
    async with _following(served, after=0, last_event_id=4) as messages:
        assert (await anext(messages)).id == 5


async def test_who_reads_slowly_is_told_how_much_is_gone_and_holds_up_nobody(served: Served) -> None:
    assert served.server.tcp_address is not None
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(served.server.tcp_address)
    slow.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {served.token}\r\n\r\n".encode())
    slow.setblocking(False)
    await _until("open_streams", served, 1)
    async with _following(served) as quick:
        await _until("open_streams", served, 2)
        for burst in range(40):
            for number in range(RING // 10):
                served.house.tell("noted", f"{burst} {number} " + "x" * 4000)
            for _ in range(RING // 10):
                assert (await anext(quick)).event == "noted"
    reader, writer = await asyncio.open_connection(sock=slow, limit=1 << 20)
    kinds: list[str] = []
    while not kinds or kinds[-1] != "dropped":
        line = (await asyncio.wait_for(reader.readline(), 5)).decode().strip()
        if line.startswith("event: "):
            kinds.append(line.removeprefix("event: "))
    assert len(kinds) < 3 * RING
    writer.close()
    await writer.wait_closed()
    await _until("open_streams", served, 0)


async def test_a_stream_that_is_left_is_forgotten(served: Served) -> None:
    async with _following(served):
        await _until("open_streams", served, 1)
    await _until("open_streams", served, 0)


async def test_a_silent_stream_shows_that_it_lives() -> None:
    house = a_house()
    stream = Streams(heartbeat_s=0.01).stream(house.events())
    assert [await anext(stream) for _ in range(3)] == [b"retry: 1000\n\n", b": still here\n\n", b": still here\n\n"]
    house.tell("noted", "x")
    assert (await anext(stream)).startswith(b"id: 1\nevent: noted\ndata: {")
    await asyncio.wait_for(_drain(stream), 1)


async def _drain(stream: AsyncIterator[bytes]) -> None:
    aclose = getattr(stream, "aclose", None)
    assert aclose is not None
    await aclose()


async def test_too_many_streams_are_refused(served: Served) -> None:
    served.server._streams._limit = 1
    async with _following(served):
        await _until("open_streams", served, 1)
        async with served.by_unix() as api:
            answer = await api.get("/api/v1/events")
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:problem-type:mobike:too-many-streams"


async def test_a_stop_ends_the_streams_at_once(tmp_path: Path) -> None:
    async with _serving(tmp_path) as served, _following(served) as messages:
        await _until("open_streams", served, 1)
        begin = asyncio.get_running_loop().time()
        stopping = asyncio.create_task(served.server.stop())
        assert [heard async for heard in messages] == []
        await stopping
        assert asyncio.get_running_loop().time() - begin < 1
