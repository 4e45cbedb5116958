"""Two ends on loopback, as the shell would run them: orders in, events out, nothing decided here."""

import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from ipaddress import IPv4Address
from typing import TypeVar

from mobike import _core
from mobike.address import Endpoint, Ip, Path, Token
from mobike.commands import SECOND, Connect, Pool, Profile, Retransmit, SetLocalAddresses, SetProfile
from mobike.dataplane.operations import ChildOrder
from mobike.events import CoreEvent, PlaneEvent, Question
from tests.ports import free_ports

PATIENCE = 10.0
"""Seconds until a test gives up on an event: a hundred times what it takes."""

Event = TypeVar("Event", bound=CoreEvent | PlaneEvent | Question)

PHONE = Profile(
    name="home",
    local_id="phone@example.net",
    remote_id="gw.example.net",
    psk=b"correct horse battery staple",
    ike_proposals=("aes256gcm16-prfsha384-x25519",),
    esp_proposals=("aes256gcm16",),
    local_ts=(),
    remote_ts=("10.9.0.0/16",),
    request_ip4=True,
    retransmit=Retransmit(initial=SECOND // 10, give_up_initiator=3 * SECOND),
)
GATEWAY = replace(
    PHONE,
    name="phones",
    local_id="gw.example.net",
    remote_id="*@example.net",
    local_ts=("10.9.0.0/16",),
    remote_ts=(),
    pools=(Pool(IPv4Address("10.7.0.1"), 256),),
    request_ip4=False,
    accepts=True,
)


@dataclass
class End:
    """A core with its events so far."""

    core: _core.Core
    addresses: tuple[Ip, ...]
    ike_port: int
    natt_port: int
    events: list[CoreEvent | PlaneEvent | Question | ChildOrder] = field(default_factory=list)
    seen: int = 0
    packets: list[bytes] = field(default_factory=list)

    def path_to(self, peer: "End", local: int = 0, remote: int = 0, *, natt: bool = True) -> Path:
        own_port, peer_port = (self.natt_port, peer.natt_port) if natt else (self.ike_port, peer.ike_port)
        return Path(Endpoint(self.addresses[local], own_port), Endpoint(peer.addresses[remote], peer_port))

    def wait_for(self, kind: type[Event], that: Callable[[Event], bool] = lambda _: True) -> Event:
        """The next event of this kind; those before it are passed over. AssertionError shows what came instead."""
        until = time.monotonic() + PATIENCE
        while True:
            while self.seen < len(self.events):
                event = self.events[self.seen]
                self.seen += 1
                if isinstance(event, kind) and that(event):
                    return event
            left = until - time.monotonic()
            assert left > 0, f"no {kind.__name__} in {self.events}"
            select.select([self.core.event_fd()], [], [], left)
            self.events += self.core.take_events(1000)

    def wait_for_packets(self, count: int) -> list[bytes]:
        until = time.monotonic() + PATIENCE
        inner = self.core.inner_fd()
        assert inner is not None
        while len(self.packets) < count:
            left = until - time.monotonic()
            assert left > 0, f"{len(self.packets)} of {count} packets: {nonzero(self.core)}"
            select.select([inner], [], [], left)
            self.packets += self.core.inner_take(1000)
        taken, self.packets = self.packets, []
        return taken


@cache
def own_ports() -> tuple[int, ...]:
    """For IKE, and for NAT traversal, of all ends of this process: their addresses differ."""
    return free_ports(2)


@contextmanager
def end(addresses: Sequence[str], **settings: object) -> Iterator[End]:
    """One end. Its ports are those of this process, so that tests may run beside each other."""
    ike, natt = own_ports()
    core = _core.Core(listen=addresses, ike_port=ike, natt_port=natt, inner="port", **settings)  # type: ignore[arg-type]
    try:
        ips = tuple(IPv4Address(address) for address in addresses)
        core.submit([SetLocalAddresses(ips)])
        yield End(core, ips, ike, natt)
    finally:
        core.stop()


def connect(phone: End, gateway: End, *, token: int = 1, profiles: tuple[Profile, Profile] = (PHONE, GATEWAY)) -> None:
    """Order it; what comes of it is seen in events."""
    ours, theirs = profiles
    gateway.core.submit([SetProfile(theirs)])
    paths = (phone.path_to(gateway, natt=False),)
    phone.core.submit([SetProfile(ours), Connect(Token(token), ours.name, paths, gateway.natt_port)])


def nonzero(core: _core.Core) -> dict[str, int]:
    return {name: value for name, value in core.counters().items() if value}


def udp4(source: Ip, destination: Ip, payload: bytes) -> bytes:
    """An IPv4 packet with UDP from port 7 to port 7; checksums left out, which tunnels do not look at."""
    udp = b"\0\7\0\7" + (8 + len(payload)).to_bytes(2, "big") + b"\0\0" + payload
    head = b"\x45\0" + (20 + len(udp)).to_bytes(2, "big") + b"\0\0\0\0\x40\x11\0\0"
    return head + source.packed + destination.packed + udp
