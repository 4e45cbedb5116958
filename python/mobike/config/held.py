"""Credentials that the daemon keeps itself, made over the API and never shown; and what can be told of one without
telling it.

A connection of the store names one as `stored:NAME` where one of a file names a path.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mobike.auth.trust import TrustError, key_info, read_authorities, read_certificates
from mobike.config.credentials import MOST_CERTIFICATES, key_in, public_key_in
from mobike.config.eap import users_in
from mobike.config.named import SecretError
from mobike.config.problems import nearest
from mobike.config.secrets import decoded
from mobike.kinds import KINDS

LONGEST: Final = 48 * 1024
"""Octets of one."""


@dataclass(frozen=True, slots=True)
class Held:
    """A credential."""

    kind: str
    text: str = field(repr=False)
    fingerprints: tuple[str, ...]
    """One, or one of each certificate."""
    ends: float | None
    """When the first of its certificates does, in seconds since the epoch."""
    made: float
    changed: float
    """When it was made, and when it last became another."""


def held(kind: str, text: str, now: float, before: Held | None, mark: Callable[[bytes], str]) -> Held:
    """A credential of this text, or SecretError, which blames `kind` or `content`. `before` is the one it replaces.

    `mark` names a secret: the same one always alike, and of no use to who guesses at it elsewhere."""
    if kind not in KINDS:
        raise SecretError("kind", f"must be one of {', '.join(KINDS)}{nearest(kind, KINDS)}")
    if not text.strip():
        raise SecretError("content", "is empty")
    if len(octets := text.encode()) > LONGEST:
        raise SecretError("content", f"has {len(octets)} octets; {LONGEST} at most")
    if before is not None and (before.kind, before.text) == (kind, text):
        return before
    try:
        names, ends = _told(kind, text, octets, mark)
    except TrustError as problem:
        raise SecretError("content", str(problem)) from None
    except UnsupportedAlgorithm:
        raise SecretError("content", "is signed with what is not known here") from None
    return Held(kind, text, names, ends, now if before is None else before.made, now)


def _told(kind: str, text: str, octets: bytes, mark: Callable[[bytes], str]) -> tuple[tuple[str, ...], float | None]:
    """Fingerprints, and the end."""
    match kind:
        case "certificate":
            certificates = _ours(octets)
        case "identity":
            certificates = _ours(octets)
            if _of_key(octets) != _fingerprint(key_info(certificates[0])):
                raise SecretError("content", "holds a private key that does not belong to its first certificate")
        case "authority":
            certificates = read_authorities(octets)
        case _:
            return (_of_one(kind, text, octets, mark),), None
    ends = min(each.not_valid_after_utc.timestamp() for each in certificates)
    return tuple(_fingerprint(each.public_bytes(Encoding.DER)) for each in certificates), ends


def _of_one(kind: str, text: str, octets: bytes, mark: Callable[[bytes], str]) -> str:
    match kind:
        case "private-key":
            return _of_key(octets)
        case "public-key":
            return _fingerprint(public_key_in(octets))
        case "psk" | "ppk":
            return mark(decoded("content", text.rstrip("\r\n")))
        case "users":
            users_in(octets, "content", "it")
        case _:
            pass
    return mark(octets)


def _ours(octets: bytes) -> list[x509.Certificate]:
    certificates = read_certificates(octets)
    if len(certificates) > MOST_CERTIFICATES:
        raise TrustError(f"holds {len(certificates)} certificates; peers take {MOST_CERTIFICATES}")
    return certificates


def _of_key(octets: bytes) -> str:
    """Of its public half."""
    public = key_in(octets, "content", "it").public_key()
    return _fingerprint(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _fingerprint(octets: bytes) -> str:
    return f"sha256:{sha256(octets).hexdigest()}"
