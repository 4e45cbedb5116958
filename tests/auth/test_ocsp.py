"""OCSP responses that come with a certificate (RFC 4806, RFC 6960): what each of them is worth."""

import shutil
import subprocess
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from mobike.auth.chain import Refused, validate
from mobike.auth.names import peer_name
from mobike.auth.ocsp import Wanted
from mobike.auth.trust import Trust
from mobike.events import Role
from tests.auth.pki import NOW, Authority, Owner

NAME = "ann@example.net"
HOUR = timedelta(hours=1)
SHA1 = hashes.SHA1()  # noqa: S303 - names of issuers
CA = Authority.new()
PEER = CA.issue(NAME)
GIVEN = Trust((CA.certificate,))
REQUIRED = replace(GIVEN, ocsp=Wanted.REQUIRE)


def respond(
    about: Owner = PEER,
    issuer: Authority = CA,
    *,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    signer: Owner | None = None,
    since: datetime = NOW - HOUR,
    until: datetime | None = NOW + HOUR,
    serial: int | None = None,
    kind: Any = None,
    by_name: bool = False,
) -> bytes:
    """A response about a certificate; `signer` is a responder, or the issuer itself."""
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    certificate, key = (issuer.certificate, issuer.key) if signer is None else (signer.certificate, signer.key)
    if serial is not None:
        about = replace(about, certificate=issuer.issue(NAME).certificate)
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=about.certificate,
        issuer=issuer.certificate,
        algorithm=kind or SHA1,
        cert_status=status,
        this_update=since.replace(tzinfo=None),
        next_update=None if until is None else until.replace(tzinfo=None),
        revocation_time=(NOW - HOUR).replace(tzinfo=None) if revoked else None,
        revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
    )
    builder = builder.responder_id(
        ocsp.OCSPResponderEncoding.NAME if by_name else ocsp.OCSPResponderEncoding.HASH, certificate
    )
    if signer is not None:
        builder = builder.certificates([certificate])
    hashed = None if "Ed25519" in type(key).__name__ else hashes.SHA256()
    return builder.sign(key, hashed).public_bytes(Encoding.DER)


def judge(*staples: bytes, trust: Trust = GIVEN, peer: Owner = PEER) -> None:
    validate(trust, peer_name(NAME), peer.der, Role.RESPONDER, NOW, staples=staples)


def refusal(*staples: bytes, trust: Trust = GIVEN, peer: Owner = PEER) -> str:
    with pytest.raises(Refused) as refused:
        judge(*staples, trust=trust, peer=peer)
    return str(refused.value)


@pytest.mark.parametrize("trust", [GIVEN, REQUIRED])
@pytest.mark.parametrize("kind", [SHA1, hashes.SHA256()])
@pytest.mark.parametrize("by_name", [False, True])
def test_a_good_word_of_the_issuer_is_a_good_word(trust: Trust, kind: Any, by_name: bool) -> None:
    judge(respond(kind=kind, by_name=by_name), trust=trust)


@pytest.mark.parametrize("kind", ["p384", "rsa2048", "ed25519"])
def test_authorities_of_every_kind_sign_them(kind: str) -> None:
    authority = Authority.new(kind=kind)
    peer = authority.issue(NAME)
    trust = Trust((authority.certificate,), ocsp=Wanted.REQUIRE)
    judge(respond(peer, authority), trust=trust, peer=peer)


def test_without_one_nothing_is_said_unless_there_must_be_one() -> None:
    judge()
    assert "requires one" in refusal(trust=REQUIRED)
    assert "requires one" in refusal(b"\x30\x03\x0a\x01\x06", b"garbage", trust=REQUIRED)
    assert "requires one" in refusal(respond(CA.issue(NAME)), trust=REQUIRED), "it speaks of another certificate"
    judge(b"garbage", b"", respond(CA.issue(NAME)))


@pytest.mark.parametrize("trust", [GIVEN, REQUIRED])
@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ({"status": ocsp.OCSPCertStatus.REVOKED}, "was revoked"),
        ({"status": ocsp.OCSPCertStatus.UNKNOWN}, "is not known to its authority"),
        ({"until": NOW - timedelta(seconds=1)}, "has expired"),
        ({"since": NOW - timedelta(days=9), "until": None}, "has expired"),
        ({"since": NOW + HOUR, "until": NOW + 2 * HOUR}, "of the future"),
    ],
)
def test_a_bad_word_or_a_stale_one_keeps_out(trust: Trust, odd: dict[str, Any], why: str) -> None:
    assert why in refusal(respond(**odd), trust=trust)
    assert why in refusal(respond(), respond(**odd), trust=trust), "whatever else is said"


