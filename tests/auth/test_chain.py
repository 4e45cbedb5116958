"""Certificates: who is believed, and what is said of the others."""

from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from mobike.auth import PeerName, Refused, Trust, validate
from mobike.auth.names import addresses_of, peer_name
from mobike.events import Role
from tests.auth.pki import CLIENT, IKE, NOW, SERVER, YEAR, Authority, Owner, named, new_key

GATEWAY = "gw.example.net"
CA = Authority.new()
DAY = timedelta(days=1)


def _judge(
    owner: Owner,
    name: str | PeerName = GATEWAY,
    *trusted: Authority,
    role: Role = Role.RESPONDER,
    lists: tuple[x509.CertificateRevocationList, ...] = (),
    chain: tuple[bytes, ...] | None = None,
) -> x509.Certificate:
    trust = Trust(tuple(each.certificate for each in trusted or (CA,)), lists)
    called = peer_name(name) if isinstance(name, str) else name
    return validate(trust, called, owner.der if chain is None else chain, role, NOW)


def _believed(owner: Owner, *args: Any, **more: Any) -> bool:
    return _judge(owner, *args, **more) == owner.certificate


def _refusal(*args: Any, **more: Any) -> str:
    with pytest.raises(Refused) as caught:
        _judge(*args, **more)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "ed25519", "rsa2048"])
def test_a_certificate_of_an_authority_that_we_trust_is_good_with_every_kind_of_key(kind: str) -> None:
    authority = Authority.new(kind=kind)
    owner = authority.issue(GATEWAY, kind=kind)
    assert _judge(owner, GATEWAY, authority) == owner.certificate


@pytest.mark.parametrize(
    ("in_certificate", "called"),
    [
        (GATEWAY, GATEWAY),
        ("GW.Example.NET", GATEWAY),
        ("ann@example.net", "ann@EXAMPLE.net"),
        (ip_address("192.0.2.1"), "192.0.2.1"),
        (ip_address("2001:db8::1"), "2001:db8::1"),
    ],
)
def test_the_name_may_be_any_of_the_certificate(in_certificate: str, called: str) -> None:
    owner = CA.issue("other.example.net", in_certificate, ip_address("198.51.100.9"))
    assert _judge(owner, called) == owner.certificate


def test_the_name_may_be_the_subject() -> None:
    owner = CA.issue(subject="branch 7")
    name = PeerName(9, named("branch 7").public_bytes(), "O=Example,CN=branch 7")
    assert _judge(owner, name) == owner.certificate
    assert "does not say so" in _refusal(owner, PeerName(9, named("branch 8").public_bytes(), "branch 8"))


@pytest.mark.parametrize(
    "called",
    ["gw2.example.net", "example.net", "x.gw.example.net", "ann@gw.example.net", "192.0.2.1", "ANN@example.net"],
)
def test_another_name_than_those_of_the_certificate_is_refused(called: str) -> None:
    owner = CA.issue(GATEWAY, "*.example.net", "ann@example.net", ip_address("192.0.2.2"))
    assert "does not say so" in _refusal(owner, called)


def test_the_common_name_is_no_name() -> None:
    assert "does not say so" in _refusal(CA.issue("other.example.net", subject=GATEWAY))


def test_a_key_id_cannot_be_in_a_certificate() -> None:
    assert "no name that a certificate can prove" in _refusal(CA.issue(GATEWAY), "keyid:00ff")


@pytest.mark.parametrize("role", list(Role))
def test_an_unknown_issuer_is_refused(role: Role) -> None:
    stranger = Authority.new("Another CA")
    assert "no authority that we trust issued" in _refusal(stranger.issue(GATEWAY), role=role)


def test_an_authority_with_the_same_name_and_another_key_is_refused() -> None:
    assert "was not signed by" in _refusal(Authority.new().issue(GATEWAY))


def test_a_certificate_that_was_changed_after_it_was_signed_is_refused() -> None:
    owner = CA.issue(GATEWAY)
    der = bytearray(owner.der[0])
    at = der.index(GATEWAY.encode())
    der[at] = ord("x")
    assert "was not signed by" in _refusal(owner, "xw.example.net", chain=(bytes(der),))


@pytest.mark.parametrize(
    ("start", "end", "why"),
    [(-YEAR, -DAY, "has expired"), (DAY, YEAR, "is valid only from")],
)
def test_time_is_kept(start: timedelta, end: timedelta, why: str) -> None:
    assert why in _refusal(CA.issue(GATEWAY, start=start, end=end))
    old = Authority.new("Old CA", start=start, end=end)
    assert "the authority" in _refusal(old.issue(GATEWAY), GATEWAY, old)
    assert why in _refusal(old.issue(GATEWAY), GATEWAY, old)
    middle = CA.sub("Middle", start=start, end=end)
    assert why in _refusal(middle.issue(GATEWAY))


def test_intermediates_lead_to_the_authority_in_any_order() -> None:
    low = CA.sub("Upper").sub("Lower")
    owner = low.issue(GATEWAY)
    assert len(owner.der) == 3
    assert _judge(owner) == owner.certificate
    own, *others = owner.der
    noise = Authority.new("Noise").certificate.public_bytes(Encoding.DER)
    assert _judge(owner, chain=(own, noise, *reversed(others))) == owner.certificate
    assert "no authority that we trust issued" in _refusal(owner, chain=(own,))


def test_an_intermediate_can_be_trusted_itself() -> None:
    middle = CA.sub("Middle")
    owner = middle.issue(GATEWAY)
    assert _judge(owner, GATEWAY, middle, chain=owner.der[:1]) == owner.certificate


