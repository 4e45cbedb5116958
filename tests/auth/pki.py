"""Authorities and certificates, made for one test."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from mobike.address import Ip

Key: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

NOW: Final = datetime(2030, 6, 1, 12, 0, tzinfo=UTC)
YEAR: Final = timedelta(days=365)
CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
IKE: Final = ObjectIdentifier("1.3.6.1.5.5.7.3.17")


def new_key(kind: str = "p256") -> Key:
    """p256, p384, p521, ed25519, or rsa and the number of bits."""
    match kind:
        case "p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "p384":
            return ec.generate_private_key(ec.SECP384R1())
        case "p521":
            return ec.generate_private_key(ec.SECP521R1())
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            return rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))


def named(text: str) -> x509.Name:
    """A distinguished name: an organisation and a common name."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
            x509.NameAttribute(NameOID.COMMON_NAME, text),
        ]
    )


def general(name: str | Ip) -> x509.GeneralName:
    """An alternative name of the kind that it looks like."""
    if not isinstance(name, str):
        return x509.IPAddress(name)
    return x509.RFC822Name(name) if "@" in name else x509.DNSName(name)


@dataclass(frozen=True)
class Owner:
    """Somebody with a key and a certificate."""

    key: Key
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()
    """Those above it but the authority's own."""

    @property
    def der(self) -> tuple[bytes, ...]:
        """What it sends."""
        return tuple(each.public_bytes(Encoding.DER) for each in (self.certificate, *self.chain))

    def write(self, folder: Path, name: str) -> None:
        """`name.pem` and `name.key`."""
        chain = (self.certificate, *self.chain)
        (folder / f"{name}.pem").write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in chain))
        key = folder / f"{name}.key"
        key.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        key.chmod(0o600)


@dataclass(frozen=True)
class Authority:
    """Issues certificates."""

    name: str
    key: Key
    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...] = ()
    at: datetime = NOW
    revoked: list[int] = field(default_factory=list)

    @staticmethod
    def new(name: str = "Test CA", kind: str = "p256", *, at: datetime = NOW, **odd: Any) -> "Authority":
        """One that trusts itself."""
        key = new_key(kind)
        certificate = _build(named(name), key, named(name), key, at, ca=True, **odd)
        return Authority(name, key, certificate, at=at)

    def sub(self, name: str, kind: str = "p256", *, ca: bool = True, **odd: Any) -> "Authority":
        """One below it."""
        key = new_key(kind)
        certificate = _build(named(name), key, self.certificate.subject, self.key, self.at, ca=ca, **odd)
        above = () if self.certificate.subject == self.certificate.issuer else (self.certificate, *self.above)
        return Authority(name, key, certificate, above, self.at)

    def issue(self, *names: str | Ip, kind: str = "p256", subject: str = "peer", **odd: Any) -> Owner:
        """A certificate for these names."""
        key = new_key(kind)
        certificate = _build(named(subject), key, self.certificate.subject, self.key, self.at, names=names, **odd)
        own = () if self.certificate.subject == self.certificate.issuer else (self.certificate, *self.above)
        return Owner(key, certificate, own)

    def revocations(
        self, *revoked: x509.Certificate, at: datetime | None = None, signer: Key | None = None, days: int = 7
    ) -> x509.CertificateRevocationList:
        """Its list of revoked certificates."""
        at = self.at if at is None else at
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(at - timedelta(days=1))
            .next_update(at + timedelta(days=days))
        )
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.serial_number).revocation_date(at)
            builder = builder.add_revoked_certificate(entry.build())
        key = signer or self.key
        return builder.sign(key, _hash(key))

    def write(self, path: Path) -> None:
        """Its certificate in PEM."""
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))


def _hash(key: Key) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _build(
    subject: x509.Name,
    key: Key,
    issuer: x509.Name,
    issuer_key: Key,
    at: datetime,
    *,
    ca: bool = False,
    path_length: int | None = None,
    names: Sequence[str | Ip] = (),
    purposes: Iterable[ObjectIdentifier] = (),
    signs: bool = True,
    start: timedelta = -YEAR,
    end: timedelta = YEAR,
    critical: Iterable[x509.ExtensionType] = (),
    plain: Iterable[x509.ExtensionType] = (),
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at + start)
        .not_valid_after(at + end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=signs and not ca,
                content_commitment=False,
                key_encipherment=not signs,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=ca and signs,
                crl_sign=ca,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([general(name) for name in names]), critical=False)
    if purposes := list(purposes):
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    for extension in critical:
        builder = builder.add_extension(extension, critical=True)
    for extension in plain:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer_key, _hash(issuer_key))
