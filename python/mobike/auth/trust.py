"""What a connection trusts: authorities, and what they took back."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mobike.auth.names import name_of
from mobike.auth.ocsp import Wanted

MOST_AUTHORITIES: Final = 64
"""Authorities of one connection: each is tried for every peer."""


class TrustError(ValueError):
    """What was given cannot be trusted, or cannot be read; one line says what."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Certificates to end at, and lists of those that are revoked, by their issuer."""

    anchors: tuple[x509.Certificate, ...]
    lists: tuple[x509.CertificateRevocationList, ...] = field(default=(), repr=False)
    ocsp: Wanted = Wanted.IF_GIVEN

    def authorities(self) -> tuple[bytes, ...]:
        """SHA-1 of each public key: how CERTREQ names an authority (RFC 7296 section 3.7)."""
        return tuple(_key_hash(anchor) for anchor in self.anchors)


def read_authorities(pem: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM file; any that may not issue others is refused, for it would never be used."""
    anchors = read_certificates(pem)
    for anchor in anchors:
        if not is_authority(anchor):
            raise TrustError(f"{name_of(anchor)} is no authority: its certificate may not issue others")
    return anchors


def read_certificates(pem: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM file, in order; at least one."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as problem:
        raise TrustError(f"holds no certificate in PEM ({problem})") from None


def read_list(content: bytes) -> x509.CertificateRevocationList:
    """A revocation list, PEM or DER. One that covers less than all certificates of its issuer is refused."""
    try:
        pem = content.lstrip().startswith(b"-----")
        listed = x509.load_pem_x509_crl(content) if pem else x509.load_der_x509_crl(content)
        critical = [extension.oid.dotted_string for extension in listed.extensions if extension.critical]
    except ValueError as problem:
        raise TrustError(f"holds no revocation list ({problem})") from None
    if critical:
        raise TrustError(f"is a revocation list of a kind that is not known here (critical: {', '.join(critical)})")
    if listed.next_update_utc is None:
        raise TrustError("is a revocation list that does not say until when it holds")
    return listed


def check_lists(anchors: Iterable[x509.Certificate], lists: Iterable[x509.CertificateRevocationList]) -> None:
    """Each list that names one of the authorities must be signed by it; those of intermediates are checked in use."""
    for listed in lists:
        issuers = [anchor for anchor in anchors if anchor.subject == listed.issuer]
        if issuers and not any(_is_signed(listed, anchor) for anchor in issuers):
            raise TrustError(f"was not signed by {name_of(issuers[0])}, whose name it bears")


def is_authority(certificate: x509.Certificate) -> bool:
    """May it issue others? One of version 1 says nothing, and may not."""
    try:
        extensions = certificate.extensions
    except ValueError:
        return False
    try:
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
    except x509.ExtensionNotFound:
        return False
    try:
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def key_info(certificate: x509.Certificate) -> bytes:
    """Its SubjectPublicKeyInfo in DER."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _is_signed(listed: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return listed.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _key_hash(certificate: x509.Certificate) -> bytes:
    digest = Hash(SHA1())  # noqa: S303 - a name for the key, not a proof
    digest.update(key_info(certificate))
    return digest.finalize()
