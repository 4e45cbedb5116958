"""The service as docs/deploy ships it: systemd takes the unit, and a real daemon comes up within what the unit leaves
it, says when it is ready, that it lives, and that it ends."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from mobike.gateway.manager import Manager
from tests.cli.ends import DEADLINE_S, START_S
from tests.ports import free_ports

DOCS = Path(__file__).parents[2] / "docs"
UNIT = DOCS / "deploy/mobike.service"
EXPOSURE = 21
"""In tenths, of 100: what `systemd-analyze security` thinks of it. It has to be root's, and on the network."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The same for this installation."""
    ours = tmp_path / UNIT.name
    program = Path(sys.executable).with_name("mobike")
    ours.write_text(UNIT.read_text().replace("/usr/bin/mobike", str(program)))
    return ours


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path) -> None:
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    told = subprocess.run(command, check=False, capture_output=True, text=True)
    # Units of others on this machine may have flaws of their own.
    assert [line for line in told.stderr.splitlines() if unit.name in line] == []
    assert told.returncode == 0


@needs_systemd
def test_the_unit_exposes_no_more_than_a_gateway_must(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", str(unit)]
    told = subprocess.run(command, check=False, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout[-200:]


@pytest.mark.timeout(START_S + 2 * DEADLINE_S)
def test_a_daemon_within_the_bounds_of_the_unit_says_how_it_is(tmp_path: Path) -> None:
    with _manager(tmp_path) as (place, inbox), _daemon(tmp_path, place) as process:
        words = _words(inbox, process)
        first = next(words)
        assert first == ["READY=1", f"STATUS={_status(tmp_path)}"]
        # Ready means ready: nobody has to ask twice.
        transport = httpx.HTTPTransport(uds=str(tmp_path / "state/api.sock"))
        with httpx.Client(transport=transport, base_url="http://mobike", timeout=DEADLINE_S) as api:
            assert api.get("/livez").status_code == httpx.codes.OK
            assert api.get("/api/v1/connections").json()["items"][0]["name"] == "rw"
        assert [next(words) for _ in range(4)] == [["WATCHDOG=1"]] * 4
        process.send_signal(signal.SIGTERM)
        last = next(word for word in words if word != ["WATCHDOG=1"])
        assert last == ["STOPPING=1", "STATUS=closing all SAs"]
        assert process.wait(DEADLINE_S) == 0, (tmp_path / "log").read_text()


def test_a_configuration_that_is_not_in_order_ends_the_start_before_it_is_ready(tmp_path: Path) -> None:
    with _manager(tmp_path) as (place, inbox), _daemon(tmp_path, place, more="role = 1") as process:
        assert process.wait(START_S) == 2
        inbox.setblocking(False)
        with pytest.raises(BlockingIOError):
            inbox.recv(4096)


async def test_who_is_not_whole_says_nothing_until_it_is(tmp_path: Path) -> None:
    with _manager(tmp_path) as (place, inbox):
        environ = {"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "6000", "WATCHDOG_PID": str(os.getpid()), "PATH": "/bin"}
        manager = Manager(environ)
        assert environ == {"PATH": "/bin"}, "what we start does not speak for us"
        asked = 0

        def lives() -> bool:
            nonlocal asked
            asked += 1
            return asked > 5

        manager.ready("up", lives)
        inbox.setblocking(False)
        loop = asyncio.get_running_loop()
        assert await loop.sock_recv(inbox, 4096) == b"READY=1\nSTATUS=up"
        assert await asyncio.wait_for(loop.sock_recv(inbox, 4096), DEADLINE_S) == b"WATCHDOG=1"
        assert asked >= 6
        manager.ends("over")
        asked = 0
        await asyncio.sleep(0.05)
        assert asked == 0, "it is not asked any more"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": "/nowhere/at/all"},
        {"WATCHDOG_USEC": "6000"},
        {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "6000", "WATCHDOG_PID": "1"},
    ],
)
async def test_nobody_who_listens_is_no_trouble(environ: dict[str, str]) -> None:
    manager = Manager(environ)
    manager.ready("up", lambda: True)
    await asyncio.sleep(0)
    manager.ends("over")


@contextmanager
def _manager(folder: Path) -> Iterator[tuple[str, socket.socket]]:
    """What systemd would be: where it listens, and how."""
    place = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(place)
        yield place, inbox


@contextmanager
def _daemon(folder: Path, place: str, more: str = "") -> Iterator[subprocess.Popen[bytes]]:
    ike, natt = free_ports(2)
    config = folder / "mobike.toml"
    config.write_text(f"""
[daemon]
listen = ["127.0.11.1"]
ike_port = {ike}
natt_port = {natt}
state_dir = "state"
[api]
tcp = ""
[dataplane]
inner = "echo"
[links]
source = "manual"
manual = ["127.0.11.1"]
[connections.rw]
{more or 'role = "responder"'}
local_id = "gw.example.net"
remote_id = "*@example.net"
psk_file = "credential:rw.psk"
local_ts = ["10.1.0.1/32"]
pool = ["10.99.0.0/24"]
""")
    credentials = folder / "credentials"
    credentials.mkdir()
    (credentials / "rw.psk").write_text("correct horse battery staple")
    (credentials / "rw.psk").chmod(0o400)
    environ = {
        **os.environ,
        "NOTIFY_SOCKET": place,
        "WATCHDOG_USEC": "300000",
        "CREDENTIALS_DIRECTORY": str(credentials),
    }
    run = [sys.executable, "-c", WITHIN_BOUNDS, sys.executable, "-m", "mobike.cli", "run", "--config", str(config)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*_bounds(), *run], env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


WITHIN_BOUNDS = """
import ctypes, os, sys
# PR_SET_MDWE: no memory that can be written and run, ever (MemoryDenyWriteExecute=). Older kernels do not know it.
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def _bounds() -> list[str]:
    """The capabilities that the unit leaves, and no new ones."""
    if os.geteuid() or shutil.which("setpriv") is None:
        return []
    (left,) = (line.split("=")[1].split() for line in UNIT.read_text().splitlines() if "BoundingSet=" in line)
    names = ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in left)])
    return ["setpriv", f"--bounding-set={names}", "--inh-caps=-all", "--no-new-privs"]


def _words(inbox: socket.socket, process: subprocess.Popen[bytes]) -> Iterator[list[str]]:
    inbox.settimeout(0.5)
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        try:
            yield inbox.recv(4096).decode().splitlines()
        except TimeoutError:
            assert process.poll() is None, "it ended"


def _status(folder: Path) -> str:
    lines = (folder / "mobike.toml").read_text().splitlines()
    ports = [line.split(" = ")[1] for line in lines if "_port" in line]
    return f"1 connections, ports {ports[0]} and {ports[1]}"
