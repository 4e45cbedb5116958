"""ESP suites as the engine writes them (`aes128gcm16`, `aes256-sha256-esn`), as the kernel calls them. Pure."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Aead:
    """Encryption and integrity in one. `key` counts the salt behind it."""

    name: str
    key: int
    """Octets."""
    icv: int
    """Octets."""


@dataclass(frozen=True, slots=True)
class Cipher:
    """Encryption alone. `key` counts the nonce behind it (RFC 3686)."""

    name: str
    key: int


@dataclass(frozen=True, slots=True)
class Integrity:
    """Integrity alone, cut to `icv` octets."""

    name: str
    key: int
    icv: int


@dataclass(frozen=True, slots=True)
class Suite:
    """Either an AEAD, or a cipher with integrity beside it."""

    text: str
    aead: Aead | None
    cipher: Cipher | None
    integrity: Integrity | None
    esn: bool

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def lengths(self) -> tuple[int, int]:
        """Octets of key for one direction: encryption with its salt, and integrity."""
        if self.aead is not None:
            return self.aead.key, 0
        return (self.cipher.key if self.cipher else 0), (self.integrity.key if self.integrity else 0)


class UnknownSuiteError(ValueError):
    """The kernel plane has no name for a part of this suite."""


_SALT: Final = 4
_GCM: Final = "rfc4106(gcm(aes))"

_AEADS: Final = {
    f"aes{bits}gcm{icv}": Aead(_GCM, bits // 8 + _SALT, icv) for bits in (128, 192, 256) for icv in (8, 12, 16)
} | {"chacha20poly1305": Aead("rfc7539esp(chacha20,poly1305)", 32 + _SALT, 16)}
_CIPHERS: Final = {f"aes{bits}": Cipher("cbc(aes)", bits // 8) for bits in (128, 192, 256)} | {
    f"aes{bits}ctr": Cipher("rfc3686(ctr(aes))", bits // 8 + _SALT) for bits in (128, 192, 256)
}
_INTEGRITY: Final = {
    "sha1": Integrity("hmac(sha1)", 20, 12),
    "sha256": Integrity("hmac(sha256)", 32, 16),
    "sha384": Integrity("hmac(sha384)", 48, 24),
    "sha512": Integrity("hmac(sha512)", 64, 32),
}

EVERY_AEAD: Final = tuple(_AEADS)
EVERY_PAIR: Final = tuple(f"{cipher}-{integrity}" for cipher in _CIPHERS for integrity in _INTEGRITY)


@lru_cache(maxsize=256)
def suite_of(text: str) -> Suite:
    """Read the suite of a Child SA. Key exchanges in it were used up when its keys were made, and say nothing here."""
    parts = text.split("-")
    aead = next((_AEADS[part] for part in parts if part in _AEADS), None)
    cipher = next((_CIPHERS[part] for part in parts if part in _CIPHERS), None)
    integrity = next((_INTEGRITY[part] for part in parts if part in _INTEGRITY), None)
    if (aead is None) == (cipher is None) or (cipher is not None and integrity is None):
        raise UnknownSuiteError(f"the kernel plane has no name for the suite {text}")
    return Suite(text, aead, cipher, integrity if cipher else None, "esn" in parts)


def suite_named(aead: Aead | None, cipher: Cipher | None, integrity: Integrity | None, *, esn: bool) -> Suite:
    """The suite of an SA that the kernel shows; of what is not ours with the kernel's names as its text."""
    parts = [text for text, known in _AEADS.items() if known == aead]
    parts += [text for text, known in _CIPHERS.items() if known == cipher]
    parts += [text for text, known in _INTEGRITY.items() if known == integrity]
    others = [algorithm.name for algorithm in (aead, cipher, integrity) if algorithm is not None]
    text = "-".join(parts if len(parts) == len(others) else others)
    return Suite(text + ("-esn" if esn else ""), aead, cipher, integrity, esn)
