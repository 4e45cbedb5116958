"""A strongSwan client against our gateway: traffic over TUN, and what becomes of it when the client loses an uplink."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import (
    CLIENT_ID,
    GW1,
    INNER,
    UP1,
    UP2,
    Rig,
    dissect,
    requires_rig,
    requires_strongswan,
)
from tests.interop.tunnels import MOST_LOST, gateway_of_strongswan, told

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]


@pytest.mark.req("M3.2-1", "M3.4-1")
def test_a_strongswan_client_gets_an_address_and_reaches_the_net_behind_our_gateway(tmp_path: Path) -> None:
    with Rig() as rig, gateway_of_strongswan(rig, tmp_path) as (gateway, client):
        (theirs,) = client.list_sas()
        ours = gateway.wait_up()
        assert (ours.sa.spi_i, ours.sa.spi_r) == (theirs.initiator_spi, theirs.responder_spi)
        assert ours.sa.role == "responder"
        assert ours.sa.peer_id == CLIENT_ID
        assert ours.sa.mobike
        assert ours.sa.virtual_ips == theirs.local_vips
        assert ours.peer_addresses == (UP2.address,)
        assert gateway.connection().ike_sas == 1

        with rig.capture(rig.gateway, GW1.device, tmp_path / "gw1.pcap") as pcap:
            assert rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0
        assert len(dissect(pcap, ["esp.spi"], "esp")) >= 20
        assert dissect(pcap, ["frame.protocols"], f"icmp || ip.addr == {INNER}") == []


@pytest.mark.req("M3.5-7", "M3.7-1", "D3-1")
@pytest.mark.parametrize("fault", ["link down", "address deleted"])
def test_pings_go_on_when_a_strongswan_client_loses_its_uplink(tmp_path: Path, fault: str) -> None:
    with Rig() as rig, gateway_of_strongswan(rig, tmp_path) as (gateway, client):
        before = gateway.wait_up()
        with (
            rig.capture(rig.gateway, GW1.device, tmp_path / "gw1.pcap", "udp") as pcap,
            rig.pinger(rig.client, INNER, interval=0.02) as pinger,
        ):
            pinger.wait_replies(20)
            if fault == "link down":
                rig.link_down(rig.client, UP1.device)
            else:
                rig.addr_del(rig.client, UP1.device, UP1.address)
            client.wait_sa(lambda sa: sa.local_host == UP2.address, "the client's own view has the new address")
            moved = gateway.wait_sa(
                lambda one: one.sa.remote.startswith(f"{UP2.address}:"), "our gateway sees the client on uplink 2"
            )
            pinger.wait_replies(20)
            result = pinger.stop()
        told(f"strongSwan to mobike, {fault}", result)
        assert result.lost <= MOST_LOST
        assert result.duplicates == 0

        assert moved.sa.id == before.sa.id, "moved, not made anew"
        assert moved.sa.virtual_ips == before.sa.virtual_ips
        assert moved.last_move is not None
        assert moved.last_move.from_path.endswith(f"{UP1.address}:4500")
        assert moved.last_move.to_path.endswith(f"{UP2.address}:4500")
        assert "it proved that it receives there" in moved.last_move.why
        assert gateway.counters()["ike_cookie2_passed"] == 1
        assert_proved_before_traffic(pcap)


def assert_proved_before_traffic(pcap: Path) -> None:
    """Our gateway sends no ESP to the new address before the client has answered a request there (RFC 4555, 3.7)."""
    fields = ["ip.src", "ip.dst", "esp.spi", "isakmp.flags", "isakmp.exchangetype"]
    asked = proved = carried = None
    for number, (source, destination, spi, flags, exchange) in enumerate(dissect(pcap, fields, "isakmp || esp")):
        if (source, destination) == (GW1.address, UP2.address):
            if spi and carried is None:
                carried = number
            if exchange == "37" and not is_answer(flags) and asked is None:
                asked = number
        if source == UP2.address and exchange == "37" and is_answer(flags) and proved is None:
            proved = number
    assert asked is not None
    assert proved is not None
    assert carried is not None
    assert asked < proved < carried


def is_answer(flags: str) -> bool:
    """The response bit of the IKE header (RFC 7296 section 3.1)."""
    return bool(int(flags, 16) & 0x20)
