"""Another IKE SA takes the place of the one in use, with strongSwan at the other end, and no ping is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import INNER, Rig, requires_rig, requires_strongswan
from tests.interop.tunnels import client_of_strongswan, told

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
