"""How tunnels between ours and strongSwan end, are renewed, and do not come up: each end sees what the other did."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import (
    GW1,
    INNER,
    Charon,
    Mobike,
    ProgramError,
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
from tests.interop.tunnels import client_of_strongswan, gateway_of_strongswan, told

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

OTHER_IKE = "aes256gcm16-prfsha384-ecp256"
OTHER_ESP = "aes256gcm16"


# --- ended -----------------------------------------------------------------------------------------------------------


def test_a_client_of_ours_that_the_gateway_throws_out_says_so_and_comes_back(tmp_path: Path) -> None:
    with Rig() as rig, client_of_strongswan(rig, tmp_path) as (client, gateway):
        before = client.wait_up()
        gateway.terminate()
        down = client.wait_event("sa-down", lambda event: event.sa == before.sa.id)
        assert "deleted by the peer" in down.text
        after = client.wait_sa(lambda one: one.sa.spi_i != before.sa.spi_i and bool(one.children), "a new tunnel")
        assert rig.ping(rig.client, INNER).lost == 0
        assert after.sa.id != before.sa.id


def test_strongswan_sees_what_our_client_takes_down(tmp_path: Path) -> None:
    with Rig() as rig, client_of_strongswan(rig, tmp_path) as (client, gateway):
        client.post("connections/net/down")
        until(lambda: gateway.list_sas() == [], "the gateway has no SA any more")
        gateway.wait_log("received DELETE for IKE_SA")
        client.wait_connection(lambda one: one.state == "down", "our connection is down")
        client.post("connections/net/up")
        client.wait_up()
        assert rig.ping(rig.client, INNER).lost == 0


def test_our_gateway_sees_what_a_strongswan_client_takes_down(tmp_path: Path) -> None:
    with Rig() as rig, gateway_of_strongswan(rig, tmp_path) as (gateway, client):
        first = gateway.wait_up()
        client.terminate_child()
        childless = gateway.wait_sa(lambda one: not one.children, "the Child SA is gone, the IKE SA is not")
        assert childless.sa.id == first.sa.id
        client.terminate()
        until(lambda: gateway.ike_sas() == [], "our gateway has no SA any more")
        assert "deleted by the peer" in gateway.wait_event("sa-down").text
        assert gateway.connection().state == "listening"

        client.initiate()
        assert gateway.wait_up().sa.virtual_ips == first.sa.virtual_ips, "its address was free again"


def test_a_strongswan_client_sees_that_our_gateway_ends(tmp_path: Path) -> None:
    with Rig() as rig, gateway_of_strongswan(rig, tmp_path) as (gateway, client):
        gateway.stop()
        until(lambda: client.list_sas() == [], "the client has no SA any more")
        client.wait_log("received DELETE for IKE_SA")


# --- renewed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["client", "gateway"])
def test_strongswan_replaces_a_child_sa_under_traffic(tmp_path: Path, role: str) -> None:
    tunnel = client_of_strongswan if role == "client" else gateway_of_strongswan
    with Rig() as rig, tunnel(rig, tmp_path) as (ours, strongswan):
        before = ours.wait_up()
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(10)
            strongswan.rekey_child()
            after = ours.wait_sa(
                lambda one: (
                    [child.id for child in one.children] not in ([], [before.children[0].id]) and len(one.children) == 1
                ),
                "the new Child SA alone is left",
            )
            pinger.wait_replies(20)
            result = pinger.stop()
        told(f"Child SA replaced by strongSwan, mobike is {role}", result)
        # One may overtake the message with which strongSwan learns the key.
        assert result.lost <= 2
        assert after.sa.id == before.sa.id
        (theirs,) = strongswan.list_sas()
        installed = [child for child in theirs.children if child.state == "INSTALLED"]
        assert [(child.spi_out, child.spi_in) for child in installed] == [
            (after.children[0].spi_in, after.children[0].spi_out)
        ]


# --- not come up -----------------------------------------------------------------------------------------------------


def test_our_client_says_in_one_line_that_its_key_is_wrong(tmp_path: Path) -> None:
    config = mobike_client(GW1.address, psk="not what was agreed")
    with (
        Rig() as rig,
        Charon(rig.gateway, tmp_path / "gateway", responder(), secrets=psk()),
        Mobike(rig, rig.client, tmp_path / "client", config) as client,
    ):
        failed = client.wait_event("connect-failed")
        assert "peer refused our authentication" in failed.text
        assert "trying again in" in failed.text
        assert client.connection().last_error == "peer refused our authentication"
        assert client.connection().state == "connecting"
        client.wait_log('peer refused our authentication.*"level": "warning"')
        assert client.ike_sas() == []


def test_our_gateway_says_in_one_line_whose_key_is_wrong(tmp_path: Path) -> None:
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", mobike_gateway()) as gateway,
        Charon(rig.client, tmp_path / "client", initiator(GW1.address), secrets=psk("not what was agreed")) as client,
    ):
        with pytest.raises(ProgramError, match="AUTH_FAILED"):
            client.initiate()
        refused = gateway.wait_event("notice-auth_failed")
        assert "client.test.example refused: peer's AUTH does not match the shared secret" in refused.text
        gateway.wait_log('peer\'s AUTH does not match.*"level": "warning"')
        assert gateway.counters()["ike_auth_failed"] == 1
        assert gateway.ike_sas() == []


def test_our_client_says_in_one_line_that_no_proposal_is_common(tmp_path: Path) -> None:
    config = mobike_client(GW1.address, ike=[OTHER_IKE], retransmit={"initial": "100ms", "give_up_initiator": "1s"})
    with (
        Rig() as rig,
        Charon(rig.gateway, tmp_path / "gateway", responder(), secrets=psk()),
        Mobike(rig, rig.client, tmp_path / "client", config) as client,
    ):
        # Anybody could have sent it, so it is told at once, and believed when nothing better came.
        heard = client.wait_event("notice-unproven")
        assert heard.text == "unauthenticated answer to IKE_SA_INIT: NO_PROPOSAL_CHOSEN"
        failed = client.wait_event("connect-failed")
        assert "no usable answer for 1.0 s; last heard: NO_PROPOSAL_CHOSEN" in failed.text
        assert "last heard: NO_PROPOSAL_CHOSEN" in (client.connection().last_error or "")


def test_our_gateway_says_in_one_line_that_no_proposal_is_common(tmp_path: Path) -> None:
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", mobike_gateway(ike=[OTHER_IKE])) as gateway,
        Charon(rig.client, tmp_path / "client", initiator(GW1.address), secrets=psk()) as client,
    ):
        with pytest.raises(ProgramError, match="NO_PROP"):
            client.initiate()
        refused = gateway.wait_event("notice-no_proposal")
        assert "\n" not in refused.text
        gateway.wait_log('"event": "notice-no_proposal".*"level": "warning"')
        assert gateway.counters()["ike_init_no_proposal"] == 1


def test_without_a_common_esp_proposal_both_ends_say_so(tmp_path: Path) -> None:
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", mobike_gateway(esp=[OTHER_ESP])) as gateway,
        Charon(rig.client, tmp_path / "client", initiator(GW1.address), secrets=psk()) as client,
    ):
        with pytest.raises(ProgramError, match="NO_PROP"):
            client.initiate()
        assert "Child SA refused" in gateway.wait_event("notice-child_refused").text
        assert gateway.counters()["ike_child_refused"] == 1
