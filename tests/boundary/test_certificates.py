"""Certificates through the whole core: the question comes out, the doorkeeper's answer goes in."""

import re
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mobike.address import Generation, Nanos
from mobike.auth import Doorkeeper, Trust
from mobike.commands import Credential, Move, SetProfile
from mobike.events import Authorise, ConnectFailed, IkeSaUp, Notice, PeerMoved
from tests.auth.pki import NOW, Authority, Owner
from tests.boundary.ends import GATEWAY, PHONE, End, connect, end

WIFI, LTE, WAN = "127.0.61.1", "127.0.61.2", "127.0.61.129"


def _credential(owner: Owner) -> Credential:
    return Credential(owner.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), owner.der)


def _meet(phone: End, gateway: End, authority: Authority, phone_cert: Owner, gateway_cert: Owner) -> Doorkeeper:
    """Both ends sign and ask; who judges is returned."""
    trust = Trust((authority.certificate,))
    ways: dict[str, Any] = {"psk": b"", "remote_certificate": True, "authorities": trust.authorities()}
    connect(phone, gateway, profiles=(
        replace(PHONE, credential=_credential(phone_cert), **ways),
        replace(GATEWAY, credential=_credential(gateway_cert), **ways),
    ))  # fmt: skip
    return Doorkeeper({PHONE.name: trust, GATEWAY.name: trust})


def _let_in(end: End, door: Doorkeeper) -> Authorise:
    question = end.wait_for(Authorise)
    door.ask([question], Nanos(0))
    end.core.submit(door.answers(Nanos(1), NOW))
    return question


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "ed25519", "rsa2048"])
def test_both_ends_ask_about_each_other_and_are_let_in(kind: str) -> None:
    authority = Authority.new(kind=kind)
    middle = authority.sub("Middle", kind=kind)
    theirs, ours = middle.issue("phone@example.net", kind=kind), authority.issue("gw.example.net", kind=kind)
    with end([WIFI]) as phone, end([WAN]) as gateway:
        door = _meet(phone, gateway, authority, theirs, ours)
        asked = _let_in(gateway, door)
        assert (asked.peer_id, asked.id_kind, asked.id_data) == ("phone@example.net", 3, b"phone@example.net")
        assert asked.certificates == theirs.der
        assert _let_in(phone, door).certificates == ours.der
        assert phone.wait_for(IkeSaUp).peer_id == "gw.example.net"
        assert gateway.wait_for(IkeSaUp).peer_id == "phone@example.net"


def test_who_is_denied_hears_nothing_but_that_and_our_log_says_why() -> None:
    authority = Authority.new()
    stranger = Authority.new("Another CA").issue("phone@example.net")
    with end([WIFI]) as phone, end([WAN]) as gateway:
        door = _meet(phone, gateway, authority, stranger, authority.issue("gw.example.net"))
        _let_in(gateway, door)
        failed, notice = phone.wait_for(ConnectFailed), gateway.wait_for(Notice)
        assert failed.why == "peer refused our authentication"
        assert "no authority that we trust issued the peer's certificate" in notice.text
        assert "phone@example.net" in notice.text


@pytest.mark.req("D5.5-1")
def test_a_phone_moves_at_once_to_an_address_of_its_certificate() -> None:
    authority = Authority.new()
    theirs = authority.issue("phone@example.net", IPv4Address(LTE))
    with end([WIFI, LTE]) as phone, end([WAN]) as gateway:
        door = _meet(phone, gateway, authority, theirs, authority.issue("gw.example.net"))
        _let_in(gateway, door)
        _let_in(phone, door)
        up = phone.wait_for(IkeSaUp)
        for number, local in enumerate((1, 0), start=1):
            path = phone.path_to(gateway, local=local)
            phone.core.submit([Move(up.sa, path, Generation(number), None)])
            moved = gateway.wait_for(PeerMoved)
            assert (moved.path.remote, moved.verified) == (path.local, True)
            # To the address of its certificate without a cookie, to the other one with.
            assert gateway.core.counters()["ike_cookie2_sent"] == number - 1


def test_a_profile_that_nobody_can_prove_is_refused_by_name() -> None:
    with end([WIFI]) as phone:
        changes: list[tuple[dict[str, Any], str]] = [
            ({"psk": b""}, "psk"),
            ({"credential": Credential(b"no key", ())}, "credential.key"),
            ({"remote_certificate": True, "authorities": (b"short",)}, "authorities[0]"),
        ]
        for change, field in changes:
            with pytest.raises(ValueError, match=re.escape(f'profile "home": {field}')):
                phone.core.submit([SetProfile(replace(PHONE, **change))])
