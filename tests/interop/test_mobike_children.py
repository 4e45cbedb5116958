"""Several Child SAs in one IKE SA with strongSwan, opened by either end, under traffic."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobike_api.schemas import Child, IkeSaDetail
from tests.interop.rig import (
    GW1,
    INNER,
    INNER_NET,
    UP1,
    UP2,
    Charon,
    Mobike,
    Rig,
    Settings,
    Toml,
    initiator,
    requires_rig,
    requires_strongswan,
    responder,
)
from tests.interop.rig.roles import ESP
from tests.interop.rig.settings import merge
from tests.interop.tunnels import client_of_strongswan, gateway_of_strongswan

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

ONLY_PINGS = f"{INNER_NET}[icmp]"
PINGS: Toml = {"name": "pings", "remote_ts": [ONLY_PINGS], "start": "manual"}


def _with_pings(config: Settings, side: str) -> Settings:
    child: Settings = {side: ONLY_PINGS, "esp_proposals": ESP, "rekey_time": "0s"}
    return merge(config, {"connections": {"gw": {"children": {"pings": child}}}})


@pytest.mark.parametrize("opens", ["mobike", "strongswan"])
def test_our_client_and_a_strongswan_gateway_have_a_second_child(tmp_path: Path, opens: str) -> None:
    gateway = _with_pings(responder(), "local_ts")
    with Rig() as rig, client_of_strongswan(rig, tmp_path, gateway, child=[PINGS]) as (ours, strongswan):
        sa = ours.wait_up()
        assert rig.ping(rig.client, INNER, count=3, interval=0.02).lost == 0
        if opens == "mobike":
            ours.post(f"ike-sas/{sa.sa.id}/children", {"name": "pings"})
        else:
            strongswan.initiate("pings")
        _both_work_move_and_close(rig, ours, strongswan, role="client")


@pytest.mark.parametrize("opens", ["mobike", "strongswan"])
def test_a_strongswan_client_and_our_gateway_have_a_second_child(tmp_path: Path, opens: str) -> None:
    client = _with_pings(initiator(GW1.address), "remote_ts")
    pings: Toml = {"name": "pings", "local_ts": [ONLY_PINGS]}
    with Rig() as rig, gateway_of_strongswan(rig, tmp_path, client=client, child=[pings]) as (ours, strongswan):
        sa = ours.wait_up()
        assert rig.ping(rig.client, INNER, count=3, interval=0.02).lost == 0
        if opens == "mobike":
            ours.post(f"ike-sas/{sa.sa.id}/children", {"name": "pings"})
        else:
            strongswan.initiate("pings")
        _both_work_move_and_close(rig, ours, strongswan, role="gateway")


def _both_work_move_and_close(rig: Rig, ours: Mobike, strongswan: Charon, *, role: str) -> None:
    both = ours.wait_sa(lambda one: _names(one) == ["net", "pings"], "both children are up")
    theirs = strongswan.wait_sa(
        lambda sa: sorted(child.name for child in sa.children if child.state == "INSTALLED") == ["net", "pings"],
        "strongSwan has both, in one IKE SA",
    )
    assert len(strongswan.list_sas()) == 1
    assert {(child.spi_in, child.spi_out) for child in theirs.children} == {
        (child.spi_out, child.spi_in) for child in both.children
    }
    _assert_pings_take(rig, ours, "pings")

    # Each gets new keys by itself, and keeps its traffic.
    ours.post(f"ike-sas/{both.sa.id}/rekey", {"children": True})
    old = {child.id for child in both.children}
    ours.wait_sa(
        lambda one: _names(one) == ["net", "pings"] and old.isdisjoint(child.id for child in one.children),
        "both children are new",
    )
    _assert_pings_take(rig, ours, "pings")

    # Both move with the IKE SA.
    with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
        pinger.wait_replies(10)
        rig.link_down(rig.client, UP1.device)
        if role == "client":
            strongswan.wait_sa(lambda sa: sa.remote_host == UP2.address, "the gateway followed to uplink 2")
        else:
            ours.wait_sa(lambda one: one.sa.remote.startswith(f"{UP2.address}:"), "our gateway followed to uplink 2")
        pinger.wait_replies(20)
        pinger.stop()
    ours.wait_sa(lambda one: _names(one) == ["net", "pings"], "both children are there after the move")

    # And one goes by itself: its traffic takes the other.
    strongswan.terminate_child("pings")
    ours.wait_sa(lambda one: _names(one) == ["net"], "the first child alone is left")
    _assert_pings_take(rig, ours, "net")


def _names(sa: IkeSaDetail) -> list[str]:
    return sorted(child.name for child in sa.children)


def _child(ours: Mobike, name: str) -> Child:
    (sa,) = ours.ike_sas()
    return next(child for child in sa.children if child.name == name)


def _assert_pings_take(rig: Rig, ours: Mobike, name: str) -> None:
    before = _child(ours, name)
    assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0
    after = _child(ours, name)
    # Where a reply comes late, ping sends one more.
    assert min(after.packets_out - before.packets_out, after.packets_in - before.packets_in) >= 5
