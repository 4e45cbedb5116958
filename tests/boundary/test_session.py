"""Two cores brought up from Python: what Rust agreed is what Python is told, and what Python orders is done."""

from dataclasses import fields, replace
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

import pytest

from mobike.address import Generation
from mobike.commands import Close, Move, Probe, SetProfile
from mobike.dataplane.operations import MoveSa
from mobike.events import ChildDown, ChildUp, IkeSaDown, IkeSaUp, Moved, Nat, PathChecked, PeerMoved, Role, SaMoved
from mobike.handout import Handout
from tests.boundary.ends import GATEWAY, PHONE, End, connect, end, udp4

BEHIND_GATEWAY = IPv4Address("10.9.0.1")


def test_both_ends_are_told_the_same_tunnel() -> None:
    with end(["127.0.51.1"]) as phone, end(["127.0.51.129"]) as gateway:
        connect(phone, gateway, token=7)
        up, peer_up = phone.wait_for(IkeSaUp), gateway.wait_for(IkeSaUp)
        assert (up.token, up.connection, up.role, up.peer_id) == (7, "home", Role.INITIATOR, "gw.example.net")
        assert (peer_up.token, peer_up.connection, peer_up.role) == (None, "phones", Role.RESPONDER)
        assert peer_up.peer_id == "phone@example.net"
        assert (up.spi_i, up.spi_r) == (peer_up.spi_i, peer_up.spi_r)
        assert (up.path.local, up.path.remote) == (peer_up.path.remote, peer_up.path.local)
        assert up.virtual_ips == peer_up.virtual_ips == (IPv4Address("10.7.0.1"),)
        assert (up.suite, up.mobike, up.nat) == (PHONE.ike_proposals[0], True, Nat.NONE)
        child, peer_child = phone.wait_for(ChildUp), gateway.wait_for(ChildUp)
        assert (child.sa, peer_child.sa) == (up.sa, peer_up.sa)
        assert (child.spi_in, child.spi_out) == (peer_child.spi_out, peer_child.spi_in)
        assert (child.suite, child.encap) == (GATEWAY.esp_proposals[0], True)
        assert child.local_ts == peer_child.remote_ts == ("10.7.0.1/32",)
        assert [ip_network(text) for text in child.remote_ts] == [ip_network("10.9.0.0/16")]


def test_events_are_the_frozen_words_of_the_vocabulary_and_hold_no_key() -> None:
    with end(["127.0.52.1"]) as phone, end(["127.0.52.129"]) as gateway:
        connect(phone, gateway)
        child = phone.wait_for(ChildUp)
        assert {field.name for field in fields(child)} == {
            "sa", "child", "name", "spi_in", "spi_out", "suite", "local_ts", "remote_ts", "encap",
            "transport_mode",
        }  # fmt: skip
        for event in (*phone.events, *gateway.events):
            assert type(event).__module__ == "mobike.events"
            assert hash(event) == hash(event)
            assert PHONE.psk.decode() not in repr(event)


def test_packets_go_through_both_ways_and_are_counted() -> None:
    with end(["127.0.53.1"]) as phone, end(["127.0.53.129"]) as gateway:
        inner = established(phone, gateway).virtual_ips[0]
        there = [udp4(inner, BEHIND_GATEWAY, bytes([number])) for number in range(50)]
        assert phone.core.inner_send(there) == 50
        assert gateway.wait_for_packets(50) == there
        back = [udp4(BEHIND_GATEWAY, inner, bytes([number])) for number in range(20)]
        assert gateway.core.inner_send(back) == 20
        assert phone.wait_for_packets(20) == back
        counters = phone.core.child_counters(phone.wait_for(ChildUp).child)
        assert counters is not None
        assert (counters["packets_out"], counters["packets_in"]) == (50, 20)
        assert counters["bytes_out"] == sum(map(len, there))


@pytest.mark.req("M3.5-7", "D3-1")
def test_a_move_ordered_from_python_is_carried_out_at_both_ends() -> None:
    with end(["127.0.54.1", "127.0.54.2"]) as phone, end(["127.0.54.129"]) as gateway:
        up = established(phone, gateway)
        there = phone.path_to(gateway, local=1)
        phone.core.plug(phone.addresses[0], False)
        phone.core.submit([Move(up.sa, there, Generation(3), None), MoveSa(up.sa, there, encap=True)])
        moved = phone.wait_for(Moved)
        assert (moved.sa, moved.path, moved.generation, moved.nat) == (up.sa, there, 3, Nat.NONE)
        assert 0 < moved.rtt < 1_000_000_000
        peer_moved = gateway.wait_for(PeerMoved)
        assert (peer_moved.path.remote, peer_moved.path.local) == (there.local, there.remote)
        gateway.core.submit([MoveSa(peer_moved.sa, peer_moved.path, encap=True)])
        assert gateway.wait_for(SaMoved).path == peer_moved.path
        packet = udp4(BEHIND_GATEWAY, up.virtual_ips[0], b"found you")
        assert gateway.core.inner_send([packet]) == 1
        assert phone.wait_for_packets(1) == [packet]


def test_a_probe_and_a_close_are_answered() -> None:
    with end(["127.0.55.1"]) as phone, end(["127.0.55.129"]) as gateway:
        up = established(phone, gateway)
        phone.core.submit([Probe(up.sa, None, Generation(5))])
        checked = phone.wait_for(PathChecked)
        assert (checked.path, checked.generation) == (up.path, 5)
        phone.core.submit([Close(up.sa, "enough")])
        for one in (phone, gateway):
            one.wait_for(ChildDown)
            one.wait_for(IkeSaDown)
            assert one.core.counters()["esp_children"] == 0
        assert any(isinstance(event, IkeSaDown) and "enough" in event.why for event in phone.events)


def established(phone: End, gateway: End) -> IkeSaUp:
    connect(phone, gateway)
    gateway.wait_for(IkeSaUp)
    return phone.wait_for(IkeSaUp)


def test_what_goes_with_inner_addresses_comes_over_as_it_was_given() -> None:
    handout = Handout(
        (ip_address("10.9.0.53"), ip_address("fd00::53")),
        ("10.9.0.0/16",),
        ("corp.example",),
        ("corp.example 7 8 2 AA",),
    )
    client = replace(PHONE, ask=("dns", "networks", "domains"), anchors_for=("example",))
    with end(["127.0.59.1"]) as phone, end(["127.0.59.129"]) as gateway:
        connect(phone, gateway, profiles=(client, replace(GATEWAY, handout=handout)))
        told = phone.wait_for(IkeSaUp).handout
        # Only IPv4 was asked for.
        assert told == replace(handout, dns=handout.dns[:1])
        assert gateway.wait_for(IkeSaUp).handout == Handout()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"handout": Handout(domains=("a b",))}, "domains.*no domain name"),
        ({"handout": Handout(networks=("10.0.0.1/8",))}, "networks.*no network"),
        ({"handout": Handout(domains=tuple(f"n{n}" for n in range(33)))}, "domains: at most 32"),
        ({"ask": ("wins",)}, "ask.*none of dns"),
    ],
)
def test_a_profile_with_nonsense_in_it_is_refused(change: dict[str, Any], message: str) -> None:
    with end(["127.0.60.1"]) as phone, pytest.raises(ValueError, match=message):
        phone.core.submit([SetProfile(replace(PHONE, **change))])