def test_a_clock_that_is_a_little_slow_does_no_harm() -> None:
    judge(respond(since=NOW + timedelta(minutes=4)), trust=REQUIRED)


def test_a_responder_speaks_for_the_issuer_only_if_that_says_so() -> None:
    good = CA.issue("ocsp.example.net", purposes=[ExtendedKeyUsageOID.OCSP_SIGNING])
    judge(respond(signer=good), trust=REQUIRED)
    for stranger in (
        CA.issue("ocsp.example.net"),
        CA.issue("ocsp.example.net", purposes=[ExtendedKeyUsageOID.SERVER_AUTH]),
        CA.issue("ocsp.example.net", purposes=[ExtendedKeyUsageOID.OCSP_SIGNING], end=timedelta(days=-1)),
        Authority.new().issue("ocsp.example.net", purposes=[ExtendedKeyUsageOID.OCSP_SIGNING]),
        PEER,
    ):
        assert "did not sign" in refusal(respond(signer=stranger))


def test_another_authority_of_the_same_name_has_no_say() -> None:
    other = Authority.new()
    assert other.certificate.subject == CA.certificate.subject
    # It speaks of certificates of its own, whatever their numbers.
    judge(respond(PEER, other))
    assert "requires one" in refusal(respond(PEER, other), trust=REQUIRED)
    assert "did not sign" in refusal(respond(signer=Owner(other.key, other.certificate)))


def test_a_changed_octet_spoils_it() -> None:
    good = respond()
    judge(good, trust=REQUIRED)
    spoiled = good[:-1] + bytes([good[-1] ^ 1])
    assert "did not sign" in refusal(spoiled, trust=REQUIRED)


def test_one_about_an_intermediate_is_heeded_too() -> None:
    middle = CA.sub("Middle")
    peer = middle.issue(NAME)
    judge(respond(peer, middle), trust=REQUIRED, peer=peer)
    of_middle = Owner(middle.key, middle.certificate)
    revoked = respond(of_middle, CA, status=ocsp.OCSPCertStatus.REVOKED)
    assert "was revoked" in refusal(respond(peer, middle), revoked, peer=peer)


def test_whatever_is_cut_off_or_changed_makes_no_trouble() -> None:
    good = respond(signer=CA.issue("ocsp.example.net", purposes=[ExtendedKeyUsageOID.OCSP_SIGNING]))
    for place in range(0, len(good), 3):
        for octets in (good[:place], good[:place] + bytes([good[place] ^ 0x20]) + good[place + 1 :]):
            try:
                judge(octets, trust=REQUIRED)
            except Refused:
                continue


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_what_openssl_makes_is_believed(tmp_path: Path) -> None:
    """Another implementation: `openssl ocsp` as the responder."""
    now = datetime.now(NOW.tzinfo)
    authority = Authority.new(at=now)
    owner = authority.issue(NAME)
    Owner(authority.key, authority.certificate).write(tmp_path, "ca")
    owner.write(tmp_path, "own")
    for status, revoked in (("V", ""), ("R", (now - HOUR).strftime("%y%m%d%H%M%SZ"))):
        end = (now + 24 * HOUR).strftime("%y%m%d%H%M%SZ")
        serial = f"{owner.certificate.serial_number:X}"
        serial = serial if len(serial) % 2 == 0 else f"0{serial}"
        (tmp_path / "index.txt").write_text(f"{status}\t{end}\t{revoked}\t{serial}\tunknown\t/CN=peer\n")
        command = "openssl ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -issuer ca.pem -cert own.pem"
        command += f" -ndays 1 -respout {status}.der -noverify"
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    trust = Trust((authority.certificate,), ocsp=Wanted.REQUIRE)

    def judged(staple: str) -> None:
        octets = (tmp_path / staple).read_bytes()
        validate(trust, peer_name(NAME), owner.der, Role.RESPONDER, datetime.now(NOW.tzinfo), staples=[octets])

    judged("V.der")
    with pytest.raises(Refused, match="was revoked"):
        judged("R.der")
