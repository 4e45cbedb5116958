"""IKE SAs that are set up without a Child SA (RFC 6023), with strongSwan, in both roles."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import (
    GW1,
    INNER,
    Charon,
    Mobike,
    Rig,
    initiator,
    mobike_gateway,
    psk,
    requires_rig,
    requires_strongswan,
    responder,
)
from tests.interop.rig.program import ProgramError
from tests.interop.rig.settings import Settings, merge
from tests.interop.tunnels import client_of_strongswan, gateway_of_strongswan

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

WITH_KEYS = "aes128gcm16-x25519"
"""The first Child SA gets keys of its own: only a childless IKE SA can give it that."""


def _childless(config: Settings, policy: str) -> Settings:
    child: Settings = {"net": {"esp_proposals": WITH_KEYS}}
    return merge(config, {"connections": {"gw": {"childless": policy, "children": child}}})


@pytest.mark.parametrize(("ours", "theirs"), [("prefer", "allow"), ("require", "force")])
def test_our_client_sets_up_a_childless_ike_sa_with_strongswan(tmp_path: Path, ours: str, theirs: str) -> None:
    gateway = _childless(responder(esp=WITH_KEYS), theirs)
    with (
        Rig() as rig,
        client_of_strongswan(rig, tmp_path, gateway, childless=ours, esp=[WITH_KEYS]) as (client, charon),
    ):
        assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0
        log = charon.log()
        assert "parsed CREATE_CHILD_SA request" in log, "the Child SA came by itself"
        (sa,) = charon.list_sas()
        assert client.wait_up().sa.virtual_ips == sa.remote_vips


@pytest.mark.parametrize(("ours", "theirs"), [("allow", "force"), ("require", "force")])
def test_a_strongswan_client_sets_up_a_childless_ike_sa_with_our_gateway(
    tmp_path: Path, ours: str, theirs: str
) -> None:
    client = _childless(initiator(GW1.address, esp=WITH_KEYS), theirs)
    with (
        Rig() as rig,
        gateway_of_strongswan(rig, tmp_path, client=client, childless=ours, esp=[WITH_KEYS]) as (gateway, charon),
    ):
        gateway.wait_up()
        assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0
        assert "generating CREATE_CHILD_SA request" in charon.log(), "the Child SA came by itself"


def test_a_strongswan_client_that_never_does_so_is_refused_by_a_gateway_that_wants_it(tmp_path: Path) -> None:
    client = _childless(initiator(GW1.address), "never")
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", mobike_gateway(childless="require")) as gateway,
        Charon(rig.client, tmp_path / "client", client, secrets=psk()) as charon,
    ):
        with pytest.raises(ProgramError):
            charon.initiate()
        assert "N(INVAL_SYN)" in charon.log()
        assert gateway.ike_sas() == []
