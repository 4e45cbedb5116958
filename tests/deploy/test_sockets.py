"""The sockets of docs/deploy/mobike.socket: systemd takes the unit, and a real daemon listens where it was handed
descriptors, in the place of its own; what cannot be listened on ends the start with a word."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from mobike_api import ApiServer, handed
from mobike_api.handed import FIRST, HandedError, take_handed
from mobike_api.server import ApiStartError
from tests.api.books import some_books
from tests.api.house import a_house
from tests.cli.ends import DEADLINE_S, START_S
from tests.deploy.test_service import needs_systemd
from tests.ports import free_ports

DEPLOY = Path(__file__).parents[2] / "docs/deploy"


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_socket_and_its_service(tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("mobike"))
    for name in ("mobike.socket", "mobike.service"):
        (tmp_path / name).write_text((DEPLOY / name).read_text().replace("/usr/bin/mobike", program))
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "mobike.socket")]
    told = subprocess.run(command, check=False, capture_output=True, text=True)
    assert [line for line in told.stderr.splitlines() if "mobike" in line] == []
    assert told.returncode == 0


@pytest.mark.timeout(2 * START_S + 2 * DEADLINE_S)
def test_who_calls_before_the_daemon_is_up_or_while_it_is_started_anew_is_answered(tmp_path: Path) -> None:
    place = tmp_path / "api.sock"
    with _unix(place) as unix, socket.create_server(("127.0.0.1", 0)) as tcp:
        inode = place.stat().st_ino
        for _ in range(2):
            answer = _asked(place)
            with _daemon(tmp_path, unix, tcp) as process:
                assert answer()["items"][0]["name"] == "rw"
                token = (tmp_path / "state/api.token").read_text().strip()
                headers = {"Authorization": f"Bearer {token}"}
                url = f"http://127.0.0.1:{tcp.getsockname()[1]}/api/v1/connections"
                assert httpx.get(url, timeout=DEADLINE_S).status_code == httpx.codes.UNAUTHORIZED
                assert httpx.get(url, timeout=DEADLINE_S, headers=headers).status_code == httpx.codes.OK
                process.send_signal(signal.SIGTERM)
                assert process.wait(DEADLINE_S) == 0, (tmp_path / "log").read_text()
            # It is not ours to take away.
            assert place.stat().st_ino == inode
    assert not (tmp_path / "state/api.sock").exists(), "it has not listened elsewhere as well"


def test_what_was_meant_for_another_process_is_not_taken() -> None:
    for environ in ({}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, _for_us("many")):
        assert take_handed(environ) == ()
        assert environ == {}, "what we start in turn does not take it for its own"


@pytest.mark.parametrize("kind", ["file", "datagrams", "deaf", "many"])
def test_what_nobody_can_connect_to_ends_the_start_with_a_word(tmp_path: Path, kind: str) -> None:
    with ExitStack() as stack:
        match kind:
            case "file":
                number, word = stack.enter_context((tmp_path / "x").open("wb")).fileno(), "is no socket"
            case "datagrams":
                number = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).fileno()
                word = "nobody can connect to it"
            case "deaf":
                number, word = stack.enter_context(socket.socket()).fileno(), "nobody can connect to it"
            case _:
                number, word = FIRST, "17 sockets were handed to us"
        run = _handing(f"import runpy; runpy.run_path({handed.__file__!r})['take_handed'](os.environ)", [number])
        environ = {**os.environ, **({"HANDED": "17"} if kind == "many" else {})}
        told = subprocess.run(
            run, env=environ, pass_fds=[number] if kind != "many" else [], capture_output=True, text=True, check=False
        )
    assert told.returncode == 1
    assert HandedError.__name__ in told.stderr and word in told.stderr


async def test_a_socket_that_can_be_reached_from_outside_needs_tls_as_well(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as open_to_all:
        server = ApiServer(
            a_house(1), some_books(), socket=None, tcp=None, token_file=tmp_path / "token", handed=[open_to_all]
        )
        with pytest.raises(ApiStartError, match=r"will not listen on 0\.0\.0\.0: it has no TLS"):
            await server.start()


def _for_us(count: str) -> MutableMapping[str, str]:
    return {"LISTEN_FDS": count, "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "a:b"}


def _handing(code: str, numbers: list[int]) -> list[str]:
    """As systemd starts a service: the descriptors from 3 on, and the variables that say for whom they are."""
    before = f"""
import fcntl, os, sys
numbers = [fcntl.fcntl(each, fcntl.F_DUPFD, 64) for each in {numbers}] if "HANDED" not in os.environ else []
for at, number in enumerate(numbers):
    os.dup2(number, {FIRST} + at)
os.environ["LISTEN_FDS"] = os.environ.get("HANDED", str(len(numbers)))
os.environ["LISTEN_PID"] = str(os.getpid())
"""
    return [sys.executable, "-c", before + code]


@contextmanager
def _unix(place: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()
        yield listener


@contextmanager
def _daemon(folder: Path, *listeners: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    ike, natt = free_ports(2)
    config = folder / "mobike.toml"
    config.write_text(f"""
[daemon]
listen = ["127.0.11.1"]
ike_port = {ike}
natt_port = {natt}
state_dir = "state"
[dataplane]
inner = "echo"
[links]
source = "manual"
manual = ["127.0.11.1"]
[connections.rw]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@example.net"
psk = "correct horse battery staple"
local_ts = ["10.1.0.1/32"]
pool = ["10.99.0.0/24"]
""")
    numbers = [each.fileno() for each in listeners]
    start = f"os.execv(sys.executable, [sys.executable, '-m', 'mobike.cli', 'run', '--config', {str(config)!r}])"
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            _handing(start, numbers), pass_fds=numbers, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class _asked:
    """A call that is made now, whoever is there to answer."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._said: dict[str, object] = {}
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(self._place)), timeout=START_S) as api:
            self._said = api.get("http://mobike/api/v1/connections").json()

    def __call__(self) -> dict[str, list[dict[str, str]]]:
        self._thread.join(START_S)
        return self._said  # type: ignore[return-value]
