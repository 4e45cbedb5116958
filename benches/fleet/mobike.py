"""mobike as the responder of the fleet bench: the daemon a user would run, with its API, pinned to a core."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from benches.fleet.work import ESP, IDENTITY, INSIDE, PSK, Auth, Work

ADDRESS = "127.0.8.1"
START_DEADLINE_S = 20.0
_CLOCK_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

CONFIG = """\
[daemon]
listen = ["{address}"]
ike_port = {port}
natt_port = {port_nat_t}
state_dir = "{state}"
log_level = "warning"

[api]
socket = "{state}/api.sock"
tcp = ""

[dataplane]
kind = "{plane}"
inner = "none"

[links]
source = "manual"
manual = ["{address}"]

[limits]
cookie_threshold = 100000
max_half_open = 100000

[limits.prefix]                 # all clients have one address
cookie_threshold = 1000000
max = 1000000

[connections.bench]
role = "responder"
local_id = "{identity}"
remote_id = "*"
{proofs}
ike = ["{ike}"]
esp = ["{esp}"]
local_ts = ["0.0.0.0/0"]
{selectors}
liveness = "0"
nat_keepalive = "0"
"""


CERTIFICATE = """\
local_auth = "cert"
local_cert = "{papers}/gateway.pem"
local_key = "{papers}/gateway.key"
"""

PROOFS: dict[Auth, str] = {
    "psk": f'psk = "{PSK}"',
    "cert": CERTIFICATE + 'remote_auth = "cert"\nremote_ca = ["{papers}/ca.pem"]',
    "eap": CERTIFICATE + 'remote_auth = "eap"\neap = ["mschapv2"]\neap_users = "{papers}/users.toml"',
}


class MobikeResponder:
    """`start`, measure, `stop`; as `StrongswanResponder`."""

    def __init__(
        self,
        directory: Path,
        work: Work,
        papers: Path,
        *,
        core: int,
        plane: str,
        pool: str | None,
        port: int = 24500,
        port_nat_t: int = 24501,
    ) -> None:
        self._state = directory
        self._core = core
        self._socket = directory / "api.sock"
        selectors = f'remote_ts = ["{INSIDE}"]' if pool is None else f'pool = ["{pool}"]'
        self._config = CONFIG.format(
            address=ADDRESS, port=port, port_nat_t=port_nat_t, state=directory, plane=plane, identity=IDENTITY,
            proofs=PROOFS[work.auth].format(papers=papers), ike=work.ike, esp=ESP, selectors=selectors,
        )  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("not started")
        return self._process.pid

    def start(self) -> None:
        """Start it; on return it takes IKE."""
        self._state.mkdir(parents=True, exist_ok=True)
        config = self._state / "bench.toml"
        config.touch(mode=0o600)
        config.write_text(self._config)
        command = ["taskset", "-c", str(self._core), sys.executable, "-m", "mobike.cli", "run", "--config", str(config)]
        with (self._state / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_DEADLINE_S
        while not self._alive():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.stop()
                raise RuntimeError(f"mobike did not start: {(self._state / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it; a bench does not wait for thousands of farewells."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def rss_bytes(self) -> int:
        """Resident memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE

    def cpu_seconds(self) -> float:
        """User and system time of all its threads since the start; the kernel counts in ticks of 10 ms."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICK

    def sa_count(self) -> int:
        """Established IKE SAs that carry something: a Child SA that its plane refused is none."""
        with self._client() as http:
            lines = http.get("/api/v1/child-sas", headers={"Accept": "application/x-ndjson"}).raise_for_status().text
        return len({json.loads(line)["ike_sa"] for line in lines.splitlines()})

    def _alive(self) -> bool:
        try:
            self._get("/livez")
        except (httpx.TransportError, httpx.HTTPStatusError):
            return False
        return True

    def _client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.HTTPTransport(uds=str(self._socket)), base_url="http://mobike")

    def _get(self, path: str) -> dict[str, int]:
        with self._client() as http:
            answer: dict[str, int] = http.get(path).raise_for_status().json()
            return answer

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
