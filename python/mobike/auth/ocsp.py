"""What an authority says of a certificate today: OCSP responses (RFC 6960) that come along in CERT (RFC 4806).

Nobody is asked: the peer shows what it was given, as fresh as its authority makes it. It counts when the issuer of the
certificate signed it, or somebody whom that issuer lets sign such (RFC 6960 section 4.2.2.2), as long as it says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import Hash, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

MAX_STAPLES: Final = 8
MAX_SINGLE: Final = 16
"""Certificates that one response may speak of."""
MAX_RESPONDERS: Final = 4
"""Certificates of responders looked at in one response: a stranger chose them."""
LEEWAY: Final = timedelta(minutes=5)
"""Clocks differ; a response may come from a little in the future."""
LONGEST: Final = timedelta(days=8)
"""A response that does not say until when it holds is believed for so long."""

_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)


class Wanted(Enum):
    """What a connection makes of responses."""

    IF_GIVEN = "if-given"
    """One that speaks of the peer's certificate must speak well of it; without one nothing is said."""
    REQUIRE = "require"
    """There must be one that speaks of the peer's own certificate, and well."""


@dataclass(frozen=True, slots=True)
class Staples:
    """What a peer has shown."""

    responses: tuple[ocsp.OCSPResponse, ...] = ()

    @staticmethod
    def read(octets: Sequence[bytes]) -> "Staples":
        """Those that can be read and say something; the others are of no use, and no harm."""
        return Staples(tuple(_readable(octets[:MAX_STAPLES])))

    def objection(self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime) -> str | None:
        """What speaks against the certificate: a status, or a response about it that cannot be believed."""
        for response, single in self._about(certificate, issuer):
            objection = _objection_to_response(response, single, issuer, at)
            if objection is not None:
                return objection
            match single.certificate_status:
                case ocsp.OCSPCertStatus.GOOD:
                    pass
                case ocsp.OCSPCertStatus.REVOKED:
                    return "was revoked by its authority (OCSP)"
                case ocsp.OCSPCertStatus.UNKNOWN:
                    return "is not known to its authority (OCSP)"
        return None

    def speaks_of(self, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        """Is there a response about it?"""
        return next(self._about(certificate, issuer), None) is not None

    def _about(
        self, certificate: x509.Certificate, issuer: x509.Certificate
    ) -> Iterator[tuple[ocsp.OCSPResponse, ocsp.OCSPSingleResponse]]:
        for response in self.responses:
            for _, single in zip(range(MAX_SINGLE), response.responses, strict=False):
                if single.serial_number == certificate.serial_number and _is_issuer(single, issuer):
                    yield response, single


def read_response(octets: bytes) -> bytes:
    """A response of ours to show to peers, in DER; one that says nothing is refused."""
    try:
        response = ocsp.load_der_ocsp_response(octets)
    except ValueError:
        raise UselessResponse("holds no OCSP response in DER") from None
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise UselessResponse(f"holds an OCSP response that says nothing ({response.response_status.name.lower()})")
    return octets


class UselessResponse(ValueError):
    """One line says what is wrong with it."""


def _readable(octets: Sequence[bytes]) -> Iterator[ocsp.OCSPResponse]:
    for each in octets:
        try:
            response = ocsp.load_der_ocsp_response(each)
            if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
                continue
            # `cryptography` reads most parts only when they are asked for.
            singles = [single for _, single in zip(range(MAX_SINGLE), response.responses, strict=False)]
            _ = (
                response.certificates,
                response.tbs_response_bytes,
                response.signature,
                response.signature_hash_algorithm,
                response.responder_name,
                response.responder_key_hash,
                [extension.value for extension in response.extensions],
                [(single.hash_algorithm, single.this_update_utc, single.next_update_utc) for single in singles],
            )
        except _UNREADABLE:
            continue
        yield response


def _is_issuer(single: ocsp.OCSPSingleResponse, issuer: x509.Certificate) -> bool:
    """Does it speak of certificates of this issuer? The hash is a name here, not a proof; SHA-1 is usual."""
    kind = single.hash_algorithm
    return single.issuer_key_hash == _digest(kind, _key_octets(issuer)) and single.issuer_name_hash == _digest(
        kind, issuer.subject.public_bytes()
    )


def _objection_to_response(
    response: ocsp.OCSPResponse, single: ocsp.OCSPSingleResponse, issuer: x509.Certificate, at: datetime
) -> str | None:
    if any(extension.critical for extension in response.extensions):
        return "comes with an OCSP response that has a critical extension not known here"
    until = single.next_update_utc or single.this_update_utc + LONGEST
    if single.this_update_utc > at + LEEWAY:
        return f"comes with an OCSP response of the future: {single.this_update_utc:%F %R} UTC"
    if until < at:
        return f"comes with an OCSP response that has expired: {until:%F %R} UTC"
    if not any(_is_signed(response, signer) for signer in _signers(response, issuer, at)):
        return "comes with an OCSP response that its authority did not sign"
    return None


def _signers(response: ocsp.OCSPResponse, issuer: x509.Certificate, at: datetime) -> Iterator[x509.Certificate]:
    """Who may have signed it: the issuer, or a responder to whom the issuer gave that right."""
    if _is_named(response, issuer):
        yield issuer
    for responder in response.certificates[:MAX_RESPONDERS]:
        try:
            trusted = _is_named(response, responder) and _may_respond(responder, issuer, at)
        except (*_UNREADABLE, x509.ExtensionNotFound, InvalidSignature):
            # Whatever is in it, a stranger wrote it.
            continue
        if trusted:
            yield responder


def _is_named(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    if response.responder_name is not None:
        return response.responder_name == signer.subject
    return response.responder_key_hash == _digest(hashes.SHA1(), _key_octets(signer))  # noqa: S303 - a name


def _may_respond(responder: x509.Certificate, issuer: x509.Certificate, at: datetime) -> bool:
    purposes = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    responder.verify_directly_issued_by(issuer)
    in_time = responder.not_valid_before_utc <= at <= responder.not_valid_after_utc
    return in_time and ExtendedKeyUsageOID.OCSP_SIGNING in purposes


def _is_signed(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    kind = response.signature_hash_algorithm
    if kind is not None and not isinstance(kind, _HASHES):
        return False
    octets, signature = response.tbs_response_bytes, response.signature
    try:
        match signer.public_key(), kind:
            case rsa.RSAPublicKey() as key, HashAlgorithm() as hashed:
                key.verify(signature, octets, padding.PKCS1v15(), hashed)
            case ec.EllipticCurvePublicKey() as key, HashAlgorithm() as hashed:
                key.verify(signature, octets, ec.ECDSA(hashed))
            case ed25519.Ed25519PublicKey() as key, None:
                key.verify(signature, octets)
            case _:
                return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _key_octets(certificate: x509.Certificate) -> bytes:
    """The bits of its public key, without the algorithm (RFC 6960 section 4.1.1)."""
    key = certificate.public_key()
    match key:
        case rsa.RSAPublicKey():
            return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
        case ec.EllipticCurvePublicKey():
            return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        case ed25519.Ed25519PublicKey():
            return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        case _:
            return b""


def _digest(kind: HashAlgorithm, octets: bytes) -> bytes:
    digest = Hash(kind)
    digest.update(octets)
    return digest.finalize()
