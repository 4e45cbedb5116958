"""Names: who a peer says it is, and who its certificate says it is (RFC 4945 section 3.1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address
from typing import Final

from cryptography import x509

from mobike.address import Ip

MOST_ADDRESSES: Final = 64
"""Addresses of one certificate that count as proven; the core keeps them as long as the IKE SA lives."""


_KEY_ID: Final = 11


class IdType(IntEnum):
    """Types of an ID payload that a certificate can prove (RFC 7296 section 3.5)."""

    IPV4_ADDR = 1
    FQDN = 2
    RFC822_ADDR = 3
    IPV6_ADDR = 5
    DER_ASN1_DN = 9


@dataclass(frozen=True, slots=True)
class PeerName:
    """Who a peer says it is: its ID payload."""

    kind: int
    data: bytes
    text: str
    """For people."""


def peer_name(text: str) -> PeerName:
    """An identity as a configuration writes it."""
    try:
        address = ip_address(text)
    except ValueError:
        pass
    else:
        return PeerName(IdType.IPV4_ADDR if address.version == 4 else IdType.IPV6_ADDR, address.packed, text)
    if text.startswith("keyid:"):
        return PeerName(_KEY_ID, bytes.fromhex(text.removeprefix("keyid:")), text)
    if text.startswith("id9:"):
        return PeerName(IdType.DER_ASN1_DN, bytes.fromhex(text.removeprefix("id9:")), text)
    return PeerName(IdType.RFC822_ADDR if "@" in text else IdType.FQDN, text.encode(), text)


def is_named(certificate: x509.Certificate, name: PeerName) -> bool:
    """Does the certificate say this name? No wildcards: an identity is one name."""
    match name.kind:
        case IdType.IPV4_ADDR | IdType.IPV6_ADDR:
            return len(name.data) in {4, 16} and ip_address(name.data) in set(addresses_of(certificate))
        case IdType.FQDN:
            host = _host(_text(name))
            return any(_host(each) == host for each in _names(certificate, x509.DNSName))
        case IdType.RFC822_ADDR:
            mailbox = _mailbox(_text(name))
            return any(_mailbox(each) == mailbox for each in _names(certificate, x509.RFC822Name))
        case IdType.DER_ASN1_DN:
            return bool(name.data) and name.data == certificate.subject.public_bytes()
        case _:
            return False


def can_be_named(kind: int) -> bool:
    """Is there a place in certificates for names of this type?"""
    return kind in set(IdType)


def addresses_of(certificate: x509.Certificate) -> Iterator[Ip]:
    """Addresses that the certificate says are its owner's: iPAddress of subjectAltName."""
    for general in _alternatives(certificate):
        if isinstance(general, x509.IPAddress) and not hasattr(general.value, "network_address"):
            yield ip_address(general.value.packed)


def own_name(certificate: x509.Certificate) -> str | None:
    """The first name that its owner would go by, as a configuration writes it."""
    for kind in (x509.DNSName, x509.RFC822Name):
        for text in _names(certificate, kind):
            return text
    for address in addresses_of(certificate):
        return str(address)
    return f"id9:{certificate.subject.public_bytes().hex()}" if certificate.subject.rdns else None


def name_of(certificate: x509.Certificate) -> str:
    """Its subject, for people."""
    return certificate.subject.rfc4514_string() or own_name(certificate) or "a certificate without a name"


def _alternatives(certificate: x509.Certificate) -> Iterator[x509.GeneralName]:
    try:
        yield from certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return


def _names(certificate: x509.Certificate, kind: type[x509.DNSName] | type[x509.RFC822Name]) -> Iterator[str]:
    for general in _alternatives(certificate):
        if isinstance(general, kind):
            yield general.value


def _text(name: PeerName) -> str:
    return name.data.decode("ascii", errors="replace")


def _host(text: str) -> str:
    return text.lower().removesuffix(".")


def _mailbox(text: str) -> tuple[str, str]:
    """The host part knows no case (RFC 5280 section 7.5)."""
    user, _, host = text.rpartition("@")
    return user, host.lower()
