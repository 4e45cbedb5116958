"""Two cores over loopback in TCP (RFC 9329): set up there, moved there and home again, a stream that is cut."""

import resource
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from mobike.address import Endpoint, Generation, Ip, Path, Token, Transport
from mobike.commands import Connect, Move, SetProfile
from mobike.dataplane.operations import MoveSa
from mobike.events import ChildUp, IkeSaUp, Moved, MoveRefused, PeerMoved, SaMoved
from tests.boundary.ends import GATEWAY, PHONE, End, end, nonzero, udp4

OFFICE = IPv4Address("10.9.0.1")
OURS = replace(PHONE, tcp=True)
THEIRS = replace(GATEWAY, tcp=True)


def in_tcp(path: Path) -> Path:
    return replace(path, transport=Transport.TCP)


def begin(phone: End, gateway: End, *paths: Path) -> tuple[IkeSaUp, IkeSaUp]:
    gateway.core.submit([SetProfile(THEIRS)])
    phone.core.submit([SetProfile(OURS), Connect(Token(1), OURS.name, paths, gateway.natt_port)])
    ups = phone.wait_for(IkeSaUp), gateway.wait_for(IkeSaUp)
    phone.wait_for(ChildUp)
    gateway.wait_for(ChildUp)
    return ups


def carries(phone: End, gateway: End, inner: Ip, count: int) -> None:
    """Every packet of so many, each way, in order."""
    there = [udp4(inner, OFFICE, b"%06d" % number) for number in range(count)]
    back = [udp4(OFFICE, inner, b"%06d" % number) for number in range(count)]
    assert phone.core.inner_send(there) == count
    assert gateway.wait_for_packets(count) == there
    assert gateway.core.inner_send(back) == count
    assert phone.wait_for_packets(count) == back


def move(phone: End, gateway: End, ups: tuple[IkeSaUp, IkeSaUp], path: Path, generation: int) -> None:
    """As the control planes order it."""
    ours, theirs = ups
    phone.core.submit([Move(ours.sa, path, Generation(generation), None)])
    moved = phone.wait_for(Moved)
    assert moved.path == path
    seen = gateway.wait_for(PeerMoved, lambda event: event.path.transport is path.transport).path
    phone.core.submit([MoveSa(ours.sa, path, encap=True)])
    gateway.core.submit([MoveSa(theirs.sa, seen, encap=True)])
    phone.wait_for(SaMoved)
    gateway.wait_for(SaMoved)


def test_a_tunnel_is_set_up_in_a_stream_and_carries_traffic_both_ways() -> None:
    with end(["127.0.52.1"]) as phone, end(["127.0.52.129"], tcp=True) as gateway:
        ours, theirs = begin(phone, gateway, in_tcp(phone.path_to(gateway)))
        assert (ours.path.transport, theirs.path.transport) == (Transport.TCP, Transport.TCP)
        carries(phone, gateway, ours.virtual_ips[0], 200)
        counted = nonzero(phone.core)
        assert counted["io_streams_opened"] == nonzero(gateway.core)["io_streams_accepted"] == 1
        assert "ike_keepalives_sent" not in counted


def test_a_gateway_of_several_shards_keeps_each_stream_where_its_sa_is() -> None:
    with end(["127.0.52.2"], shards=2) as phone, end(["127.0.52.130"], tcp=True, shards=4) as gateway:
        ours, _ = begin(phone, gateway, in_tcp(phone.path_to(gateway)))
        carries(phone, gateway, ours.virtual_ips[0], 50)


def test_where_nobody_answers_in_udp_the_stream_is_tried_after_one_first_wait() -> None:
    with end(["127.0.52.3"]) as phone, end(["127.0.52.131"], tcp=True) as gateway:
        hole = Path(Endpoint(phone.addresses[0], phone.ike_port), Endpoint(gateway.addresses[0], 9))
        ours, _ = begin(phone, gateway, hole, in_tcp(phone.path_to(gateway)))
        assert ours.path.transport is Transport.TCP


