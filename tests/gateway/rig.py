"""What the tests of the running gateway stand on: a daemon as a process, honest clients, a tap, and an attacker.

client (a core of ours) --> Tap --> gateway (a daemon)          what the tap saw, attackers send again
"""

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

import httpx

from mobike import _core
from mobike.address import Endpoint, Nanos, Token
from mobike.address import Path as NetPath
from mobike.commands import SECOND, Connect, Profile, Retransmit, SetProfile
from mobike.dataplane.operations import ChildOrder
from mobike.events import ChildUp, CoreEvent, IkeSaUp, PlaneEvent, Question
from mobike.inner.pinger import Pinger
from tests.cli.ends import KEY, End, end_daemon, start_daemon, until
from tests.ports import free_ports

PATIENCE_S = 60.0
"""For an event: on a machine that has other things to do."""
GATEWAY_IP = "127.0.21.1"
BEHIND_GATEWAY = IPv4Address("10.1.0.1")
MARKER = bytes(4)

CONFIG = """\
[daemon]
listen = ["127.0.21.1"]
ike_port = {ike}
natt_port = {natt}
state_dir = "{folder}/gateway"
log_format = "json"
[api]
tcp = "127.0.0.1:{api}"
[dataplane]
inner = "echo"
[links]
source = "manual"
manual = [{{ ip = "127.0.21.1", link = "site" }}]
[limits]
{limits}
[connections.rw]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@example.net"
psk = "{key}"
local_ts = ["10.1.0.1/32"]
pool = ["10.99.0.0/16"]
{more}
"""

