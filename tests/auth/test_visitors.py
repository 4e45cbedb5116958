"""An operator's authoriser: what it is asked about, and that nobody comes in without its word."""

from ipaddress import ip_address, ip_network

import pytest

from mobike.address import Endpoint, Nanos, Path, SaId
from mobike.auth import Doorkeeper, Trust
from mobike.auth.eap import Talks
from mobike.auth.eap.server import ServerOrders
from mobike.auth.trust import key_info
from mobike.auth.visitors import MOST_NETWORKS, MOST_WAITING, PATIENCE, Admit, Anteroom, Refuse, Visitor
from mobike.commands import Allow, Deny, EapDone, EapFail, EapSend
from mobike.events import Authorise, EapAsked, Role
from tests.auth.pki import NOW, Authority

CA = Authority.new()
PATH = Path(Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(ip_address("192.0.2.2"), 40500))
PEER = CA.issue("ann@example.net")
NAME = b"ann@example.net"


def _shown(number: int = 1, connection: str = "office", der: tuple[bytes, ...] = PEER.der) -> Authorise:
    return Authorise(SaId(number), 7, connection, Role.RESPONDER, NAME.decode(), 3, NAME, der, PATH)


def _door() -> Doorkeeper:
    talks = Talks({"phones": ServerOrders("gw", (26,), {"ann": "secret"})}, bytes)
    return Doorkeeper({"office": Trust((CA.certificate,))}, talks, ["office", "phones", "psk"])


def test_a_good_certificate_waits_for_the_authorisers_word() -> None:
    door = _door()
    door.ask([_shown()], Nanos(0))
    assert door.answers(Nanos(1), NOW) == []
    assert not door.busy, "nothing to do until somebody speaks"
    (inquiry,) = door.take_inquiries()
    assert inquiry.visitor == Visitor("office", Role.RESPONDER, NAME.decode(), None, PEER.der, PATH.remote)
    assert door.take_inquiries() == []
    door.heard(inquiry.ticket, Admit())
    assert door.busy
    assert door.answers(Nanos(2), NOW) == [Allow(SaId(1), 7, key_info(PEER.certificate), ())]
    door.heard(inquiry.ticket, Admit())
    assert door.answers(Nanos(3), NOW) == [], "once"


def test_the_authoriser_may_name_inner_addresses_and_nonsense_keeps_out() -> None:
    four, six = ip_address("10.9.0.7"), ip_address("fd00::7")
    named: list[tuple[object, bool]] = [
        ((), True),
        ((four,), True),
        ((four, six), True),
        ((four, four), False),
        (("10.9.0.7",), False),
        ("10.9.0.7", False),
    ]
    for addresses, sensible in named:
        door = _door()
        door.ask([_shown()], Nanos(0))
        door.answers(Nanos(1), NOW)
        (inquiry,) = door.take_inquiries()
        door.heard(inquiry.ticket, Admit(addresses))  # type: ignore[arg-type]
        (answer,) = door.answers(Nanos(2), NOW)
        if sensible:
            assert answer == Allow(SaId(1), 7, key_info(PEER.certificate), (), addresses)  # type: ignore[arg-type]
        else:
            assert isinstance(answer, Deny)
            assert "make no sense" in answer.why


def test_the_authoriser_may_say_what_a_peer_reaches_and_where_it_leases_from() -> None:
    lab, six = ip_network("10.1.7.0/24"), ip_network("fd00:7::/64")
    named: list[tuple[Admit, tuple[tuple[str, ...] | None, str | None] | str]] = [
        (Admit(), (None, None)),
        (Admit(networks=()), ((), None)),
        (Admit(networks=(lab, six), pool="guests"), (("10.1.7.0/24", "fd00:7::/64"), "guests")),
        (Admit(networks=[lab]), "make no sense"),  # type: ignore[arg-type]
        (Admit(networks=("10.1.7.0/24",)), "make no sense"),  # type: ignore[arg-type]
        (Admit(networks=(lab,) * (MOST_NETWORKS + 1)), "make no sense"),
        (Admit(pool="nobodys"), "a pool that is not in"),
    ]
    for admit, expected in named:
        room = Anteroom(["office", "phones"], ["guests"])
        assert room.hold(_shown(), Allow(SaId(1), 7, b"key"), Nanos(0)) is None
        room.note(_eap(), Nanos(0))
        assert room.pass_on([EapDone(SaId(3), 9, b"key", "ann")], Nanos(0)) == []
        for inquiry in room.take_inquiries():
            room.heard(inquiry.ticket, admit)
            (answer,) = room.take_given(9)
            match answer, expected:
                case ((Allow() | EapDone()), tuple()):
                    assert (answer.reach, answer.pool) == expected
                case ((Deny() | EapFail()), str()):
                    assert expected in answer.why
                case _:
                    pytest.fail(f"{admit}: {answer}")


