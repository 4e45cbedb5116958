"""Every algorithm that strongSwan knows, in both roles: the IKE SA comes up with it, and pings go through ESP with it.

`make test` runs a few; `make interop` runs all. The table is in docs/algorithms.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.interop.rig import (
    GW1,
    INNER,
    Charon,
    Mobike,
    Rig,
    initiator,
    mobike_client,
    mobike_gateway,
    psk,
    requires_rig,
    requires_strongswan,
    responder,
)
from tests.interop.rig.charon import PLUGINS

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

KNOWING_MORE = ("ctr", *PLUGINS)
"""charon with AES-CTR too."""

ROLES = ("client", "gateway")
HYBRID = "aes256gcm16-prfsha384-x25519-ke1_mlkem768"


class Suite(NamedTuple):
    """What both ends are told, word for word, and what ours calls it where that is longer."""

    ike: str
    esp: str
    full: str = ""


SHORT = (
    Suite("chacha20poly1305-prfsha256-x25519", "chacha20poly1305"),
    Suite("aes256-sha256-modp2048", "aes256-sha256", "aes256-sha256-prfsha256-modp2048"),
)
LONG = (
    Suite("aes256gcm16-prfsha384-x25519", "aes256gcm16"),
    Suite("aes192gcm16-prfsha256-ecp521", "aes192gcm16"),
    Suite("aes128gcm12-prfsha256-ecp256", "aes128gcm12"),
    Suite("aes256gcm8-prfsha512-ecp384", "aes256gcm8"),
    Suite("aes128-sha384-ecp384", "aes128-sha384", "aes128-sha384-prfsha384-ecp384"),
    Suite("aes192-sha384-modp3072", "aes192-sha384", "aes192-sha384-prfsha384-modp3072"),
    Suite("aes256-sha512-modp4096", "aes256-sha512", "aes256-sha512-prfsha512-modp4096"),
    Suite("aes128ctr-sha256-x25519", "aes128ctr-sha256", "aes128ctr-sha256-prfsha256-x25519"),
    Suite("aes256ctr-sha512-ecp256", "aes256ctr-sha512", "aes256ctr-sha512-prfsha512-ecp256"),
    Suite("aes128-sha1-prfsha1-modp1024", "aes128-sha1"),
)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "suite", [*SHORT, *(pytest.param(suite, marks=pytest.mark.thorough) for suite in LONG)], ids=lambda suite: suite.ike
)
def test_a_tunnel_comes_up_and_carries_with(tmp_path: Path, role: str, suite: Suite) -> None:
    with Rig() as rig:
        ours, theirs = _ends(rig, tmp_path, role, suite)
        with ours, theirs:
            if role == "gateway":
                theirs.initiate()
            up = ours.wait_up()
            assert up.sa.suite == (suite.full or suite.ike)
            assert [child.suite for child in up.children] == [suite.esp]
            result = rig.ping(rig.client, INNER, count=5, interval=0.02)
            assert result.received == 5
            # Long packets, so that padding and counters pass a block.
            assert rig.ping(rig.client, INNER, count=3, interval=0.05, octets=1300).lost == 0


@pytest.mark.parametrize("role", ROLES)
def test_who_does_not_know_additional_key_exchanges_goes_on_to_the_next_proposal(tmp_path: Path, role: str) -> None:
    """RFC 7296 section 3.3.6: charon 5.9.8 knows no transform of type 6, so the first proposal is none for it."""
    plain = "aes256gcm16-prfsha384-x25519"
    with Rig() as rig:
        ours, theirs = _ends(rig, tmp_path, role, Suite(plain, "aes256gcm16"), HYBRID, plain)
        with ours, theirs:
            if role == "gateway":
                theirs.initiate()
            assert ours.wait_up().sa.suite == plain
            assert rig.ping(rig.client, INNER, count=3, interval=0.02).received == 3


def test_both_of_ours_agree_on_ml_kem_beside_x25519(tmp_path: Path) -> None:
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", mobike_gateway(ike=[HYBRID])) as gateway,
        Mobike(rig, rig.client, tmp_path / "client", mobike_client(GW1.address, ike=[HYBRID])) as client,
    ):
        assert client.wait_up().sa.suite == HYBRID
        assert gateway.wait_up().sa.suite == HYBRID
        assert rig.ping(rig.client, INNER, count=3, interval=0.02).received == 3


def _ends(rig: Rig, folder: Path, role: str, suite: Suite, *ours: str) -> tuple[Mobike, Charon]:
    """Our end in this role with this suite, or these for IKE, and strongSwan in the other; not started."""
    ike, esp = list(ours) or [suite.ike], [suite.esp]
    if role == "client":
        theirs = responder(ike=suite.ike, esp=suite.esp)
        charon = Charon(rig.gateway, folder / "charon", theirs, secrets=psk(), plugins=KNOWING_MORE)
        return Mobike(rig, rig.client, folder / "mobike", mobike_client(GW1.address, ike=ike, esp=esp)), charon
    theirs = initiator(GW1.address, ike=suite.ike, esp=suite.esp)
    charon = Charon(rig.client, folder / "charon", theirs, secrets=psk(), plugins=KNOWING_MORE)
    return Mobike(rig, rig.gateway, folder / "mobike", mobike_gateway(ike=ike, esp=esp)), charon