CLIENT = Profile(
    name="home",
    local_id="honest@example.net",
    remote_id="gw.example.net",
    psk=KEY.encode(),
    ike_proposals=("aes128gcm16-prfsha256-x25519",),
    esp_proposals=("aes128gcm16",),
    local_ts=(),
    remote_ts=("10.1.0.1/32",),
    request_ip4=True,
    retransmit=Retransmit(initial=SECOND // 10, give_up_initiator=3 * SECOND),
)

Event = TypeVar("Event", bound=CoreEvent | PlaneEvent)


# --- the gateway ---------------------------------------------------------------------------------------------------


@dataclass
class Gateway:
    """The daemon under attack."""

    end: End
    ike: int
    natt: int
    api: httpx.Client
    """Kept open: the gateway is asked often."""

    def get(self, path: str) -> Any:
        return self.api.get(f"/api/v1/{path}").raise_for_status().json()

    def counters(self) -> dict[str, int]:
        counters: dict[str, int] = self.get("counters")["counters"]
        return counters

    def rss(self) -> int:
        """Resident memory in bytes."""
        status = Path(f"/proc/{self.end.process.pid}/status").read_text()
        return 1024 * int(status.split("VmRSS:")[1].split()[0])

    def sas(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.get("ike-sas?limit=1000")["items"]
        for item in items:
            del item["since"]  # counted back from now, so its microseconds differ
        return items

    def events(self) -> list[dict[str, Any]]:
        """All that the journal holds."""
        news = []
        with (
            suppress(httpx.ReadTimeout),
            self.api.stream("GET", "/api/v1/events", params={"after": 0}, timeout=0.3) as stream,
        ):
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    news.append(json.loads(line[6:]))
        return news

    def log(self) -> list[dict[str, Any]]:
        """All its lines; each must be whole and in JSON."""
        return [json.loads(line) for line in self.end.log.read_text().splitlines()]

    def is_well(self) -> None:
        """Both probes are answered with 200."""
        for probe in ("/livez", "/readyz"):
            answer = self.api.get(probe)
            assert answer.status_code == 200, answer.text


@contextmanager
def gateway(folder: Path, *, limits: str = "", more: str = "") -> Iterator[Gateway]:
    """A gateway; at the end its log may hold no error, no traceback and no secret."""
    ike, natt, api = free_ports(3)
    text = CONFIG.format(ike=ike, natt=natt, api=api, folder=folder, key=KEY, limits=limits, more=more)
    end = start_daemon(folder / "gateway", text, f"http://127.0.0.1:{api}")
    try:
        with end.api() as http:
            yield Gateway(end, ike, natt, http)
    finally:
        end_daemon(end)
    check_log(end)


def check_log(end: End) -> None:
    """Whatever happened: no fault of ours in it, and nobody's secret."""
    log = end.log.read_text()
    for word in ('"level": "error"', '"level": "critical"', "Traceback", "panicked", KEY):
        assert word not in log, log[-4000:]


# --- honest clients ------------------------------------------------------------------------------------------------


@dataclass
class Client:
    """A core with an address of its own, and what it has been told."""

    core: _core.Core
    addresses: tuple[IPv4Address, ...]
    ports: tuple[int, int]
    events: list[CoreEvent | PlaneEvent | Question | ChildOrder] = field(default_factory=list)
    seen: int = 0
    up: IkeSaUp | None = None

    def path_to(self, ip: str, ports: tuple[int, int], *, local: int = 0, natt: bool = False) -> NetPath:
        return NetPath(Endpoint(self.addresses[local], self.ports[natt]), Endpoint(IPv4Address(ip), ports[natt]))

    def order(self, ip: str, ports: tuple[int, int], profile: Profile = CLIENT, token: int = 1) -> None:
        """Begin a tunnel to a gateway (or a tap) there."""
        path = self.path_to(ip, ports)
        self.core.submit([SetProfile(profile), Connect(Token(token), profile.name, (path,), ports[1])])

    def connect(self, ip: str, ports: tuple[int, int], profile: Profile = CLIENT) -> IkeSaUp:
        """The same, and wait until it stands."""
        self.order(ip, ports, profile)
        self.up = self.wait_for(IkeSaUp)
        self.wait_for(ChildUp)
        return self.up

    def wait_readable(self) -> None:
        """Until events wait."""
        ready, _, _ = select.select([self.core.event_fd()], [], [], PATIENCE_S)
        assert ready, "nothing happens any more"

    def take(self) -> None:
        self.events += self.core.take_events(1 << 20)

    def wait_for(self, kind: type[Event], that: Callable[[Event], bool] = lambda _: True) -> Event:
        """The next event of this kind; those before it are passed over."""
        end = time.monotonic() + PATIENCE_S
        while True:
            while self.seen < len(self.events):
                event = self.events[self.seen]
                self.seen += 1
                if isinstance(event, kind) and that(event):
                    return event
            left = end - time.monotonic()
            assert left > 0, f"no {kind.__name__} in {self.events[-20:]}"
            select.select([self.core.event_fd()], [], [], left)
            self.take()

    def ping(self, count: int = 20) -> None:
        """So many pings through the tunnel, each answered once."""
        assert self.up is not None
        inner = self.up.virtual_ips[0]
        assert isinstance(inner, IPv4Address)
        pinger = Pinger(inner, BEHIND_GATEWAY, 7)
        assert self.core.inner_send([pinger.next(Nanos(0)) for _ in range(count)]) == count
        fd = self.core.inner_fd()
        assert fd is not None
        end = time.monotonic() + PATIENCE_S
        while any(ping.answered is None for ping in pinger.score()):
            left = end - time.monotonic()
            assert left > 0, f"{sum(ping.answered is None for ping in pinger.score())} of {count} pings are lost"
            select.select([fd], [], [], left)
            pinger.handle(self.core.inner_take(1000), Nanos(1))
        assert pinger.repeated == 0


@contextmanager
def client(*addresses: str, **settings: Any) -> Iterator[Client]:
    ike, natt = free_ports(2)
    settings = {"inner": "port", **settings}
    core = _core.Core(listen=addresses, ike_port=ike, natt_port=natt, **settings)
    try:
        yield Client(core, tuple(map(IPv4Address, addresses)), (ike, natt))
    finally:
        core.stop()


# --- the tap -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """One datagram on the wire."""

    data: bytes
    to_gateway: bool
    natt: bool


class Tap:
    """A NAT that writes everything down: clients talk to it, it talks to the gateway."""

    def __init__(self, ip: str, gateway: Gateway) -> None:
        self.seen: list[Seen] = []
        self.ports = (0, 0)
        self.ip = ip
        self._gateway = (gateway.ike, gateway.natt)
        self.near = tuple(_bound(ip) for _ in range(2))
        """Towards the client; IKE and NAT traversal."""
        self.far = tuple(_bound(ip) for _ in range(2))
        """Towards the gateway: what is sent here comes from the honest client's address and port."""
        self.ports = (self.near[0].getsockname()[1], self.near[1].getsockname()[1])
        self._client: list[tuple[str, int] | None] = [None, None]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Tap":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for each in (*self.near, *self.far):
            each.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            ready, _, _ = select.select([*self.near, *self.far], [], [], 0.05)
            for each in ready:
                self._relay(each)

    def _relay(self, each: socket.socket) -> None:
        data, sender = each.recvfrom(65535)
        if each in self.near:
            natt = self.near.index(each)
            self._client[natt] = sender
            self.seen.append(Seen(data, True, bool(natt)))
            self.far[natt].sendto(data, (GATEWAY_IP, self._gateway[natt]))
            return
        natt = self.far.index(each)
        self.seen.append(Seen(data, False, bool(natt)))
        client = self._client[natt]
        if client is not None:
            self.near[natt].sendto(data, client)


def _bound(ip: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((ip, 0))
    return opened


# --- the attacker --------------------------------------------------------------------------------------------------

PORTION = 50
"""Datagrams sent before the gateway is asked whether it has read them: fits the smallest socket buffer."""

Shot = tuple[bytes, bool]
"""A datagram, and whether it goes to the NAT traversal port."""


class Attacker:
    """Sends what it likes, and holds the gateway to account for each datagram."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def send(self, shots: Iterable[Shot], by: Iterable[socket.socket]) -> tuple[int, dict[str, int]]:
        """Send all, by these sockets in turn, slowly enough for the kernel; how many, and what the gateway counted."""
        before = self._gateway.counters()
        ports = (self._gateway.ike, self._gateway.natt)
        sockets = list(by)
        sent = 0
        for data, natt in shots:
            sockets[sent % len(sockets)].sendto(data, (GATEWAY_IP, ports[natt]))
            sent += 1
            if sent % PORTION == 0:
                self._until_read(before, sent)
        self._until_read(before, sent)
        now = self._gateway.counters()
        return sent, {name: now[name] - before[name] for name in now if now[name] != before[name]}

    def _until_read(self, before: dict[str, int], sent: int) -> None:
        until(lambda: arrived(self._gateway.counters()) - arrived(before) >= sent, "the gateway reads what was sent")


def arrived(counters: dict[str, int]) -> int:
    return counters["io_datagrams_in"] + counters["io_unreadable"]


@contextmanager
def sockets(*ips: str) -> Iterator[list[socket.socket]]:
    opened = [_bound(ip) for ip in ips]
    try:
        yield opened
    finally:
        for each in opened:
            each.close()


REFUSED = {
    "ike_cookies_sent",
    "ike_invalid_ke_sent",
    "ike_init_no_proposal",
    "ike_init_answered",
    "ike_repeats_answered",
    "esp_bad_length",
    "esp_unknown_spi",
    "esp_replay_drops",
    "esp_icv_failures",
    "esp_malformed",
    "esp_selector_drops",
    "esp_dummies",
    "io_runts",
    "io_unreadable",
    "io_keepalives_in",
}
"""What may become of a datagram, beside `ike_dropped_*`; each leads to one of them."""


def accounted(counted: dict[str, int]) -> int:
    """How many datagrams the gateway has an answer for, out of the growth of its counters."""
    return sum(value for name, value in counted.items() if name in REFUSED or name.startswith("ike_dropped_"))
