"""From a peer's certificate to an authority that we trust (RFC 5280 section 6, as IPsec uses it: RFC 4945 section 5).

Written by hand, on `cryptography`'s parsing and signatures: its own verifier knows the rules of the web, which has no
Ed25519 and no identities but host names and addresses. What is not understood here is refused, and each refusal says
whose fault it is.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier

from mobike.auth.names import PeerName, can_be_named, is_named, name_of
from mobike.auth.ocsp import Staples, Wanted
from mobike.auth.trust import Trust, is_authority
from mobike.events import Role

_Value = TypeVar("_Value", bound=x509.ExtensionType)

MAX_LINKS: Final = 6
"""Certificates between a peer and an authority, both counted."""
MAX_CHECKS: Final = 24
"""Signatures checked for one peer: it chooses what it sends, and may not make us search for long."""
MAX_CERTIFICATES: Final = 8
SMALLEST_RSA: Final = 2048
LARGEST_RSA: Final = 8192
"""Bits. Larger keys only cost time, and a stranger chooses them."""

_UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,  # any will do: nobody here asks for a certain one
    }
)
"""Extensions that may be critical."""

_IKE: Final = ObjectIdentifier("1.3.6.1.5.5.7.3.17")
_OLD_IPSEC: Final = {ObjectIdentifier(f"1.3.6.1.5.5.7.3.{last}") for last in (5, 6, 7)}
_FOR_IKE: Final = frozenset(
    {_IKE, *_OLD_IPSEC, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, ExtendedKeyUsageOID.SERVER_AUTH}
)
"""Purposes that make a good gateway (RFC 4945 section 5.1.3.12). One for clients alone does not: else every client of
an authority could pretend to be the gateway."""

_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class Refused(Exception):
    """The peer stays outside; the text says why, and whose fault it is."""


@dataclass(slots=True)
class _Search:
    """One look for a way to an authority."""

    trust: Trust
    others: Sequence[x509.Certificate]
    at: datetime
    staples: Staples
    checks_left: int = MAX_CHECKS
    objection: str | None = None
    """The first thing that was wrong on an otherwise possible way."""


def validate(
    trust: Trust,
    name: PeerName,
    certificates: Sequence[bytes],
    role: Role,
    at: datetime,
    *,
    staples: Sequence[bytes] = (),
) -> x509.Certificate:
    """The peer's certificate if it is good; `role` is ours, `at` is the time (UTC), `staples` are OCSP responses that
    came with it. Raises Refused."""
    own, *others = _read(certificates)
    _check_own(own, role, at)
    _check_name(own, name)
    search = _Search(trust, others, at, Staples.read(staples))
    if own not in trust.anchors and next(_ways(search, (own,)), None) is None:
        raise Refused(search.objection or f"no authority that we trust issued the peer's certificate {_said(own)}")
    return own


def _read(certificates: Sequence[bytes]) -> list[x509.Certificate]:
    if not 1 <= len(certificates) <= MAX_CERTIFICATES:
        raise Refused(f"peer sent {len(certificates)} certificates; 1 to {MAX_CERTIFICATES} are taken")
    read = []
    for place, der in enumerate(certificates):
        try:
            read.append(_parsed(der))
        except _UNREADABLE as problem:
            if place == 0:
                raise Refused(f"the peer's certificate cannot be read ({problem})") from None
            # One that cannot be read is of no use, and no harm.
    return read


_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    CryptographyDeprecationWarning,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def _parsed(der: bytes) -> x509.Certificate:
    """A certificate of which every part can be read. `cryptography` reads most of them only when they are asked for."""
    with warnings.catch_warnings():
        # A serial number below 1 is only warned of, yet RFC 5280 section 4.1.2.2 knows none.
        warnings.simplefilter("error", CryptographyDeprecationWarning)
        certificate = x509.load_der_x509_certificate(der)
    _ = (
        certificate.version,
        certificate.serial_number,
        certificate.subject.public_bytes(),
        certificate.issuer.public_bytes(),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        certificate.public_key(),
        [extension.value for extension in certificate.extensions],
    )
    return certificate


def _check_own(own: x509.Certificate, role: Role, at: datetime) -> None:
    _or_refuse(_objection_to_any(own, at, "the peer's certificate"))
    usage = _extension(own, x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise Refused(f"the peer's certificate {_said(own)} may not sign (keyUsage)")
    purposes = _extension(own, x509.ExtendedKeyUsage)
    if purposes is None:
        return
    good = _FOR_IKE if role is Role.INITIATOR else _FOR_IKE | {ExtendedKeyUsageOID.CLIENT_AUTH}
    if not good.intersection(purposes):
        what = "a gateway" if role is Role.INITIATOR else "IKE"
        raise Refused(f"the peer's certificate {_said(own)} is not meant for {what} (extendedKeyUsage)")


def _check_name(own: x509.Certificate, name: PeerName) -> None:
    if not can_be_named(name.kind):
        raise Refused(f"peer calls itself {name.text}, which is no name that a certificate can prove")
    if not is_named(own, name):
        raise Refused(f"peer calls itself {name.text}, and its certificate {_said(own)} does not say so")


def _ways(search: _Search, way: tuple[x509.Certificate, ...]) -> Iterator[tuple[x509.Certificate, ...]]:
    """Ways from the last certificate of `way` to an authority, each with all on it checked."""
    below = way[-1]
    for anchor in search.trust.anchors:
        if anchor.subject == below.issuer and _is_link(search, way, anchor, "the authority"):
            yield (*way, anchor)
    if len(way) >= MAX_LINKS - 1:
        return
    for other in search.others:
        if other not in way and other.subject == below.issuer and _is_link(search, way, other, "the certificate"):
            yield from _ways(search, (*way, other))


def _is_link(search: _Search, way: tuple[x509.Certificate, ...], issuer: x509.Certificate, what: str) -> bool:
    """Did `issuer` issue the last of `way`, and might it? What speaks against it is kept for people."""
    if search.checks_left == 0:
        search.objection = search.objection or "the way from the peer's certificate to an authority is too tangled"
        return False
    if not _is_strong(issuer):
        search.objection = search.objection or f"{what} {_said(issuer)} has a key of a kind or size that is not taken"
        return False
    search.checks_left -= 1
    try:
        way[-1].verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError, UnsupportedAlgorithm):
        search.objection = (
            search.objection or f"{_said(way[-1])} was not signed by {_said(issuer)}, whose name it bears"
        )
        return False
    objection = (
        _objection_to_any(issuer, search.at, what)
        or _objection_to_issuer(issuer, way)
        or _objection_by_list(search, way[-1], issuer)
        or _objection_by_staple(search, way, issuer)
    )
    search.objection = search.objection or objection
    return objection is None


def _objection_to_any(certificate: x509.Certificate, at: datetime, what: str) -> str | None:
    """What can be wrong with each certificate."""
    if at < certificate.not_valid_before_utc:
        return f"{what} {_said(certificate)} is valid only from {certificate.not_valid_before_utc:%F %R} UTC on"
    if at > certificate.not_valid_after_utc:
        return f"{what} {_said(certificate)} has expired: {certificate.not_valid_after_utc:%F %R} UTC"
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            oid = extension.oid.dotted_string
            return f"{what} {_said(certificate)} has a critical extension that is not known here: {oid}"
    if not _is_strong(certificate):
        return f"{what} {_said(certificate)} has a key or a signature that is too weak, or of a kind not known here"
    return None


def _is_strong(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    match key:
        case rsa.RSAPublicKey():
            good_key = SMALLEST_RSA <= key.key_size <= LARGEST_RSA
        case ec.EllipticCurvePublicKey():
            good_key = isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1)
        case ed25519.Ed25519PublicKey():
            good_key = True
        case _:
            good_key = False
    try:
        hashed = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return False
    return good_key and (hashed is None or isinstance(hashed, _HASHES))


def _objection_to_issuer(issuer: x509.Certificate, way: tuple[x509.Certificate, ...]) -> str | None:
    if not is_authority(issuer):
        return f"{_said(issuer)} issued {_said(way[-1])} and may not issue certificates"
    if _extension(issuer, x509.NameConstraints) is not None:
        return f"{_said(issuer)} may issue certificates for some names only, and that is not checked here"
    basic = _extension(issuer, x509.BasicConstraints)
    # Between it and the peer's own; what an authority gave itself does not count (RFC 5280 section 6.1.4).
    between = sum(each.subject != each.issuer for each in way[1:])
    if basic is not None and basic.path_length is not None and between > basic.path_length:
        return f"the way from {_said(way[0])} to {_said(issuer)} is longer than that authority allows"
    return None


def _objection_by_list(search: _Search, certificate: x509.Certificate, issuer: x509.Certificate) -> str | None:
    """What the revocation lists of the issuer say. Without one nothing is said."""
    usage = _extension(issuer, x509.KeyUsage)
    for listed in search.trust.lists:
        if listed.issuer != issuer.subject:
            continue
        try:
            signed = listed.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
        except (TypeError, ValueError):
            signed = False
        if not signed or (usage is not None and not usage.crl_sign):
            return f"our revocation list of {_said(issuer)} was not signed by it"
        if listed.last_update_utc > search.at or listed.next_update_utc is None or listed.next_update_utc < search.at:
            return f"our revocation list of {_said(issuer)} is out of date: get a new one"
        if listed.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
            return f"{_said(certificate)} was revoked by its authority"
    return None


def _objection_by_staple(search: _Search, way: tuple[x509.Certificate, ...], issuer: x509.Certificate) -> str | None:
    """What OCSP responses say; where they are required, there must be one about the peer's own certificate."""
    certificate = way[-1]
    objection = search.staples.objection(certificate, issuer, search.at)
    if objection is not None:
        return f"{_said(certificate)} {objection}"
    required = search.trust.ocsp is Wanted.REQUIRE and len(way) == 1
    if required and not search.staples.speaks_of(certificate, issuer):
        return f"{_said(certificate)} comes without an OCSP response, and this connection requires one"
    return None


def _extension(certificate: x509.Certificate, kind: type[_Value]) -> _Value | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _or_refuse(objection: str | None) -> None:
    if objection is not None:
        raise Refused(objection)


def _said(certificate: x509.Certificate) -> str:
    """Its name in quotes, and short: the peer chooses it."""
    return repr(name_of(certificate)[:120])
