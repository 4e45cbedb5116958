"""EAP by way of RADIUS servers: what is believed of an answer, who is asked next, and what comes of it."""

from __future__ import annotations

import hashlib
import hmac
from hashlib import sha256
from ipaddress import ip_address

import pytest

from mobike.address import Endpoint, Nanos, Path, SaId
from mobike.auth.eap.packet import IDENTITY, MSCHAPV2, Code, Packet
from mobike.auth.eap.talks import Talks
from mobike.auth.radius import RadiusOrders, Server, codec
from mobike.auth.radius.relay import SILENT, TRIES, TRY
from mobike.commands import EapDone, EapFail, EapSend
from mobike.events import EapAsked, Role
from tests.auth.pki import NOW

SECRET = b"a secret of tests"
FIRST = Server(ip_address("192.0.2.5"), 1812, SECRET)
SECOND = Server(ip_address("192.0.2.6"), 1812, b"another secret")
PATH = Path(Endpoint(ip_address("198.51.100.1"), 4500), Endpoint(ip_address("203.0.113.7"), 4500))


class Dice:
    """Chance that is the same each time."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, octets: int) -> bytes:
        self._count += 1
        return sha256(str(self._count).encode()).digest()[:octets]


def _talks(*servers: Server) -> Talks:
    return Talks({"staff": RadiusOrders("gw.example.net", servers or (FIRST,))}, Dice())


def _asked(question: int, packet: Packet | None, sa: int = 1) -> EapAsked:
    octets = None if packet is None else packet.octets()
    return EapAsked(SaId(sa), question, "staff", Role.RESPONDER, "10.0.0.1", octets, PATH)


def _identify(talks: Talks, now: int = 0, sa: int = 1) -> None:
    begun = talks.reply(_asked(1, None, sa), Nanos(now), NOW)
    assert isinstance(begun, EapSend)
    first = Packet.read(begun.packet)
    assert (first.code, first.method) == (Code.REQUEST, IDENTITY)
    said = Packet(Code.RESPONSE, first.identifier, IDENTITY, b"ann")
    assert talks.reply(_asked(2, said, sa), Nanos(now), NOW) is None


def _attributes(octets: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 20
    while at < len(octets):
        found.append((octets[at], octets[at + 2 : at + octets[at + 1]]))
        at += octets[at + 1]
    return found


def _answer(request: bytes, code: int, attributes: list[tuple[int, bytes]], secret: bytes = SECRET) -> bytes:
    """As a server makes it."""
    zeros = [(codec.MESSAGE_AUTHENTICATOR, bytes(16)), *attributes]

    def body(all_of: list[tuple[int, bytes]]) -> bytes:
        return b"".join(bytes([kind, 2 + len(value)]) + value for kind, value in all_of)

    head = bytes([code, request[1]]) + (20 + len(body(zeros))).to_bytes(2, "big")
    proof = hmac.digest(secret, head + request[4:20] + body(zeros), "md5")
    real = body([(codec.MESSAGE_AUTHENTICATOR, proof), *attributes])
    return head + hashlib.md5(head + request[4:20] + real + secret, usedforsecurity=False).digest() + real


def _key(kind: int, clear: bytes, request: bytes, secret: bytes = SECRET) -> tuple[int, bytes]:
    salt = b"\x80" + bytes([kind])
    padded = bytes([len(clear)]) + clear
    padded += bytes(-len(padded) % 16)
    hidden, before = b"", request[4:20] + salt
    for at in range(0, len(padded), 16):
        pad = hashlib.md5(secret + before, usedforsecurity=False).digest()
        before = bytes(a ^ b for a, b in zip(padded[at : at + 16], pad, strict=True))
        hidden += before
    inner = salt + hidden
    return codec.VENDOR, (311).to_bytes(4, "big") + bytes([kind, 2 + len(inner)]) + inner


CHALLENGE = Packet(Code.REQUEST, 9, MSCHAPV2, b"c" * 300)


def test_a_packet_goes_to_the_server_with_its_proof_and_the_challenge_comes_back() -> None:
    talks = _talks()
    _identify(talks)
    (letter,) = talks.relay.take_letters()
    assert (letter.ip, letter.port) == (FIRST.ip, FIRST.port)
    attributes = dict(_attributes(letter.octets))
    assert attributes[codec.USER_NAME] == b"ann"
    assert attributes[codec.NAS_IDENTIFIER] == b"gw.example.net"
    assert attributes[codec.CALLING_STATION] == b"203.0.113.7"
    assert _attributes(letter.octets)[0][0] == codec.MESSAGE_AUTHENTICATOR
    blank = letter.octets[:22] + bytes(16) + letter.octets[38:]
    assert hmac.digest(SECRET, blank, "md5") == attributes[codec.MESSAGE_AUTHENTICATOR]
    pieces = codec.in_pieces(codec.EAP_MESSAGE, CHALLENGE.octets())
    assert len(pieces) == 2
    talks.relay.heard(FIRST.ip, FIRST.port, _answer(letter.octets, 11, [(codec.STATE, b"s1"), *pieces]))
    assert talks.take_replies(9) == [EapSend(SaId(1), 2, CHALLENGE.octets())]
    # The next one carries the State.
    assert talks.reply(_asked(3, Packet(Code.RESPONSE, 9, MSCHAPV2, b"r")), Nanos(0), NOW) is None
    (letter,) = talks.relay.take_letters()
    assert dict(_attributes(letter.octets))[codec.STATE] == b"s1"
    keys = [_key(17, b"r" * 16, letter.octets), _key(16, b"s" * 16, letter.octets)]
    talks.relay.heard(FIRST.ip, FIRST.port, _answer(letter.octets, 2, keys))
    assert talks.take_replies(9) == [EapDone(SaId(1), 3, b"r" * 16 + b"s" * 16 + bytes(32), "ann")]
    assert len(talks) == 0


def test_a_refusal_says_what_the_server_said() -> None:
    talks = _talks()
    _identify(talks)
    (letter,) = talks.relay.take_letters()
    talks.relay.heard(FIRST.ip, FIRST.port, _answer(letter.octets, 3, [(codec.REPLY_MESSAGE, b"not today")]))
    (reply,) = talks.take_replies(9)
    assert reply == EapFail(SaId(1), 2, "RADIUS server 192.0.2.5 refuses 'ann': 'not today'")


def _spoiled(octets: bytes, at: int) -> bytes:
    return octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]


@pytest.mark.parametrize("how", ["secret", "digest", "proof", "no proof", "source", "short", "length"])
def test_an_answer_that_proves_nothing_is_not_heard(how: str) -> None:
    talks = _talks()
    _identify(talks)
    (letter,) = talks.relay.take_letters()
    good = _answer(letter.octets, 2, [_key(17, b"r" * 32, letter.octets), _key(16, b"s" * 32, letter.octets)])
    source = FIRST.ip
    match how:
        case "secret":
            bad = _answer(letter.octets, 2, [], b"guessed")
        case "digest":
            bad = _spoiled(good, 10)
        case "proof":
            bad = _spoiled(good, 25)
            bad = (
                bad[:4]
                + hashlib.md5(bad[:4] + letter.octets[4:20] + bad[20:] + SECRET, usedforsecurity=False).digest()
                + bad[20:]
            )
        case "no proof":
            head = bytes([2, letter.octets[1], 0, 20])
            bad = head + hashlib.md5(head + letter.octets[4:20] + SECRET, usedforsecurity=False).digest()
        case "source":
            bad, source = good, SECOND.ip
        case "short":
            bad = good[:15]
        case _:
            bad = good[:2] + b"\xff\xff" + good[4:]
    talks.relay.heard(source, FIRST.port, bad)
    assert not talks.busy
    talks.relay.heard(FIRST.ip, FIRST.port, good)
    assert isinstance(talks.take_replies(9)[0], EapDone)
    talks.relay.heard(FIRST.ip, FIRST.port, good)
    assert not talks.busy, "a copy"


def test_an_accept_without_keys_is_one_of_a_method_without_keys() -> None:
    talks = _talks()
    _identify(talks)
    (letter,) = talks.relay.take_letters()
    talks.relay.heard(FIRST.ip, FIRST.port, _answer(letter.octets, 2, [(codec.USER_NAME, b"Ann")]))
    assert talks.take_replies(9) == [EapDone(SaId(1), 2, None, "Ann")]


@pytest.mark.parametrize(
    ("given", "addresses"),
    [
        ([(codec.FRAMED_IP_ADDRESS, b"\n\t\0\7")], ("10.9.0.7",)),
        ([(codec.FRAMED_IPV6_ADDRESS, ip_address("fd00::7").packed), (codec.FRAMED_IP_ADDRESS, b"\n\t\0\7")],
         ("10.9.0.7", "fd00::7")),
        ([(codec.FRAMED_IP_ADDRESS, b"\xff\xff\xff\xfe")], ()),
        ([(codec.FRAMED_IP_ADDRESS, b"\xff\xff\xff\xff")], ()),
        ([(codec.FRAMED_IP_ADDRESS, b"\xe0\0\0\1"), (codec.FRAMED_IPV6_ADDRESS, bytes(16))], ()),
        ([(codec.FRAMED_IP_ADDRESS, b"\n"), (codec.FRAMED_IPV6_ADDRESS, b"\n\t\0\7")], ()),
    ],
)  # fmt: skip
def test_a_server_may_say_which_inner_address_a_peer_gets(
    given: list[tuple[int, bytes]], addresses: tuple[str, ...]
) -> None:
    talks = _talks()
    _identify(talks)
    (letter,) = talks.relay.take_letters()
    talks.relay.heard(FIRST.ip, FIRST.port, _answer(letter.octets, codec.Code.ACCESS_ACCEPT, given))
    (done,) = talks.take_replies(9)
    assert isinstance(done, EapDone)
    assert done.addresses == tuple(map(ip_address, addresses))


def test_a_challenge_without_a_request_in_it_is_a_failure() -> None:
    talks = _talks()
    _identify(talks)
    (letter,) = talks.relay.take_letters()
    talks.relay.heard(FIRST.ip, FIRST.port, _answer(letter.octets, 11, []))
    assert isinstance(talks.take_replies(9)[0], EapFail)


def test_a_silent_server_is_asked_again_then_the_next_one_and_later_last() -> None:
    talks = _talks(FIRST, SECOND)
    _identify(talks)
    asked = [letter.ip for letter in talks.relay.take_letters()]
    now = 0
    for _ in range(TRIES):
        deadline = talks.relay.poll_deadline()
        assert deadline == now + TRY
        now = deadline
        talks.relay.wake(Nanos(now))
        asked += [letter.ip for letter in talks.relay.take_letters()]
    assert asked == [FIRST.ip, FIRST.ip, SECOND.ip]
    # Another peer does not wait for the silent one, for a while.
    _identify(talks, now, sa=2)
    assert [letter.ip for letter in talks.relay.take_letters()] == [SECOND.ip]
    _identify(talks, now + SILENT, sa=3)
    assert [letter.ip for letter in talks.relay.take_letters()] == [FIRST.ip]


def test_where_no_server_answers_the_peer_is_refused_before_the_core_does_it() -> None:
    talks = _talks(FIRST, SECOND)
    _identify(talks)
    now = 0
    while not talks.busy:
        deadline = talks.relay.poll_deadline()
        assert deadline is not None
        now = deadline
        talks.relay.wake(Nanos(now))
    assert now < 10_000_000_000
    (reply,) = talks.take_replies(9)
    assert reply == EapFail(SaId(1), 2, "no RADIUS server answers: 192.0.2.5 port 1812, 192.0.2.6 port 1812")
    assert talks.relay.poll_deadline() is None


def test_a_conversation_stays_with_its_server() -> None:
    talks = _talks(FIRST, SECOND)
    _identify(talks)
    (letter,) = talks.relay.take_letters()
    pieces = codec.in_pieces(codec.EAP_MESSAGE, CHALLENGE.octets())
    talks.relay.heard(FIRST.ip, FIRST.port, _answer(letter.octets, 11, [(codec.STATE, b"s1"), *pieces]))
    talks.take_replies(9)
    talks.reply(_asked(3, Packet(Code.RESPONSE, 9, MSCHAPV2, b"r")), Nanos(0), NOW)
    for turn in range(1, TRIES + 1):
        talks.relay.wake(Nanos(turn * TRY))
    assert {letter.ip for letter in talks.relay.take_letters()} == {FIRST.ip}
    assert isinstance(talks.take_replies(9)[0], EapFail)


def test_more_than_identifiers_can_tell_apart_is_refused() -> None:
    talks = _talks()
    for sa in range(256):
        _identify(talks, sa=sa)
    assert not talks.busy
    _identify(talks, sa=999)
    assert talks.take_replies(9) == [EapFail(SaId(999), 2, "RADIUS server 192.0.2.5 has too much to answer")]
    assert len({letter.octets[1] for letter in talks.relay.take_letters()}) == 256


def test_secrets_are_not_shown() -> None:
    shown = f"{RadiusOrders('gw', (FIRST,))}"
    assert "secret of tests" not in shown
