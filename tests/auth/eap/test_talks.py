"""Conversations of many IKE SAs: none grows, none outlives the core's patience, and none is mixed up with another."""

from __future__ import annotations

from hashlib import sha256
from ipaddress import ip_address

import pytest

from mobike.address import Endpoint, Nanos, Path, SaId
from mobike.auth import Doorkeeper
from mobike.auth.eap import talks as module
from mobike.auth.eap.client import ClientOrders
from mobike.auth.eap.packet import IDENTITY, MSCHAPV2, Code, Packet
from mobike.auth.eap.server import ServerOrders
from mobike.auth.eap.talks import LONGEST, Talks
from mobike.commands import EapDone, EapFail, EapSend
from mobike.events import EapAsked, Role
from tests.auth.pki import NOW

PATH = Path(Endpoint(ip_address("198.51.100.1"), 4500), Endpoint(ip_address("203.0.113.7"), 4500))
GATEWAY = ServerOrders("gw.example.net", (MSCHAPV2,), {"ann": "her password"})
CLIENT = ClientOrders("ann", (MSCHAPV2,), "her password")


class Dice:
    """Chance that is the same each time."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, octets: int) -> bytes:
        self._count += 1
        return sha256(str(self._count).encode()).digest()[:octets]


def _asked(sa: int, question: int, packet: bytes | None, role: Role = Role.RESPONDER, name: str = "gw") -> EapAsked:
    return EapAsked(SaId(sa), question, name, role, "10.0.0.1", packet, PATH)


def test_two_ends_come_to_an_agreement_by_way_of_their_cores() -> None:
    gateway, client = Talks({"gw": GATEWAY}, Dice()), Talks({"out": CLIENT}, Dice())
    reply = gateway.reply(_asked(1, 1, None), Nanos(0), NOW)
    for question in range(2, 10):
        if not isinstance(reply, EapSend):
            break
        answer = client.reply(_asked(7, question, reply.packet, Role.INITIATOR, "out"), Nanos(0), NOW)
        assert isinstance(answer, EapSend)
        reply = gateway.reply(_asked(1, question, answer.packet), Nanos(0), NOW)
    assert isinstance(reply, EapDone)
    assert reply.peer == "ann"
    last = client.reply(_asked(7, 10, Packet(Code.SUCCESS, 1).octets(), Role.INITIATOR, "out"), Nanos(0), NOW)
    assert isinstance(last, EapDone)
    assert last.key == reply.key
    assert (len(gateway), len(client)) == (0, 0)


def test_a_connection_that_says_nothing_by_eap_refuses() -> None:
    for name, role in (("other", Role.RESPONDER), ("gw", Role.INITIATOR)):
        reply = Talks({"gw": GATEWAY}, Dice()).reply(_asked(1, 1, None, role, name), Nanos(0), NOW)
        assert reply == EapFail(SaId(1), 1, f"connection {name} has nothing to say by EAP")


def test_what_nobody_ends_is_forgotten_when_the_core_has_given_up() -> None:
    talks = Talks({"gw": GATEWAY}, Dice())
    for sa in range(10):
        talks.reply(_asked(sa, 1, None), Nanos(sa), NOW)
    talks.reply(_asked(99, 1, None), Nanos(LONGEST + 4), NOW)
    assert len(talks) == 6


def test_beyond_the_limit_the_oldest_is_forgotten_and_its_peer_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    talks = Talks({"gw": GATEWAY}, Dice())
    first = talks.reply(_asked(0, 1, None), Nanos(0), NOW)
    for sa in range(1, 10):
        talks.reply(_asked(sa, 1, None), Nanos(0), NOW)
    assert len(talks) == 3
    assert isinstance(first, EapSend)
    said = Packet(Code.RESPONSE, Packet.read(first.packet).identifier, IDENTITY, b"ann").octets()
    reply = talks.reply(_asked(0, 2, said), Nanos(0), NOW)
    assert reply == EapFail(SaId(0), 2, "this EAP conversation was forgotten: too many at a time")


@pytest.mark.parametrize("packet", [b"", b"\x01", b"\x02\x01\x00\x09\x01", b"\x09\x01\x00\x04", bytes(4)])
def test_a_packet_that_cannot_be_read_is_a_failure_and_no_fault(packet: bytes) -> None:
    talks = Talks({"gw": GATEWAY}, Dice())
    talks.reply(_asked(1, 1, None), Nanos(0), NOW)
    assert isinstance(talks.reply(_asked(1, 2, packet), Nanos(0), NOW), EapFail)
    assert len(talks) == 0


def test_the_doorkeeper_answers_some_a_turn_and_none_that_is_too_old() -> None:
    door = Doorkeeper({}, Talks({"gw": GATEWAY}, Dice()))
    door.ask([_asked(sa, 1, None) for sa in range(40)], Nanos(0))
    assert len(door.answers(Nanos(0), NOW)) == 32
    assert door.busy
    assert door.answers(Nanos(11_000_000_000), NOW) == []
    assert not door.busy