def test_a_refusal_says_whose_it_is() -> None:
    door = _door()
    door.ask([_shown()], Nanos(0))
    door.answers(Nanos(1), NOW)
    (inquiry,) = door.take_inquiries()
    door.heard(inquiry.ticket, Refuse("her badge was returned " + "x" * 1000))
    (answer,) = door.answers(Nanos(2), NOW)
    assert isinstance(answer, Deny)
    assert answer.why.startswith("the authoriser says no: her badge was returned")
    assert len(answer.why) < 250


def test_it_is_not_asked_about_peers_that_the_connection_does_not_believe() -> None:
    door = _door()
    door.ask([_shown(1, der=Authority.new("Another").issue("ann@example.net").der), _shown(2, "lab")], Nanos(0))
    assert [type(answer) for answer in door.answers(Nanos(1), NOW)] == [Deny, Deny]
    assert door.take_inquiries() == []


def test_a_peer_that_proved_itself_by_a_shared_key_is_asked_about_without_certificates() -> None:
    door = _door()
    door.ask([_shown(1, "psk", ())], Nanos(0))
    assert door.answers(Nanos(1), NOW) == []
    (inquiry,) = door.take_inquiries()
    assert inquiry.visitor.certificates == ()
    door.heard(inquiry.ticket, Admit())
    assert door.answers(Nanos(2), NOW) == [Allow(SaId(1), 7, b"")]


def test_one_without_certificates_is_never_let_in_where_there_must_be_some() -> None:
    door = _door()
    door.ask([_shown(1, "office", ())], Nanos(0))
    assert isinstance(door.answers(Nanos(1), NOW)[0], Deny)


def _eap(role: Role = Role.RESPONDER, connection: str = "phones") -> EapAsked:
    return EapAsked(SaId(3), 9, connection, role, "anything@example.net", None, PATH)


def test_the_end_of_an_eap_conversation_waits_and_packets_before_it_do_not() -> None:
    room = Anteroom(["phones"])
    room.note(_eap(), Nanos(0))
    assert room.pass_on([EapSend(SaId(3), 9, b"packet")], Nanos(1)) == [EapSend(SaId(3), 9, b"packet")]
    done = EapDone(SaId(3), 9, b"key", "ann")
    assert room.pass_on([done], Nanos(2)) == []
    (inquiry,) = room.take_inquiries()
    assert (inquiry.visitor.eap_name, inquiry.visitor.peer_id) == ("ann", "anything@example.net")
    room.heard(inquiry.ticket, Refuse("no"))
    assert room.take_given(9) == [EapFail(SaId(3), 9, "the authoriser says no: no")]


@pytest.mark.parametrize("question", [_eap(Role.INITIATOR), _eap(connection="other")])
def test_our_own_conversations_and_those_of_other_connections_are_left_alone(question: EapAsked) -> None:
    room = Anteroom(["phones"])
    room.note(question, Nanos(0))
    done = EapDone(SaId(3), 9, b"key", "ann")
    assert room.pass_on([done], Nanos(1)) == [done]


def test_what_the_core_waits_for_no_longer_is_forgotten() -> None:
    room = Anteroom(["office"])
    assert room.hold(_shown(), Allow(SaId(1), 7, b""), Nanos(0)) is None
    (late,) = room.take_inquiries()
    assert room.hold(_shown(2), Allow(SaId(2), 7, b""), Nanos(PATIENCE)) is None
    room.heard(late.ticket, Admit())
    assert room.take_given(9) == []


def test_a_crowd_is_kept_out_beyond_a_limit() -> None:
    room = Anteroom(["office"])
    held = [room.hold(_shown(number), Allow(SaId(number), 7, b""), Nanos(0)) for number in range(MOST_WAITING + 1)]
    assert held[:-1] == [None] * MOST_WAITING
    assert isinstance(held[-1], Deny)
