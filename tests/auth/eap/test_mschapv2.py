"""EAP-MSCHAPv2: its arithmetic by the vectors of the RFCs, and both ends against each other."""

from __future__ import annotations

from hashlib import sha256

import pytest

from mobike.auth.eap import mschap
from mobike.auth.eap.client import ClientOrders, ClientTalk
from mobike.auth.eap.md4 import md4
from mobike.auth.eap.packet import MSCHAPV2, TLS, Code, Packet
from mobike.auth.eap.server import ServerOrders, ServerTalk
from mobike.auth.eap.steps import Lost, Won
from tests.auth.pki import NOW

RFC_1320 = {
    b"": "31d6cfe0d16ae931b73c59d7e0c089c0",
    b"a": "bde52cb31de33e46245e05fbdbd6fb24",
    b"abc": "a448017aaf21d8525fc10ae87aa6729d",
    b"message digest": "d9130a8164549fe818874806e1c7014b",
    b"abcdefghijklmnopqrstuvwxyz": "d79e1c308aa5bbcdeea8ed63df412da9",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789": "043f8582f241db351ce627e153e7f0e4",
    b"1234567890" * 8: "e33b4ddc9c38f2199c3e7b164fcc0536",
}


@pytest.mark.parametrize(("message", "digest"), RFC_1320.items())
def test_md4_is_that_of_rfc_1320(message: bytes, digest: str) -> None:
    assert md4(message).hex() == digest


def test_the_arithmetic_is_that_of_rfc_2759_section_9_2_and_rfc_3079_section_3_5_3() -> None:
    authenticator = bytes.fromhex("5b5d7c7d7b3f2f3e3c2c602132262628")
    peer = bytes.fromhex("21402324255e262a28295f2b3a337c7e")
    hashed = mschap.password_hash("clientPass")
    assert hashed.hex() == "44ebba8d5312b8d611474411f56989ae"
    challenge = mschap.challenge_hash(peer, authenticator, b"User")
    assert challenge.hex() == "d02e4386bce91226"
    response = mschap.nt_response(hashed, challenge)
    assert response.hex() == "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df"
    proof = mschap.authenticator_response(hashed, response, challenge)
    assert proof.hex().upper() == "407A5589115FD0D6209F510FE9C04566932CDA56"
    # RFC 3079: SendStartKey128 of the server, which the client receives with.
    key = mschap.session_key(hashed, response)
    assert len(key) == 64
    assert key[16:32].hex() == "8b7cdc149b993a1ba118cb153f56dccb"
    assert key[32:] == bytes(32)


