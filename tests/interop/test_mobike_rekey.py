"""New keys between ours and strongSwan, whoever asks, under traffic; and the tunnel still moves afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mobike_api.schemas import IkeSaDetail
from tests.interop.rig import INNER, UP1, UP2, Charon, Mobike, Rig, requires_rig, requires_strongswan
from tests.interop.tunnels import MOST_LOST, client_of_strongswan, gateway_of_strongswan, told

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

ROLES = ("client", "gateway")
BY = ("mobike", "strongswan")


@pytest.mark.req("M3.2-2")
@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("role", ROLES)
def test_an_ike_sa_gets_new_keys_under_traffic_and_the_tunnel_still_moves(tmp_path: Path, role: str, by: str) -> None:
    tunnel = client_of_strongswan if role == "client" else gateway_of_strongswan
    with Rig() as rig, tunnel(rig, tmp_path) as (ours, strongswan):
        before = ours.wait_up()
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(10)
            if by == "mobike":
                ours.post(f"ike-sas/{before.sa.id}/rekey", {})
            else:
                strongswan.rekey_ike()
            after = _wait_new_keys(ours, strongswan, before)
            pinger.wait_replies(20)
            result = pinger.stop()
        told(f"IKE SA rekeyed by {by}, mobike is {role}", result)
        assert (result.lost, result.duplicates) == (0, 0)
        assert after.sa.id == before.sa.id
        assert [child.spi_in for child in after.children] == [child.spi_in for child in before.children]
        asked = "we asked" if by == "mobike" else "the peer asked"
        assert asked in ours.wait_event("sa-rekeyed").text
        assert ours.counters()["ike_sas_rekeyed"] == 1

        _assert_it_moves(rig, ours, strongswan, role)
        # And once more on top of that, by the other end.
        moved = ours.wait_up()
        if by == "mobike":
            strongswan.rekey_ike()
        else:
            ours.post(f"ike-sas/{moved.sa.id}/rekey", {})
        again = _wait_new_keys(ours, strongswan, moved)
        assert (again.sa.id, again.sa.moves) == (before.sa.id, 1)
        assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0


@pytest.mark.parametrize("role", ROLES)
def test_our_child_sa_gets_new_keys_and_no_ping_is_lost(tmp_path: Path, role: str) -> None:
    tunnel = client_of_strongswan if role == "client" else gateway_of_strongswan
    with Rig() as rig, tunnel(rig, tmp_path) as (ours, strongswan):
        before = ours.wait_up()
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(10)
            after = before
            for _ in range(3):
                old = after.children[0].id
                ours.post(f"ike-sas/{before.sa.id}/rekey", {"children": True})
                after = ours.wait_sa(_only_child_other_than(old), "the new Child SA alone is left")
                pinger.wait_replies(10)
            result = pinger.stop()
        told(f"Child SA replaced three times by mobike, mobike is {role}", result)
        assert (result.lost, result.duplicates) == (0, 0)
        (theirs,) = strongswan.list_sas()
        installed = [child for child in theirs.children if child.state == "INSTALLED"]
        assert [(child.spi_out, child.spi_in) for child in installed] == [
            (after.children[0].spi_in, after.children[0].spi_out)
        ]
        _assert_it_moves(rig, ours, strongswan, role)


@pytest.mark.req("M3.2-2")
@pytest.mark.parametrize("role", ROLES)
def test_lifetimes_renew_both_again_and_again_under_traffic(tmp_path: Path, role: str) -> None:
    tunnel = client_of_strongswan if role == "client" else gateway_of_strongswan
    with Rig() as rig, tunnel(rig, tmp_path, ike_lifetime="3s", esp_lifetime="2s") as (ours, strongswan):
        before = ours.wait_up()
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            ours.wait_sa(lambda _: len(ours.events("sa-rekeyed")) >= 3, "three IKE SAs later")
            result = pinger.stop()
        told(f"short lifetimes, mobike is {role}", result)
        # Six Child SAs or more: strongSwan may seal with new keys a moment before it can open what is sealed with them.
        assert result.lost <= 2
        assert ours.wait_up().sa.id == before.sa.id
        assert len(ours.events("child-up")) >= 4
        assert ours.events("sa-down") == []
        assert len(strongswan.list_sas()) <= 2, "the one in use, and perhaps one that is on its way out"


def _wait_new_keys(ours: Mobike, strongswan: Charon, before: IkeSaDetail) -> IkeSaDetail:
    after = ours.wait_sa(lambda one: one.sa.spi_i != before.sa.spi_i, "our end has new keys")
    theirs = strongswan.wait_sa(
        lambda sa: (
            sa.state == "ESTABLISHED" and (sa.initiator_spi, sa.responder_spi) == (after.sa.spi_i, after.sa.spi_r)
        ),
        "strongSwan has the same",
    )
    # One that it deleted itself it shows for some seconds more.
    assert [child.state for child in theirs.children].count("INSTALLED") == 1
    return after


def _only_child_other_than(old: str) -> Callable[[IkeSaDetail], bool]:
    return lambda one: len(one.children) == 1 and one.children[0].id != old


def _assert_it_moves(rig: Rig, ours: Mobike, strongswan: Charon, role: str) -> None:
    before = ours.wait_up()
    if role == "client":
        # charon drops an answer that has the number of the request it is just serving, and asks again a second later.
        # Our update and its rekeying after it would both be number 0 of the new IKE SA: let ours be another.
        ours.post(f"ike-sas/{before.sa.id}/rekey", {"children": True})
        before = ours.wait_sa(_only_child_other_than(before.children[0].id), "the new Child SA alone is left")
    with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
        pinger.wait_replies(10)
        rig.link_down(rig.client, UP1.device)
        if role == "client":
            strongswan.wait_sa(lambda sa: sa.remote_host == UP2.address, "the gateway followed to uplink 2")
        else:
            ours.wait_sa(lambda one: one.sa.remote.startswith(f"{UP2.address}:"), "our gateway followed to uplink 2")
        pinger.wait_replies(20)
        result = pinger.stop()
    told(f"then an uplink goes, mobike is {role}", result)
    assert result.lost <= MOST_LOST
    after = ours.wait_up()
    assert (after.sa.id, after.sa.spi_i, after.sa.moves) == (before.sa.id, before.sa.spi_i, before.sa.moves + 1)
