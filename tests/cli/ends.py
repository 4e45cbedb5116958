"""Two real daemons on loopback, each a process of its own: a gateway, and a client with two networks."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.ports import free_ports

DEADLINE_S = 60.0
START_S = 240.0
"""A daemon imports much before it answers; one that dies is seen at once."""
KEY = "correct horse battery staple"

GATEWAY = """\
[daemon]
listen = ["127.0.11.1"]
ike_port = {gateway_ike}
natt_port = {gateway_natt}
state_dir = "{folder}/gateway"
log_format = "json"
[api]
tcp = "127.0.0.1:{gateway_api}"
[dataplane]
inner = "echo"
[links]
source = "manual"
manual = [{{ ip = "127.0.11.1", link = "site" }}]
[connections.rw]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@example.net"
psk = "{key}"
local_ts = ["10.1.0.1/32"]
pool = ["10.99.0.0/24"]
{gateway_more}"""

CLIENT = """\
[daemon]
listen = ["0.0.0.0"]
ike_port = {client_ike}
natt_port = {client_natt}
state_dir = "{folder}/client"
log_format = "json"
[api]
tcp = "127.0.0.1:{client_api}"
[dataplane]
inner = "port"
[links]
source = "manual"
manual = [{{ ip = "127.0.12.1", link = "wifi" }}, {{ ip = "127.0.13.1", link = "lte" }}]
rule = [{{ match = "wifi", rank = 1 }}, {{ match = "lte", rank = 2 }}]
[connections.home]
role = "initiator"
remote = ["127.0.11.1"]
remote_ike_port = {gateway_ike}
remote_natt_port = {gateway_natt}
local_id = "you@example.net"
remote_id = "gw.example.net"
psk = "{client_key}"
virtual_ip = ["ipv4"]
start = "{start}"
retransmit = {{ initial = "100ms", give_up_initiator = "{give_up}" }}
{more}"""


@dataclass
class End:
    """One daemon."""

    folder: Path
    config: Path
    log: Path
    process: subprocess.Popen[bytes]
    url: str

    @property
    def socket(self) -> Path:
        return self.folder / "api.sock"

    @property
    def token_file(self) -> Path:
        return self.folder / "api.token"

    def api(self) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=str(self.socket))
        return httpx.Client(transport=transport, base_url="http://mobike", timeout=DEADLINE_S)

    def get(self, path: str) -> Any:
        with self.api() as api:
            return api.get(f"/api/v1/{path}").raise_for_status().json()

    def only_sa(self) -> Any:
        """The one IKE SA of this end, in full; None while there is none."""
        items = self.get("ike-sas")["items"]
        assert len(items) <= 1
        if not items:
            return None
        with self.api() as api:
            answer = api.get(f"/api/v1/ike-sas/{items[0]['id']}")
        # It may have gone down since it was listed.
        return None if answer.status_code == httpx.codes.NOT_FOUND else answer.raise_for_status().json()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


@dataclass
class Ends:
    gateway: End
    client: End


STORE = """
[store]
file = "sas.db"
every = "100ms"
"""


@contextmanager
def two_ends(
    folder: Path,
    *,
    client_key: str = KEY,
    start: str = "auto",
    more: str = "",
    gateway_more: str = "",
    give_up: str = "2m45s",
    store: tuple[str, ...] = (),
) -> Iterator[Ends]:
    """Both, until the end of the block; then no log may hold an error. `more` is for the client's connection,
    `gateway_more` for the gateway's. Those in `store`, of "gateway" and "client", keep their SAs over restarts."""
    names = ("gateway_ike", "gateway_natt", "client_ike", "client_natt", "gateway_api", "client_api")
    values: dict[str, object] = dict(zip(names, free_ports(6), strict=True))
    values |= {"folder": folder, "key": KEY, "client_key": client_key, "start": start, "give_up": give_up}
    values |= {"more": more, "gateway_more": gateway_more}
    stores = {name: STORE.replace("sas.db", f"{name}.db") if name in store else "" for name in ("gateway", "client")}
    texts = (GATEWAY.format(**values) + stores["gateway"], CLIENT.format(**values) + stores["client"])
    gateway = start_daemon(folder / "gateway", texts[0], f"http://127.0.0.1:{values['gateway_api']}")
    try:
        client = start_daemon(folder / "client", texts[1], f"http://127.0.0.1:{values['client_api']}")
        try:
            yield Ends(gateway, client)
        finally:
            end_daemon(client)
    finally:
        end_daemon(gateway)
    for end in (gateway, client):
        assert '"level": "error"' not in end.log.read_text()


def until(seen: Callable[[], Any], what: str, within: float = DEADLINE_S) -> Any:
    """What `seen` finds as soon as it is true."""
    end = time.monotonic() + within
    while not (found := seen()):
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)
    return found


def start_daemon(folder: Path, text: str, url: str) -> End:
    """A daemon with this configuration, once it answers; its files lie in and beside `folder`."""
    config, log = folder.with_suffix(".toml"), folder.with_suffix(".log")
    config.write_text(text)
    config.chmod(0o600)
    log.write_bytes(b"")
    end = End(folder, config, log, _launch(config, log), url)
    try:
        _until_it_answers(end)
    except BaseException:
        # Nobody else knows of it yet: it would run for ever.
        end_daemon(end)
        raise
    return end


def restart(end: End) -> None:
    """Once more, with whatever its configuration is by now; the log goes on."""
    assert end.process.poll() is not None, "it still runs"
    end.process = _launch(end.config, end.log)
    _until_it_answers(end)


def _launch(config: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        command = [sys.executable, "-m", "mobike.cli", "run", "--config", str(config)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def _until_it_answers(end: End) -> None:
    def answers() -> bool:
        assert end.process.poll() is None, end.log.read_text()
        if not end.socket.exists():
            return False
        # A daemon that was killed leaves its socket behind, and httpx does not close one that nobody answers on.
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(end.socket)):
                return False
        with end.api() as api:
            return api.get("/livez").status_code == httpx.codes.OK

    until(answers, f"{end.folder.name} answers", START_S)


def end_daemon(end: End) -> None:
    """End it, however it is."""
    if end.process.poll() is None:
        end.process.terminate()
        try:
            end.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            end.process.kill()
            end.process.wait()
