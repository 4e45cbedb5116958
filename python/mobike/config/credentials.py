"""Certificates and private keys from files: ours, and those of the authorities we trust."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
from mobike.auth.ocsp import UselessResponse, Wanted, read_response
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
from mobike.config.named import SecretError, Shelf

MAX_FILE = 4 << 20
"""Octets of a file of certificates; a revocation list may be long."""
MOST_CERTIFICATES = 8
"""Certificates that we send; peers take no more of anybody."""
SMALLEST_RSA = 2048

_T = TypeVar("_T")
SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Own:
    """What we sign with, and who that makes us."""

    credential: Credential
    name: str
    """The identity: as configured, or else the first name of the certificate."""
    warnings: tuple[tuple[str, str], ...]
    """Key of the configuration, and what is unwise about it."""


def of_certificates(table: ConnectionTable, *, shown: bool) -> Iterator[tuple[str, str]]:
    """Keys about certificates that are missing or of no use, and why; `shown`: they are shown in EAP."""
    wanted: tuple[tuple[str, str, Sequence[tuple[str, object]]], ...] = (
        ("local_auth", table.local_auth, (("local_cert", table.local_cert),)),
        ("remote_auth", table.remote_auth, (("remote_ca", table.remote_ca),)),
    )
    for end, auth, keys in wanted:
        for key, value in keys:
            if shown and not value and auth != "cert":
                yield key, 'is missing; eap = ["tls"] needs it'
            if auth == "cert" and not value:
                yield key, f'is missing; {end} = "cert" needs it'
            if auth != "cert" and value and not shown:
                yield key, f'is used with {end} = "cert" only'
    signs = table.local_auth in {"cert", "key"}
    if shown and not table.local_key and not signs:
        yield "local_key", 'is missing; eap = ["tls"] needs it'
    if signs and not table.local_key:
        yield "local_key", f'is missing; local_auth = "{table.local_auth}" needs it'
    if table.local_key and not signs and not shown:
        yield "local_key", 'is used with local_auth = "cert" or "key" only'
    if table.remote_crl and table.remote_auth != "cert" and not shown:
        yield "remote_crl", 'is used with remote_auth = "cert" only'
    if table.remote_ocsp == "require" and table.remote_auth != "cert":
        yield "remote_ocsp", 'is used with remote_auth = "cert" only: EAP brings no OCSP response'
    if table.remote_rsa_sha1 and table.remote_auth not in {"cert", "key"}:
        yield "remote_rsa_sha1", 'is used with remote_auth = "cert" or "key" only'
    if table.local_ocsp is not None and table.local_auth != "cert":
        yield "local_ocsp", 'is used with local_auth = "cert" only'


def read_own(table: ConnectionTable, shelf: Shelf) -> Own:
    """`local_cert` and `local_key`; they must belong together."""
    certificates = _from_file("local_cert", table.local_cert or "", shelf, read_certificates)
    if len(certificates) > MOST_CERTIFICATES:
        raise SecretError("local_cert", f"holds {len(certificates)} certificates; peers take {MOST_CERTIFICATES}")
    own = certificates[0]
    key, warnings = _read_key(table.local_key or "", shelf)
    if key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != key_info(own):
        raise SecretError("local_key", f"does not belong to the first certificate of local_cert, {name_of(own)!r}")
    name = table.local_id or own_name(own)
    if name is None:
        raise SecretError("local_cert", "holds no name to go by; give local_id")
    if not is_named(own, peer_name(name)):
        warnings.append(("local_id", f"{name} is not in the certificate {name_of(own)!r}; peers will refuse it"))
    octets = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    shown = tuple(each.public_bytes(Encoding.DER) for each in certificates)
    staple = None
    if table.local_ocsp is not None:
        staple = _from_file("local_ocsp", table.local_ocsp, shelf, read_response)
    credential = Credential(octets, shown, staple)
    return Own(credential, name, tuple(warnings))


def read_bare(table: ConnectionTable, shelf: Shelf) -> tuple[Credential, tuple[tuple[str, str], ...]]:
    """`local_key` alone: the peer knows its public half (RFC 7670); and what is unwise about the file."""
    key, warnings = _read_key(table.local_key or "", shelf)
    octets = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Credential(octets, (), raw=public), tuple(warnings)


def read_trust(table: ConnectionTable, shelf: Shelf) -> Trust:
    """`remote_ca` and `remote_crl`."""
    anchors = [anchor for file in table.remote_ca for anchor in _from_file("remote_ca", file, shelf, read_authorities)]
    if len(anchors) > MOST_AUTHORITIES:
        raise SecretError("remote_ca", f"holds {len(anchors)} authorities; {MOST_AUTHORITIES} are the most")

    def read(content: bytes) -> x509.CertificateRevocationList:
        listed = read_list(content)
        check_lists(anchors, [listed])
        return listed

    lists = tuple(_from_file("remote_crl", file, shelf, read) for file in table.remote_crl)
    return Trust(tuple(dict.fromkeys(anchors)), lists, Wanted(table.remote_ocsp))


def read_keys(table: ConnectionTable, shelf: Shelf) -> tuple[bytes, ...]:
    """`remote_keys`: public keys in PEM, one a file, as SubjectPublicKeyInfo in DER."""
    return tuple(_from_file("remote_keys", file, shelf, public_key_in) for file in table.remote_keys)


def public_key_in(content: bytes) -> bytes:
    """The first one of a PEM text, in DER."""
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise TrustError("holds no public key in PEM") from None
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _from_file(key: str, file: str, shelf: Shelf, read: Callable[[bytes], _T]) -> _T:
    content = shelf.read(key, file, MAX_FILE)
    try:
        return read(content.octets)
    except (TrustError, UselessResponse) as problem:
        raise SecretError(key, f"{content.place} {problem}") from None


def _read_key(file: str, shelf: Shelf) -> tuple[SigningKey, list[tuple[str, str]]]:
    content = shelf.read("local_key", file, MAX_FILE)
    key = key_in(content.octets, "local_key", content.place)
    return key, [("local_key", message) for message in content.warnings]


def key_in(octets: bytes, setting: str, place: str) -> SigningKey:
    """A private key in PEM, of a kind that we sign with; SecretError blames `setting`."""
    try:
        key = load_pem_private_key(octets, None)
    except TypeError:
        raise SecretError(setting, f"{place} is encrypted; store the key without a passphrase, chmod 600") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SecretError(setting, f"{place} holds no private key in PEM") from None
    match key:
        case rsa.RSAPrivateKey() if key.key_size >= SMALLEST_RSA:
            pass
        case ec.EllipticCurvePrivateKey() if isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1):
            pass
        case ed25519.Ed25519PrivateKey():
            pass
        case _:
            kinds = f"RSA of {SMALLEST_RSA} bits or more, ECDSA on P-256, P-384 or P-521, Ed25519"
            raise SecretError(setting, f"{place} is of a kind that is not known here; known are {kinds}")
    return key
