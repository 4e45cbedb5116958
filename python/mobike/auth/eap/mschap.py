"""The arithmetic of MS-CHAPv2 (RFC 2759 section 8) and of the keys made from it (RFC 3079 section 3).

It is as weak as DES and MD4: whoever sees an exchange in the clear finds the password. Inside IKE_AUTH only a gateway
that proved itself first sees it, which is the reason that the gateway must.
"""

import hashlib
import hmac
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from mobike.auth.eap.md4 import md4

_SERVER_MAGIC: Final = b"Magic server to client signing constant"
_PAD_MAGIC: Final = b"Pad to make it do more than one iteration"
_MASTER_MAGIC: Final = b"This is the MPPE Master Key"
_CLIENT_SENDS: Final = b"On the client side, this is the send key; on the server side, it is the receive key."
_SERVER_SENDS: Final = b"On the client side, this is the receive key; on the server side, it is the send key."


def password_hash(password: str) -> bytes:
    """NtPasswordHash."""
    return md4(password.encode("utf-16-le"))


def challenge_hash(peer: bytes, authenticator: bytes, user: bytes) -> bytes:
    """ChallengeHash. `user` is without a domain in front."""
    return hashlib.sha1(peer + authenticator + user, usedforsecurity=False).digest()[:8]


def nt_response(hashed: bytes, challenge: bytes) -> bytes:
    """ChallengeResponse: the challenge under three DES keys made of the password's hash."""
    key = hashed + bytes(5)
    return b"".join(_des(key[at : at + 7], challenge) for at in (0, 7, 14))


def authenticator_response(hashed: bytes, response: bytes, challenge: bytes) -> bytes:
    """GenerateAuthenticatorResponse, the octets: the server knows the password too."""
    first = hashlib.sha1(md4(hashed) + response + _SERVER_MAGIC, usedforsecurity=False).digest()
    return hashlib.sha1(first + challenge + _PAD_MAGIC, usedforsecurity=False).digest()


def session_key(hashed: bytes, response: bytes) -> bytes:
    """MSK: the client's key to send, the server's, and zeros up to 64 octets."""
    master = hashlib.sha1(md4(hashed) + response + _MASTER_MAGIC, usedforsecurity=False).digest()[:16]
    return _start_key(master, _CLIENT_SENDS) + _start_key(master, _SERVER_SENDS) + bytes(32)


def is_same(one: bytes, other: bytes) -> bool:
    """In constant time."""
    return hmac.compare_digest(one, other)


def _start_key(master: bytes, magic: bytes) -> bytes:
    return hashlib.sha1(master + bytes(40) + magic + b"\xf2" * 40, usedforsecurity=False).digest()[:16]


def _des(key: bytes, block: bytes) -> bytes:
    """DES with a key of 56 bits, as triple DES with three times the same key."""
    bits = int.from_bytes(key, "big")
    spread = bytes((bits >> (49 - 7 * at) & 0x7F) << 1 for at in range(8))
    encryptor = Cipher(TripleDES(spread * 3), modes.ECB()).encryptor()  # noqa: S305 - one block
    return encryptor.update(block) + encryptor.finalize()