class Dice:
    """Chance that is the same each time."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, octets: int) -> bytes:
        self._count += 1
        return sha256(str(self._count).encode()).digest()[:octets]


USERS = {"ann@example.net": "correct horse", "bob": "battery staple"}


def _talk(
    client: ClientOrders, server: ServerOrders | None = None, spoil: bytes | None = None
) -> tuple[Won | Lost | None, Won | Lost | None, list[Packet]]:
    """How it ends for both: client, server, and what was said."""
    orders = server or ServerOrders("gw.example.net", (MSCHAPV2,), USERS)
    theirs, ours = ServerTalk(orders, Dice(), NOW), ClientTalk(client, Dice(), "gw.example.net", NOW)
    said: list[Packet] = []
    heard: bytes | None = None
    for _ in range(20):
        step = theirs.hear(heard)
        if not isinstance(step, Packet):
            code = Code.SUCCESS if isinstance(step, Won) else Code.FAILURE
            last = ours.hear(Packet(code, said[-1].identifier).octets())
            assert not isinstance(last, Packet)
            return last, step, said
        octets = step.octets()
        if spoil is not None:
            octets = octets.replace(spoil, bytes(len(spoil)))
        said.append(Packet.read(step.octets()))
        answer = ours.hear(octets)
        if not isinstance(answer, Packet):
            return answer, None, said
        said.append(answer)
        heard = answer.octets()
    raise AssertionError("it does not end")


def test_who_knows_the_password_is_let_in_and_both_have_the_same_key() -> None:
    ours, theirs, said = _talk(ClientOrders("ann@example.net", (MSCHAPV2,), "correct horse"))
    assert isinstance(ours, Won)
    assert isinstance(theirs, Won)
    assert ours.key == theirs.key
    assert ours.key is not None
    assert len(ours.key) == 64
    assert theirs.user == "ann@example.net"
    assert len(said) == 6


def test_a_domain_in_front_of_a_user_is_left_out_of_the_hash_and_the_lookup() -> None:
    ours, theirs, _ = _talk(ClientOrders("OFFICE\\bob", (MSCHAPV2,), "battery staple"))
    assert isinstance(ours, Won)
    assert isinstance(theirs, Won)
    assert theirs.user == "OFFICE\\bob"


@pytest.mark.parametrize(
    ("user", "password", "why"),
    [
        ("ann@example.net", "wrong", "wrong password: EAP-MSCHAPv2 as 'ann@example.net'"),
        ("eve", "correct horse", "unknown user: EAP-MSCHAPv2 as 'eve'"),
    ],
)
def test_who_does_not_is_refused_and_both_say_so_in_one_line(user: str, password: str, why: str) -> None:
    ours, theirs, said = _talk(ClientOrders(user, (MSCHAPV2,), password))
    assert ours == Lost("the gateway refuses our EAP-MSCHAPv2: wrong user or password")
    assert theirs == Lost(why)
    # A stranger cannot tell whether a user exists.
    assert [len(each.data) for each in said][3:] != []
    assert said[4].data.startswith(b"\x04")


def test_a_gateway_that_does_not_know_the_password_is_left() -> None:
    ours, _, _ = _talk(ClientOrders("bob", (MSCHAPV2,), "battery staple"), spoil=b"S=")
    assert ours == Lost("the gateway does not know our EAP password: it is not the one we want")


def test_a_client_believes_no_success_that_comes_too_early() -> None:
    talk = ClientTalk(ClientOrders("bob", (MSCHAPV2,), "battery staple"), Dice(), "gw", NOW)
    assert isinstance(talk.hear(Packet(Code.SUCCESS, 1).octets()), Lost)
    talk = ClientTalk(ClientOrders("bob", (MSCHAPV2,), "battery staple"), Dice(), "gw", NOW)
    challenge = bytes([1, 1, 0, 23, 16]) + bytes(16) + b"gw"
    assert isinstance(talk.hear(Packet(Code.REQUEST, 1, MSCHAPV2, challenge).octets()), Packet)
    assert isinstance(talk.hear(Packet(Code.SUCCESS, 1).octets()), Lost)


def test_methods_are_agreed_on_or_both_say_which_they_know() -> None:
    ours, theirs, _ = _talk(ClientOrders("bob", (TLS,), "battery staple"))
    assert theirs == Lost("peer 'bob' knows other EAP methods than we do: tls; ours: mschapv2")
    assert isinstance(ours, Lost)


@pytest.mark.parametrize("octets", [b"", b"\x02", b"\x02\x05\x00\x05\x1a", b"\x02" + bytes(300), b"\x07"])
def test_a_gateway_refuses_what_it_cannot_read(octets: bytes) -> None:
    talk = ServerTalk(ServerOrders("gw", (MSCHAPV2,), USERS), Dice(), NOW)
    first = talk.hear(None)
    assert isinstance(first, Packet)
    second = talk.hear(Packet(Code.RESPONSE, first.identifier, 1, b"bob").octets())
    assert isinstance(second, Packet)
    assert isinstance(talk.hear(Packet(Code.RESPONSE, second.identifier, MSCHAPV2, octets).octets()), Lost)


def test_secrets_are_not_shown() -> None:
    shown = f"{ServerOrders('gw', (MSCHAPV2,), USERS)} {ClientOrders('bob', (MSCHAPV2,), 'battery staple')} {Won(b'k')}"
    assert "battery" not in shown
    assert "correct" not in shown
    assert "b'k'" not in shown
