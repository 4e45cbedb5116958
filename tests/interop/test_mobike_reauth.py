"""Another IKE SA takes the place of the one in use, with strongSwan at the other end, and no ping is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import (
    GW1,
    INNER,
    Rig,
    Settings,
    initiator,
    merge,
    requires_rig,
    requires_strongswan,
)
from tests.interop.tunnels import client_of_strongswan, gateway_of_strongswan, told

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]


def test_our_client_reauthenticates_by_order_and_no_ping_is_lost(tmp_path: Path) -> None:
    with Rig() as rig, client_of_strongswan(rig, tmp_path) as (ours, strongswan):
        before = ours.wait_up()
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(10)
            ours.post(f"ike-sas/{before.sa.id}/reauth", {})
            ours.wait_sa(lambda sa: sa.sa.id != before.sa.id and len(ours.events("sa-down")) == 1, "the new one alone")
            pinger.wait_replies(20)
            result = pinger.stop()
        told("reauthenticated by mobike", result)
        assert (result.lost, result.duplicates) == (0, 0)
        assert "reauthenticated" in ours.wait_event("sa-down").text
        (theirs,) = strongswan.list_sas()
        assert theirs.state == "ESTABLISHED"


def test_our_client_reauthenticates_again_and_again_by_lifetime(tmp_path: Path) -> None:
    with Rig() as rig, client_of_strongswan(rig, tmp_path, reauth_lifetime="3s") as (ours, _):
        ours.wait_up()
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            ours.wait_sa(lambda _: len(ours.events("sa-down")) >= 2, "the third IKE SA")
            result = pinger.stop()
        told("reauthenticated every three seconds", result)
        assert result.lost <= 1
        assert ours.counters()["ike_sas_reauthenticated"] >= 2


@pytest.mark.parametrize(
    ("overlap", "order", "most_lost"),
    [("yes", ["sa-up", "sa-up", "sa-down"], 0), ("no", ["sa-up", "sa-down", "sa-up"], 120)],
    ids=["make first", "break first"],
)
def test_a_strongswan_client_reauthenticates_again_and_again(
    tmp_path: Path, overlap: str, order: list[str], most_lost: int
) -> None:
    """Where it breaks first, our answer to IKE_SA_INIT may be there before it waits for one; it asks again in 1 s."""
    # Without time over it ends the old one at the moment in which it begins the new one.
    often: Settings = {"connections": {"gw": {"reauth_time": "3s", "over_time": "30s", "rand_time": "0s"}}}
    settings: Settings = {"charon": {"make_before_break": overlap}}
    client = merge(initiator(GW1.address), often)
    with Rig() as rig, gateway_of_strongswan(rig, tmp_path, client=client, settings=settings) as (ours, _):
        before = ours.wait_up()
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            ours.wait_sa(lambda _: len(ours.events("sa-down")) >= 2, "two IKE SAs are gone, others in their place")
            pinger.wait_replies(10)
            result = pinger.stop()
        told(f"reauthenticated by strongSwan, make_before_break = {overlap}", result)
        assert result.lost <= most_lost
        assert [event.kind for event in ours.events() if event.kind in order][:3] == order
        assert {event.text.rpartition(": ")[2] for event in ours.events("sa-down")} == {"deleted by the peer"}
        assert ours.wait_up().sa.virtual_ips == before.sa.virtual_ips, "its inner address is that of the peer"
        assert ours.counters()["esp_children"] <= 2
