"""A daemon to talk to: the real API on real sockets, over a facade in memory, in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mobike.cli import main
from mobike_api import ApiServer
from tests.api.books import some_books
from tests.api.house import House, a_house, a_sa


@dataclass
class Told:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Told]


@pytest.fixture
def mobike(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `mobike` with these arguments."""
    for name in ("MOBIKE_SOCKET", "MOBIKE_URL", "MOBIKE_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object) -> Told:
        monkeypatch.setattr("sys.argv", ["mobike", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        code = ended.value.code
        return Told(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run


@dataclass
class Running:
    """A daemon that runs."""

    house: House
    socket: Path
    token_file: Path
    url: str


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    house = a_house(1)
    socket, token_file = tmp_path / "api.sock", tmp_path / "api.token"
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        server = ApiServer(house, some_books(), socket=socket, tcp=("127.0.0.1", 0), token_file=token_file)
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        assert server.tcp_address is not None
        yield Running(house, socket, token_file, f"http://127.0.0.1:{server.tcp_address[1]}")
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def many(daemon: Running) -> Running:
    """A daemon with a dozen IKE SAs."""
    daemon.house.sas = {f"{number:x}": a_sa(number) for number in range(1, 13)}
    return daemon
