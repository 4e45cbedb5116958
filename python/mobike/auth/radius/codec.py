"""RADIUS packets (RFC 2865 section 3), with EAP inside (RFC 3579 section 3).

| Code | Identifier | Length (2) | Authenticator (16) | attributes: type, length, value ..

Everything here rests on MD5 and on a secret that both ends know. Without Message-Authenticator nothing is believed.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

HEADER: Final = 20
LONGEST: Final = 4096

USER_NAME: Final = 1
NAS_IP_ADDRESS: Final = 4
SERVICE_TYPE: Final = 6
FRAMED_IP_ADDRESS: Final = 8
REPLY_MESSAGE: Final = 18
STATE: Final = 24
CLASS: Final = 25
SESSION_TIMEOUT: Final = 27
VENDOR: Final = 26
CALLING_STATION: Final = 31
NAS_IDENTIFIER: Final = 32
ACCT_STATUS_TYPE: Final = 40
ACCT_DELAY_TIME: Final = 41
ACCT_INPUT_OCTETS: Final = 42
ACCT_OUTPUT_OCTETS: Final = 43
ACCT_SESSION_ID: Final = 44
ACCT_AUTHENTIC: Final = 45
ACCT_SESSION_TIME: Final = 46
ACCT_INPUT_PACKETS: Final = 47
ACCT_OUTPUT_PACKETS: Final = 48
ACCT_TERMINATE_CAUSE: Final = 49
ACCT_INPUT_GIGAWORDS: Final = 52
ACCT_OUTPUT_GIGAWORDS: Final = 53
NAS_PORT_TYPE: Final = 61
EAP_MESSAGE: Final = 79
MESSAGE_AUTHENTICATOR: Final = 80
ACCT_INTERIM_INTERVAL: Final = 85
FRAMED_IPV6_ADDRESS: Final = 168

_MICROSOFT: Final = (311).to_bytes(4, "big")
_SEND_KEY: Final = 16
_RECV_KEY: Final = 17
MSK: Final = 64

Attribute = tuple[int, bytes]


class Code(IntEnum):
    """What a packet is."""

    ACCESS_REQUEST = 1
    ACCESS_ACCEPT = 2
    ACCESS_REJECT = 3
    ACCOUNTING_REQUEST = 4
    ACCOUNTING_RESPONSE = 5
    ACCESS_CHALLENGE = 11


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said, proven to be its own."""

    code: Code
    attributes: tuple[Attribute, ...] = field(repr=False)

    def first(self, kind: int) -> bytes | None:
        """The first value of this type."""
        return next(self.all(kind), None)

    def all(self, kind: int) -> Iterator[bytes]:
        """All values of this type, in order."""
        return (value for known, value in self.attributes if known == kind)

    def seconds(self, kind: int) -> int:
        """The first value of this type as a span; 0 if there is none that is a number."""
        value = self.first(kind)
        return int.from_bytes(value, "big") if value is not None and len(value) == 4 else 0

    @property
    def eap(self) -> bytes:
        """The EAP packet, which comes in pieces."""
        return b"".join(self.all(EAP_MESSAGE))


def in_pieces(kind: int, value: bytes) -> list[Attribute]:
    """An attribute has 253 octets at most."""
    return [(kind, value[at : at + 253]) for at in range(0, len(value), 253)]


def request(identifier: int, authenticator: bytes, attributes: Sequence[Attribute], secret: bytes) -> bytes:
    """An Access-Request that carries EAP, with its Message-Authenticator."""
    # First of all, where it protects what follows from MD5 collisions.
    body = _attributes([(MESSAGE_AUTHENTICATOR, bytes(16)), *attributes])
    length = HEADER + len(body)
    if length > LONGEST:
        raise ValueError("too long for RADIUS")
    head = bytes([Code.ACCESS_REQUEST, identifier]) + length.to_bytes(2, "big") + authenticator
    proof = hmac.digest(secret, head + body, "md5")
    return head + body[:2] + proof + body[18:]


