"""Seals what the archive keeps, and names secrets, under a key that follows from the operator's: the one that
seals IKE SAs too."""

import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FOR: Final = b"mobike configurations 1"
_MARKS: Final = b"mobike fingerprints 1"
_NONCE: Final = 12
"""Octets, by chance: a file holds far fewer revisions than would make two alike."""


class ArchiveSeal:
    """Implements `mobike.store.Seal` by AES-256-GCM."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(HKDF(SHA256(), 32, None, _FOR).derive(key))
        self._marks = HKDF(SHA256(), 32, None, _MARKS).derive(key)

    def close(self, octets: bytes, about: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._aead.encrypt(nonce, octets, about)

    def open(self, sealed: bytes, about: bytes) -> bytes:
        try:
            return self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], about)
        except InvalidTag:
            raise ValueError("sealed under another key, or about something else") from None

    def mark(self, octets: bytes) -> bytes:
        return hmac.digest(self._marks, octets, "sha256")