def test_who_may_not_issue_certificates_does_not() -> None:
    client = CA.sub("Client", ca=False)
    assert "may not issue certificates" in _refusal(client.issue(GATEWAY))
    mute = CA.sub("Mute", signs=False)
    assert "may not issue certificates" in _refusal(mute.issue(GATEWAY))


def test_the_length_of_the_way_is_kept() -> None:
    top = Authority.new("Top", path_length=0)
    assert _believed(top.issue(GATEWAY), GATEWAY, top)
    assert "longer than that authority allows" in _refusal(top.sub("Below").issue(GATEWAY), GATEWAY, top)
    one = Authority.new("One", path_length=1)
    assert _believed(one.sub("Below").issue(GATEWAY), GATEWAY, one)
    assert "longer than that authority allows" in _refusal(one.sub("A").sub("B").issue(GATEWAY), GATEWAY, one)


def test_a_way_longer_than_anybody_needs_is_not_followed() -> None:
    authority = CA
    for depth in range(5):
        authority = authority.sub(f"Depth {depth}")
    assert "no authority that we trust" in _refusal(authority.issue(GATEWAY))


def test_name_constraints_are_refused_rather_than_passed_over() -> None:
    only = x509.NameConstraints([x509.DNSName("example.org")], None)
    limited = Authority.new("Limited", plain=[only])
    assert "for some names only" in _refusal(limited.issue(GATEWAY), GATEWAY, limited)
    assert "critical extension" in _refusal(CA.sub("Limited", critical=[only]).issue(GATEWAY))


def test_an_unknown_critical_extension_is_refused() -> None:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    assert "1.3.6.1.4.1.99999.1" in _refusal(CA.issue(GATEWAY, critical=[odd]))
    assert _believed(CA.issue(GATEWAY, plain=[odd]))


def test_a_key_that_may_not_sign_is_refused() -> None:
    assert "may not sign" in _refusal(CA.issue(GATEWAY, signs=False))


def test_what_a_certificate_is_meant_for_counts() -> None:
    for purposes in ([IKE], [SERVER], [CLIENT, SERVER]):
        for role in Role:
            assert _believed(CA.issue(GATEWAY, purposes=purposes), role=role)
    client = CA.issue(GATEWAY, purposes=[CLIENT])
    assert _believed(client, role=Role.RESPONDER)
    assert "is not meant for a gateway" in _refusal(client, role=Role.INITIATOR)
    mail = CA.issue(GATEWAY, purposes=[x509.oid.ExtendedKeyUsageOID.EMAIL_PROTECTION])
    assert "is not meant for IKE" in _refusal(mail)


def test_small_keys_are_refused() -> None:
    weak = Authority.new("Weak CA", kind="rsa1024")
    assert "too weak" in _refusal(CA.issue(GATEWAY, kind="rsa1024"))
    assert "kind or size" in _refusal(weak.issue(GATEWAY), GATEWAY, weak)


def test_revoked_certificates_are_refused_and_others_are_not() -> None:
    owner, other = CA.issue(GATEWAY), CA.issue(GATEWAY)
    lists = (CA.revocations(other.certificate),)
    assert _believed(owner, lists=lists)
    assert "was revoked by its authority" in _refusal(other, lists=lists)


def test_a_revoked_intermediate_closes_the_way() -> None:
    middle = CA.sub("Middle")
    assert "was revoked" in _refusal(middle.issue(GATEWAY), lists=(CA.revocations(middle.certificate),))


def test_a_revocation_list_must_be_fresh_and_signed_by_its_authority() -> None:
    owner = CA.issue(GATEWAY)
    assert "our revocation list" in _refusal(owner, lists=(CA.revocations(at=NOW - YEAR),))
    assert "is out of date" in _refusal(owner, lists=(CA.revocations(at=NOW - YEAR),))
    assert "was not signed by it" in _refusal(owner, lists=(CA.revocations(signer=new_key()),))
    assert _believed(owner, lists=(Authority.new("Another CA").revocations(owner.certificate),)), "not its authority"


def test_no_certificate_and_too_many_are_refused() -> None:
    owner = CA.issue(GATEWAY)
    assert "0 certificates" in _refusal(owner, chain=())
    assert "9 certificates" in _refusal(owner, chain=owner.der * 9)
    assert "cannot be read" in _refusal(owner, chain=(b"nonsense",))
    assert _believed(owner, chain=(*owner.der, b"nonsense")), "what is not needed may be anything"


def test_addresses_of_a_certificate_are_single_ones() -> None:
    wide = x509.SubjectAlternativeName(
        [x509.IPAddress(ip_network("192.0.2.0/24")), x509.IPAddress(ip_address("192.0.2.7")), x509.DNSName(GATEWAY)]
    )
    owner = CA.issue(plain=[wide])
    assert list(addresses_of(owner.certificate)) == [ip_address("192.0.2.7")]


_WHOLE = CA.sub("Middle").issue(GATEWAY).der


@settings(max_examples=300)
@given(st.integers(0, 1), st.integers(0, 2000), st.integers(0, 255), st.booleans())
def test_a_changed_octet_never_lets_anybody_in_nor_ends_in_anything_but_a_refusal(
    which: int, at: int, octet: int, cut: bool
) -> None:
    chain = [bytearray(each) for each in _WHOLE]
    at %= len(chain[which])
    if cut:
        del chain[which][at:]
    else:
        if chain[which][at] == octet:
            octet ^= 1
        chain[which][at] = octet
    trust = Trust((CA.certificate,))
    with pytest.raises(Refused):
        validate(trust, peer_name(GATEWAY), [bytes(each) for each in chain], Role.RESPONDER, NOW)
