"""Child SAs that are replaced, or end, by what they carried, with strongSwan at the other end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import INNER, Rig, requires_rig, requires_strongswan
from tests.interop.tunnels import client_of_strongswan, gateway_of_strongswan, told

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

ROLES = ("client", "gateway")


@pytest.mark.parametrize(("packets", "octets"), [(100, "0"), (0, "10kB")])
@pytest.mark.parametrize("role", ROLES)
def test_a_child_sa_is_replaced_by_what_it_carried_under_traffic(
    tmp_path: Path, role: str, packets: int, octets: str
) -> None:
    tunnel = client_of_strongswan if role == "client" else gateway_of_strongswan
    with (
        Rig() as rig,
        tunnel(rig, tmp_path, esp_lifetime_packets=packets, esp_lifetime_bytes=octets) as (ours, strongswan),
    ):
        ours.wait_up()
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            ours.wait_sa(lambda _: len(ours.events("child-up")) >= 4, "the fourth Child SA is there")
            result = pinger.stop()
        told(f"Child SAs of a hundred packets, mobike is {role}", result)
        # strongSwan may seal with new keys a moment before it can open what is sealed with them.
        assert result.lost <= 2
        after = ours.wait_up()
        assert ours.events("sa-down") == []
        assert ours.counters()["ike_children_rekeyed"] >= 3
        assert ours.counters()["ike_lifetimes_over"] == 0
        (theirs,) = strongswan.list_sas()
        assert [child.spi_in for child in theirs.children if child.state == "INSTALLED"] == [after.children[-1].spi_out]


@pytest.mark.parametrize("role", ROLES)
def test_a_child_sa_that_carried_all_it_may_ends_and_strongswan_makes_another_with_us(
    tmp_path: Path, role: str
) -> None:
    tunnel = client_of_strongswan if role == "client" else gateway_of_strongswan
    with Rig() as rig, tunnel(rig, tmp_path, esp_lifetime_packets_hard=50) as (ours, _):
        before = ours.wait_up()
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            ours.wait_sa(lambda _: len(ours.events("child-up")) >= 3, "the third Child SA is there")
            pinger.wait_replies(60)
        assert ours.counters()["ike_lifetimes_over"] >= 2
        assert "hard lifetime" in ours.wait_event("child-down").text
        assert ours.wait_up().sa.id == before.sa.id
