"""Questions of the core: each gets one answer, some a turn."""

from ipaddress import ip_address

import pytest

from mobike.address import Endpoint, Nanos, Path, SaId
from mobike.auth import Doorkeeper, Trust
from mobike.auth.doorkeeper import ANSWERS_PER_TURN, PATIENCE
from mobike.auth.trust import key_info
from mobike.commands import Allow, Deny
from mobike.events import Authorise, Role
from tests.auth.pki import NOW, Authority, Owner

CA = Authority.new()
PATH = Path(Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(ip_address("192.0.2.2"), 4500))
HOME = ip_address("192.0.2.2")
PEER = CA.issue("gw.example.net", HOME, ip_address("2001:db8::2"))


def _question(number: int, owner: Owner = PEER, connection: str = "office") -> Authorise:
    name = b"gw.example.net"
    return Authorise(SaId(number), 7, connection, Role.RESPONDER, name.decode(), 2, name, owner.der, PATH)


def _door() -> Doorkeeper:
    return Doorkeeper({"office": Trust((CA.certificate,))})


@pytest.mark.req("D5.5-1")
def test_who_is_believed_is_let_in_with_the_addresses_of_its_certificate() -> None:
    door = _door()
    door.ask([_question(1)], Nanos(0))
    assert door.answers(Nanos(1), NOW) == [
        Allow(SaId(1), 7, key_info(PEER.certificate), (HOME, ip_address("2001:db8::2")))
    ]
    assert not door.busy


def test_who_is_not_believed_stays_outside_and_the_reason_is_told() -> None:
    door = _door()
    door.ask([_question(1, Authority.new("Another").issue("gw.example.net")), _question(2, connection="lab")], Nanos(0))
    first, second = door.answers(Nanos(1), NOW)
    assert isinstance(first, Deny)
    assert "no authority that we trust" in first.why
    assert isinstance(second, Deny)
    assert second.why == "connection lab trusts no authority"


def test_a_storm_is_answered_over_many_turns_and_what_is_late_is_left() -> None:
    door = _door()
    many = 2 * ANSWERS_PER_TURN + 1
    door.ask((_question(number) for number in range(many)), Nanos(0))
    assert len(door.answers(Nanos(1), NOW)) == ANSWERS_PER_TURN
    assert door.busy
    assert len(door.answers(Nanos(2), NOW)) == ANSWERS_PER_TURN
    assert door.answers(Nanos(PATIENCE), NOW) == []
    assert not door.busy


def test_whatever_a_stranger_sends_is_an_answer() -> None:
    door = _door()
    odd = Authorise(SaId(1), 7, "office", Role.RESPONDER, "?", 1, b"\xff" * 4, (b"\x30\x03\x02\x01",), PATH)
    door.ask([odd], Nanos(0))
    assert isinstance(door.answers(Nanos(1), NOW)[0], Deny)
