"""How a command begins: it reads no more of the program than it needs, and Ctrl-C ends it quietly even then."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.ends import DEADLINE_S, until
from tests.ports import free_ports

NOT_TO_ASK = {
    "cryptography", "fastapi", "httpx", "mobike._core", "mobike.auth", "mobike.config.build", "mobike.fleet",
    "mobike.gateway", "mobike_api", "pydantic", "pyroute2", "rich.progress", "structlog",
}  # fmt: skip
"""Packages that a command which asks a daemon has no use for."""
NOT_WITHOUT_NEED = {
    "OpenSSL",
    "httpx",
    "opentelemetry.sdk",
    "pydantic.v1.main",
    "pyroute2",
    "mobike.dataplane.xfrm.kernel",
}
"""Those that a daemon has none for which authenticates by a shared key, in userspace, and tells no webhook."""

SMALL = """\
[daemon]
listen = ["127.0.14.1"]
ike_port = {ike}
natt_port = {natt}
state_dir = "{folder}"
[api]
socket = "{folder}/api.sock"
[dataplane]
inner = "echo"
[links]
source = "manual"
manual = [{{ ip = "127.0.14.1", link = "site" }}]
[connections.rw]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@example.net"
psk = "correct horse battery staple"
local_ts = ["10.1.0.1/32"]
pool = ["10.99.0.0/24"]
"""


def test_a_command_that_asks_a_daemon_does_not_read_the_daemon(tmp_path: Path) -> None:
    words = ["--socket", str(tmp_path / "absent.sock"), "status"]
    told = subprocess.run([*READING, *words], capture_output=True, text=True, check=False)
    assert told.returncode == 3
    assert read_of(told.stderr) >= {"typer", "mobike.cli.api"}
    assert read_of(told.stderr) & NOT_TO_ASK == set()


def test_a_daemon_reads_what_its_configuration_needs(tmp_path: Path) -> None:
    pytest.importorskip("mobike._core", reason="needs the core: this is a real daemon")
    ike, natt = free_ports(2)
    config, log = tmp_path / "mobike.toml", tmp_path / "log"
    config.write_text(SMALL.format(folder=tmp_path, ike=ike, natt=natt))
    with log.open("w") as file:
        daemon = subprocess.Popen([*READING, "run", "-c", str(config)], stdout=file, stderr=file)
    try:
        until(lambda: "daemon.up" in log.read_text() or daemon.poll() is not None, "the daemon is up, or over")
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(DEADLINE_S)
    assert daemon.returncode == 0, log.read_text()[-2000:]
    assert read_of(log.read_text()) >= {"fastapi", "mobike.gateway.run"}
    assert read_of(log.read_text()) & NOT_WITHOUT_NEED == set()


READING = [sys.executable, "-X", "importtime", "-m", "mobike.cli"]


def read_of(told: str) -> set[str]:
    """The modules that a process read, as it said itself."""
    return {line.split("|")[2].strip() for line in told.splitlines() if line.startswith("import time:")}


def test_ctrl_c_while_it_is_read_is_130_without_a_word() -> None:
    code = """
import sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "mobike.cli.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
import mobike.cli
mobike.cli.main()
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (130, "", "")