def read_answer(octets: bytes, identifier: int, authenticator: bytes, secret: bytes) -> Answer | None:
    """What the server answered to this request; None if it did not, or nobody can know."""
    if not HEADER <= len(octets) <= LONGEST or octets[1] != identifier:
        return None
    length = int.from_bytes(octets[2:4], "big")
    if not HEADER <= length <= len(octets):
        return None
    head, given, body = octets[:4], octets[4:HEADER], octets[HEADER:length]
    digest = hashlib.md5(head + authenticator + body + secret, usedforsecurity=False).digest()
    attributes = _read(body)
    if attributes is None or not hmac.compare_digest(digest, given):
        return None
    if not _is_proven(head + authenticator, attributes, secret):
        return None
    try:
        return Answer(Code(octets[0]), tuple(attributes))
    except ValueError:
        return None


def accounting_request(identifier: int, attributes: Sequence[Attribute], secret: bytes) -> bytes:
    """An Accounting-Request; its authenticator is its proof (RFC 2866 section 3)."""
    body = _attributes(attributes)
    head = bytes([Code.ACCOUNTING_REQUEST, identifier]) + (HEADER + len(body)).to_bytes(2, "big")
    return head + hashlib.md5(head + bytes(16) + body + secret, usedforsecurity=False).digest() + body


def answers_accounting(octets: bytes, identifier: int, authenticator: bytes, secret: bytes) -> bool:
    """Is it the server's Accounting-Response to this request?"""
    if not HEADER <= len(octets) <= LONGEST or octets[0] != Code.ACCOUNTING_RESPONSE or octets[1] != identifier:
        return False
    length = int.from_bytes(octets[2:4], "big")
    if not HEADER <= length <= len(octets):
        return False
    proof = hashlib.md5(octets[:4] + authenticator + octets[HEADER:length] + secret, usedforsecurity=False).digest()
    return hmac.compare_digest(proof, octets[4:HEADER])


def session_key(answer: Answer, authenticator: bytes, secret: bytes) -> bytes | None:
    """MSK: MS-MPPE-Recv-Key and MS-MPPE-Send-Key (RFC 2548 section 2.4), zeros behind short ones. None: none given."""
    keys: dict[int, bytes] = {}
    for value in answer.all(VENDOR):
        if len(value) >= 6 and value[:4] == _MICROSOFT and value[4] in (_SEND_KEY, _RECV_KEY):
            clear = _decrypted(value[6 : 4 + value[5]], authenticator, secret)
            if clear is not None:
                keys[value[4]] = clear
    if _SEND_KEY not in keys or _RECV_KEY not in keys:
        return None
    return (keys[_RECV_KEY] + keys[_SEND_KEY]).ljust(MSK, b"\0")


def _is_proven(head: bytes, attributes: Sequence[Attribute], secret: bytes) -> bool:
    """Message-Authenticator, over the packet as it was with the request's authenticator and zeros in its own place."""
    given = [value for kind, value in attributes if kind == MESSAGE_AUTHENTICATOR]
    if len(given) != 1 or len(given[0]) != 16:
        return False
    blank = [(kind, bytes(16) if kind == MESSAGE_AUTHENTICATOR else value) for kind, value in attributes]
    return hmac.compare_digest(hmac.digest(secret, head + _attributes(blank), "md5"), given[0])


def _decrypted(value: bytes, authenticator: bytes, secret: bytes) -> bytes | None:
    salt, hidden = value[:2], value[2:]
    if len(salt) != 2 or not hidden or len(hidden) % 16:
        return None
    clear, before = b"", authenticator + salt
    for at in range(0, len(hidden), 16):
        block = hidden[at : at + 16]
        pad = hashlib.md5(secret + before, usedforsecurity=False).digest()
        clear += bytes(one ^ other for one, other in zip(block, pad, strict=True))
        before = block
    length = clear[0]
    return clear[1 : 1 + length] if 0 < length < len(clear) else None


def _attributes(attributes: Sequence[Attribute]) -> bytes:
    return b"".join(bytes([kind, 2 + len(value)]) + value for kind, value in attributes)


def _read(body: bytes) -> list[Attribute] | None:
    found: list[Attribute] = []
    at = 0
    while at < len(body):
        if len(body) - at < 2 or body[at + 1] < 2 or at + body[at + 1] > len(body):
            return None
        found.append((body[at], body[at + 2 : at + body[at + 1]]))
        at += body[at + 1]
    return found
