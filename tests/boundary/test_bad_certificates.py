"""Every kind of bad certificate, from each end, through the whole core: who refuses says AUTHENTICATION_FAILED, its log
says whose fault it was, and nothing half-made stays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp

from mobike.address import Nanos
from mobike.auth import Doorkeeper, Trust
from mobike.auth.ocsp import Wanted
from mobike.commands import Credential
from mobike.events import Authorise, ConnectFailed, IkeSaDown, IkeSaUp, Notice
from tests.auth.pki import NOW, Authority, Owner
from tests.auth.test_ocsp import respond
from tests.boundary.ends import GATEWAY, PHONE, End, connect, end

WIFI, WAN = "127.0.62.1", "127.0.62.129"
CA = Authority.new()


@dataclass(frozen=True)
class Shown:
    """What one end shows, and what the other knows besides its authority."""

    owner: Owner
    staple: bytes | None = None
    lists: tuple[x509.CertificateRevocationList, ...] = ()
    wanted: Wanted = Wanted.IF_GIVEN

    def credential(self) -> Credential:
        key = self.owner.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return Credential(key, self.owner.der, self.staple)

    @property
    def trust(self) -> Trust:
        return Trust((CA.certificate,), self.lists, self.wanted)


def _revoked_by_list(name: str) -> Shown:
    owner = CA.issue(name)
    return Shown(owner, lists=(CA.revocations(owner.certificate),))


def _stapled(name: str, **odd: Any) -> Shown:
    owner = CA.issue(name)
    return Shown(owner, respond(owner, CA, **odd))


def _longer_than_taken(name: str) -> Shown:
    owner = CA.issue(name)
    return Shown(replace(owner, chain=tuple(CA.issue(f"spare{number}").certificate for number in range(8))))


def _shown_with_another_ones_word(name: str) -> Shown:
    return Shown(CA.issue(name), respond(CA.issue(name), CA), wanted=Wanted.REQUIRE)


def _signed_by_another_key(name: str) -> Shown:
    return Shown(replace(CA.issue(name), key=CA.issue(name).key))


BAD: Sequence[tuple[str, Callable[[str], Shown], str]] = (
    ("expired", lambda name: Shown(CA.issue(name, end=timedelta(days=-1))), "has expired"),
    ("not valid yet", lambda name: Shown(CA.issue(name, start=timedelta(days=1))), "is valid only from"),
    ("wrong name", lambda _: Shown(CA.issue("other@example.org")), "does not say so"),
    ("unknown issuer", lambda name: Shown(Authority.new("Another").issue(name)), "no authority that we trust"),
    ("forged issuer", lambda name: Shown(Authority.new().issue(name)), "was not signed by"),
    ("may not sign", lambda name: Shown(CA.issue(name, signs=False)), "may not sign"),
    ("another key", _signed_by_another_key, "was not made by the key of the certificate"),
    ("revoked by a list", _revoked_by_list, "was revoked by its authority"),
    ("revoked by OCSP", lambda name: _stapled(name, status=ocsp.OCSPCertStatus.REVOKED), "its authority (OCSP)"),
    ("stale OCSP", lambda name: _stapled(name, until=NOW - timedelta(minutes=1)), "an OCSP response that has expired"),
    ("OCSP of another", _shown_with_another_ones_word, "requires one"),
    ("no OCSP", lambda name: Shown(CA.issue(name), wanted=Wanted.REQUIRE), "requires one"),
    ("too many", _longer_than_taken, "too many certificates"),
)  # fmt: skip


def _meet(phone: End, gateway: End, phone_shows: Shown, gateway_shows: Shown) -> Doorkeeper:
    ways: dict[str, Any] = {"psk": b"", "remote_certificate": True, "authorities": gateway_shows.trust.authorities()}
    connect(phone, gateway, profiles=(
        replace(PHONE, credential=phone_shows.credential(), **ways),
        replace(GATEWAY, credential=gateway_shows.credential(), **ways),
    ))  # fmt: skip
    return Doorkeeper({PHONE.name: gateway_shows.trust, GATEWAY.name: phone_shows.trust})


def _judge(one: End, door: Doorkeeper) -> None:
    door.ask([one.wait_for(Authorise)], Nanos(0))
    one.core.submit(door.answers(Nanos(1), NOW))


ASKED_ABOUT = {"another key": False, "too many": False}


@pytest.mark.parametrize(("what", "made", "why"), BAD, ids=[what for what, _, _ in BAD])
def test_a_phone_with_a_bad_certificate_is_refused(what: str, made: Callable[[str], Shown], why: str) -> None:
    with end([WIFI]) as phone, end([WAN]) as gateway:
        door = _meet(phone, gateway, made("phone@example.net"), Shown(CA.issue("gw.example.net")))
        if ASKED_ABOUT.get(what, True):
            _judge(gateway, door)
        assert phone.wait_for(ConnectFailed).why == "peer refused our authentication"
        text = gateway.wait_for(Notice).text
        assert why in text
        assert "phone@example.net" in text
        counters = gateway.core.counters()
        assert (counters["ike_auth_failed"], counters["ike_sas_up"]) == (1, 0)


@pytest.mark.parametrize(("what", "made", "why"), BAD, ids=[what for what, _, _ in BAD])
def test_a_gateway_with_a_bad_certificate_is_left_and_told_so(
    what: str, made: Callable[[str], Shown], why: str
) -> None:
    with end([WIFI]) as phone, end([WAN]) as gateway:
        door = _meet(phone, gateway, Shown(CA.issue("phone@example.net")), made("gw.example.net"))
        _judge(gateway, door)
        up = gateway.wait_for(IkeSaUp)
        if ASKED_ABOUT.get(what, True):
            _judge(phone, door)
        assert why in phone.wait_for(ConnectFailed).why
        # INFORMATIONAL { N(AUTHENTICATION_FAILED) } -->
        down = gateway.wait_for(IkeSaDown)
        assert down.sa == up.sa
        assert phone.core.counters()["ike_sas_up"] == 0


@pytest.mark.parametrize("wanted", Wanted)
def test_a_good_one_with_a_good_word_of_its_authority_opens_the_door(wanted: Wanted) -> None:
    with end([WIFI]) as phone, end([WAN]) as gateway:
        shown = (replace(_stapled(name), wanted=wanted) for name in ("phone@example.net", "gw.example.net"))
        door = _meet(phone, gateway, *shown)
        _judge(gateway, door)
        _judge(phone, door)
        assert phone.wait_for(IkeSaUp).peer_id == "gw.example.net"