def test_an_sa_moves_into_a_stream_and_home_again_without_a_lost_packet() -> None:
    with end(["127.0.52.4"]) as phone, end(["127.0.52.132"], tcp=True) as gateway:
        ups = begin(phone, gateway, phone.path_to(gateway, natt=False))
        home, inner = phone.path_to(gateway), ups[0].virtual_ips[0]
        carries(phone, gateway, inner, 20)
        move(phone, gateway, ups, in_tcp(home), 1)
        carries(phone, gateway, inner, 20)
        move(phone, gateway, ups, home, 2)
        carries(phone, gateway, inner, 20)
        assert nonzero(gateway.core)["ike_updates_taken"] == 2


def test_a_profile_that_allows_no_tcp_refuses_a_move_into_a_stream() -> None:
    with end(["127.0.52.5"]) as phone, end(["127.0.52.133"], tcp=True) as gateway:
        gateway.core.submit([SetProfile(GATEWAY)])
        phone.core.submit([SetProfile(OURS)])
        first = phone.path_to(gateway, natt=False)
        phone.core.submit([Connect(Token(1), OURS.name, (first,), gateway.natt_port)])
        ours = phone.wait_for(IkeSaUp)
        phone.core.submit([Move(ours.sa, in_tcp(phone.path_to(gateway)), Generation(1), None)])
        assert phone.wait_for(MoveRefused).path.transport is Transport.TCP


@dataclass
class Relay:
    """Between a client and a gateway: streams through it can be cut."""

    address: tuple[str, int]
    to: tuple[str, int]
    pairs: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)

    def run(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(self.to, source_address=("127.0.52.200", 0))
                self.pairs.append((near, far))
                threading.Thread(target=self.pump, args=(near, far), daemon=True).start()

    def pump(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError, ValueError):  # both ends may be closed by `cut` meanwhile
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    octets = ready.recv(65_536)
                    if not octets:
                        return self.cut()
                    (far if ready is near else near).sendall(octets)

    def cut(self) -> None:
        for one in self.pairs:
            for each in one:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                    each.close()
        self.pairs.clear()


@contextmanager
def relay(address: str, to: End) -> Iterator[Relay]:
    with socket.create_server((address, to.natt_port)) as listening:
        made = Relay((address, to.natt_port), (str(to.addresses[0]), to.natt_port))
        threading.Thread(target=made.run, args=(listening,), daemon=True).start()
        yield made
        made.cut()


def test_a_stream_that_is_cut_is_opened_anew_and_the_gateway_follows_to_the_newest() -> None:
    with (
        end(["127.0.52.6"]) as phone,
        end(["127.0.52.134"], tcp=True) as gateway,
        relay("127.0.52.201", gateway) as wire,
    ):
        through = Path(
            Endpoint(phone.addresses[0], phone.natt_port),
            Endpoint(IPv4Address(wire.address[0]), wire.address[1]),
            Transport.TCP,
        )
        ours, theirs = begin(phone, gateway, through)
        inner = ours.virtual_ips[0]
        carries(phone, gateway, inner, 10)
        for _ in range(2):
            wire.cut()
            seen = gateway.wait_for(PeerMoved).path
            assert seen != theirs.path
            gateway.core.submit([MoveSa(theirs.sa, seen, encap=True)])
            gateway.wait_for(SaMoved)
            carries(phone, gateway, inner, 10)
        assert nonzero(phone.core)["ike_streams_lost"] == 2


def test_only_who_opens_streams_asks_for_more_descriptors() -> None:
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = min(before, most, 512)
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))
    try:
        with end(["127.0.52.7"]) as phone, end(["127.0.52.135"], tcp=True) as gateway:
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == few
            begin(phone, gateway, in_tcp(phone.path_to(gateway)))
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == most
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))
