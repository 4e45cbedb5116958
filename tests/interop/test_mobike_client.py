"""Our client against a strongSwan gateway: traffic over TUN, and what becomes of it when an uplink goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import (
    DEVICE,
    GATEWAY_ID,
    INNER,
    UP1,
    UP2,
    Rig,
    addresses,
    dissect,
    requires_rig,
    requires_strongswan,
)
from tests.interop.tunnels import MOST_LOST, client_of_strongswan, told

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]


@pytest.mark.req("M3.2-1")
def test_a_tunnel_to_strongswan_carries_traffic_and_no_inner_packet_crosses_an_uplink(tmp_path: Path) -> None:
    with Rig() as rig, client_of_strongswan(rig, tmp_path) as (client, gateway):
        theirs = gateway.wait_sa(lambda sa: sa.state == "ESTABLISHED", "the gateway has our client")
        ours = client.wait_up()
        assert (ours.sa.spi_i, ours.sa.spi_r) == (theirs.initiator_spi, theirs.responder_spi)
        assert ours.sa.peer_id == GATEWAY_ID
        assert ours.sa.mobike
        assert ours.sa.virtual_ips == theirs.remote_vips
        child, their_child = ours.children[0], theirs.children[0]
        assert (child.spi_in, child.spi_out) == (their_child.spi_out, their_child.spi_in)
        assert addresses(rig.client, DEVICE) == list(ours.sa.virtual_ips)

        with rig.capture(rig.client, UP1.device, tmp_path / "up1.pcap") as pcap:
            assert rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0
        assert len(dissect(pcap, ["esp.spi"], "esp")) >= 20
        assert dissect(pcap, ["frame.protocols"], f"icmp || ip.addr == {INNER}") == []
        counted = client.wait_up().children[0]
        assert min(counted.packets_in, counted.packets_out) >= 10


@pytest.mark.req("M3.5-3", "D3-1", "D5.1-1")
@pytest.mark.parametrize("fault", ["link down", "address deleted"])
def test_pings_go_on_over_uplink_2_when_uplink_1_is_lost(tmp_path: Path, fault: str) -> None:
    with Rig() as rig, client_of_strongswan(rig, tmp_path) as (client, gateway):
        before = gateway.wait_sa(lambda sa: sa.remote_host == UP1.address, "the gateway sees uplink 1")
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(20)
            if fault == "link down":
                rig.link_down(rig.client, UP1.device)
            else:
                rig.addr_del(rig.client, UP1.device, UP1.address)
            after = gateway.wait_sa(lambda sa: sa.remote_host == UP2.address, "the gateway followed to uplink 2")
            pinger.wait_replies(20)
            result = pinger.stop()
        assert (after.initiator_spi, after.unique_id) == (before.initiator_spi, before.unique_id), (
            "moved, not made anew"
        )
        told(f"mobike to strongSwan, {fault}", result)
        assert result.lost <= MOST_LOST
        assert result.duplicates == 0

        moved = client.wait_sa(lambda one: one.sa.moves == 1, "our API tells of one move")
        assert moved.sa.local.startswith(f"{UP2.address}:")
        assert moved.last_move is not None
        assert moved.last_move.from_path.startswith(f"{UP1.address}:")
        assert moved.last_move.to_path.startswith(f"{UP2.address}:")
        assert moved.last_move.duration_ms is not None
        assert f"{UP1.address} ({UP1.device}) is gone" in moved.last_move.why
        assert "only usable pair" in moved.why
        current = [pair for pair in moved.pairs if pair.current]
        assert [(pair.local, pair.link, pair.usable, pair.rank) for pair in current] == [
            (UP2.address, UP2.device, True, 1)
        ]


@pytest.mark.req("D3-1", "D3-3")
def test_the_tunnel_goes_back_to_the_better_uplink_when_that_is_there_again(tmp_path: Path) -> None:
    with Rig() as rig, client_of_strongswan(rig, tmp_path, settle="200ms") as (client, gateway):
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(10)
            rig.link_down(rig.client, UP1.device)
            client.wait_sa(lambda one: one.sa.moves == 1, "moved to uplink 2")
            pinger.wait_replies(10)
            rig.link_up(rig.client, UP1.device)
            gateway.wait_sa(lambda sa: sa.remote_host == UP1.address, "the gateway sees uplink 1 again")
            back = client.wait_sa(lambda one: one.sa.moves == 2, "moved back")
            pinger.wait_replies(20)
            result = pinger.stop()
        told("mobike to strongSwan, uplink 1 down and up again", result)
        assert result.lost <= 2, "the way back must lose nothing: the old path works until the new one does"
        assert back.last_move is not None
        assert f"{UP1.device} is preferred to {UP2.device}" in back.last_move.why
