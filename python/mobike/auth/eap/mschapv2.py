"""EAP-MSCHAPv2, both roles (draft-kamath-pppext-eap-mschapv2).

<-- challenge { 16 octets, the server's name }
--> response  { challenge of the client, answer, the user's name }
<-- success   { "S=proof M=.." }  or failure { "E=691 .." }
--> success                       or failure
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from mobike.auth.eap import mschap
from mobike.auth.eap.packet import MSCHAPV2
from mobike.auth.eap.steps import Lost, Say, Step, Won

CHALLENGE: Final = 1
RESPONSE: Final = 2
SUCCESS: Final = 3
FAILURE: Final = 4
CHANGE_PASSWORD: Final = 7

_RESPONSE_SIZE: Final = 49
"""Challenge 16, nothing 8, answer 24, flags 1."""
LONGEST_NAME: Final = 255

Chance = Callable[[int], bytes]


class Server:
    """The side that knows passwords."""

    number = MSCHAPV2

    def __init__(self, name: str, passwords: Mapping[str, str], chance: Chance, identifier: int = 1) -> None:
        self._name = name.encode()
        self._passwords = passwords
        self._chance = chance
        self._id = identifier
        self._challenge = b""
        self._outcome: Won | Lost | None = None

    def hear(self, data: bytes | None) -> Step:
        """What the client said."""
        match self._outcome, data:
            case _, None:
                self._challenge = self._chance(16)
                return Say(_message(CHALLENGE, self._id, bytes([16]) + self._challenge + self._name))
            case None, bytes() if data[:1] == bytes([RESPONSE]):
                return self._judge(data)
            case Won() as won, bytes() if data[:1] == bytes([SUCCESS]):
                return won
            case Lost() as lost, _:
                return lost
            case _:
                return Lost("peer's EAP-MSCHAPv2 message does not fit where it came")

    def _judge(self, data: bytes) -> Step:
        value, name = data[5 : 5 + _RESPONSE_SIZE], data[5 + _RESPONSE_SIZE :]
        if data[4:5] != bytes([_RESPONSE_SIZE]) or len(value) < _RESPONSE_SIZE or not 1 <= len(name) <= LONGEST_NAME:
            return Lost("peer's EAP-MSCHAPv2 response cannot be read")
        user = name.decode(errors="replace")
        known = _password(self._passwords, user)
        # Somebody we do not know costs the same time as a wrong password, and hears the same.
        hashed = mschap.password_hash(self._chance(16).hex() if known is None else known)
        challenge = mschap.challenge_hash(value[:16], self._challenge, without_domain(name))
        answer = value[24:48]
        if not mschap.is_same(mschap.nt_response(hashed, challenge), answer) or known is None:
            what = "wrong password" if known is not None else "unknown user"
            self._outcome = lost = Lost(f"{what}: EAP-MSCHAPv2 as {user[:LONGEST_NAME]!r}")
            text = b"E=691 R=0 C=" + self._chance(16).hex().upper().encode() + b" V=3 M=Authentication failed"
            return Say(_message(FAILURE, self._id, text), lost.why)
        proof = mschap.authenticator_response(hashed, answer, challenge)
        self._outcome = Won(mschap.session_key(hashed, answer), user)
        return Say(_message(SUCCESS, self._id, b"S=" + proof.hex().upper().encode() + b" M=Welcome"))


class Client:
    """The side that has a password."""

    number = MSCHAPV2

    def __init__(self, user: str, password: str, chance: Chance) -> None:
        self._user = user.encode()
        self._hashed = mschap.password_hash(password)
        self._chance = chance
        self._wanted: bytes | None = None
        self._key: bytes | None = None
        self._won: Won | None = None
        self.reason: str | None = None

    def hear(self, data: bytes | None) -> Step:
        """What the server said."""
        match (data or b"\0")[0], self._wanted:
            case int(code), None if code == CHALLENGE:
                return self._answer(data or b"")
            case int(code), bytes() as wanted if code == SUCCESS and self._won is None:
                return self._check(data or b"", wanted)
            case int(code), _ if code == FAILURE:
                self.reason = _refusal((data or b"")[4:])
                return Say(bytes([FAILURE]))
            case _:
                return Lost("the gateway's EAP-MSCHAPv2 message does not fit where it came")

    def ended(self) -> Won | None:
        """Only after the server proved to know the password."""
        return self._won

    def _answer(self, data: bytes) -> Step:
        if data[4:5] != b"\x10" or len(data) < 21:
            return Lost("the gateway's EAP-MSCHAPv2 challenge cannot be read")
        ours = self._chance(16)
        challenge = mschap.challenge_hash(ours, data[5:21], without_domain(self._user))
        answer = mschap.nt_response(self._hashed, challenge)
        self._wanted = mschap.authenticator_response(self._hashed, answer, challenge)
        self._key = mschap.session_key(self._hashed, answer)
        value = bytes([_RESPONSE_SIZE]) + ours + bytes(8) + answer + bytes(1)
        return Say(_message(RESPONSE, data[1], value + self._user))

    def _check(self, data: bytes, wanted: bytes) -> Step:
        found = re.search(rb"S=([0-9A-Fa-f]{40})", data[4:])
        if found is None or not mschap.is_same(bytes.fromhex(found[1].decode()), wanted):
            return Lost("the gateway does not know our EAP password: it is not the one we want")
        self._won = Won(self._key)
        return Say(bytes([SUCCESS]))


def without_domain(name: bytes) -> bytes:
    r"""`DOMAIN\user` is hashed as `user` (RFC 2759 section 4)."""
    return name.rpartition(b"\\")[2]


def _password(passwords: Mapping[str, str], user: str) -> str | None:
    return passwords.get(user, passwords.get(user.rpartition("\\")[2]))


def _message(code: int, identifier: int, rest: bytes) -> bytes:
    return bytes([code, identifier]) + (4 + len(rest)).to_bytes(2, "big") + rest


_ERRORS: Final = {
    b"646": "it is not allowed now",
    b"647": "the account is disabled",
    b"648": "the password has expired",
    b"649": "it is not allowed to dial in",
    b"691": "wrong user or password",
}
"""RFC 2759 section 6."""


def _refusal(text: bytes) -> str:
    found = re.search(rb"E=([0-9]{1,10})", text)
    code = found[1] if found else b"?"
    return f"the gateway refuses our EAP-MSCHAPv2: {_ERRORS.get(code, f'error {code.decode()}')}"
