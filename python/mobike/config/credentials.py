"""Certificates and private keys from files: ours, and those of the authorities we trust."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from mobike.auth.names import is_named, name_of, own_name, peer_name
from mobike.auth.trust import (
    MOST_AUTHORITIES,
    Trust,
    TrustError,
    check_lists,
    key_info,
    read_authorities,
    read_certificates,
    read_list,
)
from mobike.commands import Credential
from mobike.config.models import ConnectionTable
from mobike.config.secrets import SecretError, exposed, read_limited

MAX_FILE = 4 << 20
"""Octets of a file of certificates; a revocation list may be long."""
MOST_CERTIFICATES = 8
"""Certificates that we send; peers take no more of anybody."""
SMALLEST_RSA = 2048

_T = TypeVar("_T")
_SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Own:
    """What we sign with, and who that makes us."""

    credential: Credential
    name: str
    """The identity: as configured, or else the first name of the certificate."""
    warnings: tuple[tuple[str, str], ...]
    """Key of the configuration, and what is unwise about it."""


def read_own(table: ConnectionTable, base: Path) -> Own:
    """`local_cert` and `local_key`; they must belong together."""
    certificates = _from_file("local_cert", table.local_cert or "", base, read_certificates)
    if len(certificates) > MOST_CERTIFICATES:
        raise SecretError("local_cert", f"holds {len(certificates)} certificates; peers take {MOST_CERTIFICATES}")
    own = certificates[0]
    key, warnings = _read_key(table.local_key or "", base)
    if key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != key_info(own):
        raise SecretError("local_key", f"does not belong to the first certificate of local_cert, {name_of(own)!r}")
    name = table.local_id or own_name(own)
    if name is None:
        raise SecretError("local_cert", "holds no name to go by; give local_id")
    if not is_named(own, peer_name(name)):
        warnings.append(("local_id", f"{name} is not in the certificate {name_of(own)!r}; peers will refuse it"))
    octets = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    credential = Credential(octets, tuple(each.public_bytes(Encoding.DER) for each in certificates))
    return Own(credential, name, tuple(warnings))


def read_trust(table: ConnectionTable, base: Path) -> Trust:
    """`remote_ca` and `remote_crl`."""
    anchors = [anchor for file in table.remote_ca for anchor in _from_file("remote_ca", file, base, read_authorities)]
    if len(anchors) > MOST_AUTHORITIES:
        raise SecretError("remote_ca", f"holds {len(anchors)} authorities; {MOST_AUTHORITIES} are the most")

    def read(content: bytes) -> x509.CertificateRevocationList:
        listed = read_list(content)
        check_lists(anchors, [listed])
        return listed

    return Trust(
        tuple(dict.fromkeys(anchors)), tuple(_from_file("remote_crl", file, base, read) for file in table.remote_crl)
    )


def read_keys(table: ConnectionTable, base: Path) -> tuple[bytes, ...]:
    """`remote_keys`: public keys in PEM, one a file, as SubjectPublicKeyInfo in DER."""
    return tuple(_from_file("remote_keys", file, base, _public_key) for file in table.remote_keys)


def _public_key(content: bytes) -> bytes:
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise TrustError("holds no public key in PEM") from None
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _from_file(key: str, file: str, base: Path, read: Callable[[bytes], _T]) -> _T:
    path = base / file
    content, _ = read_limited(key, path, MAX_FILE)
    try:
        return read(content)
    except TrustError as problem:
        raise SecretError(key, f"{path} {problem}") from None


def _read_key(file: str, base: Path) -> tuple[_SigningKey, list[tuple[str, str]]]:
    path = base / file
    content, mode = read_limited("local_key", path, MAX_FILE)
    try:
        key = load_pem_private_key(content, None)
    except TypeError:
        raise SecretError("local_key", f"{path} is encrypted; store the key without a passphrase, chmod 600") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SecretError("local_key", f"{path} holds no private key in PEM") from None
    match key:
        case rsa.RSAPrivateKey() if key.key_size >= SMALLEST_RSA:
            pass
        case ec.EllipticCurvePrivateKey() if isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
            pass
        case ed25519.Ed25519PrivateKey():
            pass
        case _:
            kinds = f"RSA of {SMALLEST_RSA} bits or more, ECDSA on P-256 or P-384, Ed25519"
            raise SecretError("local_key", f"{path} is of a kind that is not known here; known are {kinds}")
    return key, [("local_key", message) for message in exposed(path, mode)]
