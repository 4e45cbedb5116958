"""Why strongSwan and we did not come together: what it offered, as `mobike why` tells it, in both roles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.interop.rig import (
    GW1,
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
    until,
)
from tests.interop.rig.program import ProgramError

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

OURS = "aes128gcm16-prfsha256-x25519"
THEIRS = "aes256-sha256-modp2048"


def test_a_strongswan_that_offers_other_algorithms_is_told_apart_kind_by_kind(tmp_path: Path) -> None:
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "mobike", mobike_gateway(ike=[OURS])) as ours,
        Charon(rig.client, tmp_path / "charon", initiator(GW1.address, ike=THEIRS), secrets=psk()) as theirs,
    ):
        with pytest.raises(ProgramError, match="NO_PROPOSAL_CHOSEN"):
            theirs.initiate()
        attempt = _latest(ours)
        assert (attempt["step"], attempt["reason"], attempt["by_us"]) == ("IKE_SA_INIT", "no-proposal", False)
        parts = {line["what"]: (line["theirs"], line["ours"], line["fits"]) for line in attempt["lines"]}
        assert parts == {
            "encryption": (["aes256"], ["aes128gcm16"], False),
            "integrity": (["sha256"], [], False),
            "PRF": (["prfsha256"], ["prfsha256"], True),
            "key exchange": (["modp2048"], ["x25519"], False),
        }
        assert f"let the peer offer {OURS}" in attempt["fix"]


@pytest.mark.thorough
def test_a_strongswan_that_does_not_know_us_or_our_algorithms_says_no_and_we_say_what_it_heard(tmp_path: Path) -> None:
    with (
        Rig() as rig,
        Charon(rig.gateway, tmp_path / "charon", responder(ike=THEIRS), secrets=psk()),
        Mobike(rig, rig.client, tmp_path / "mobike", mobike_client(GW1.address, ike=[OURS])) as ours,
    ):
        attempt = _latest(ours)
        assert (attempt["reason"], attempt["by_us"], attempt["connection"]) == ("NO_PROPOSAL_CHOSEN", True, "net")
        assert attempt["lines"][0]["ours"] == [OURS]


@pytest.mark.thorough
def test_a_strongswan_with_another_secret_is_the_fault_of_both(tmp_path: Path) -> None:
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "mobike", mobike_gateway(psk="not what it has")) as ours,
        Charon(rig.client, tmp_path / "charon", initiator(GW1.address), secrets=psk()) as theirs,
    ):
        with pytest.raises(ProgramError, match="AUTHENTICATION_FAILED"):
            theirs.initiate()
        attempt = _latest(ours)
        assert (attempt["step"], attempt["reason"], attempt["fault"]) == ("IKE_AUTH", "bad-auth", "both")
        assert attempt["peer_id"] == "client.test.example"


def _latest(ours: Mobike) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        items = ours.get("attempts")["items"]
        return dict(items[0]) if items else None

    return until(found, "an attempt is told of")
