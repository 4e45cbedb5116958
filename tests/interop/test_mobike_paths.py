"""Moves between paths of other kinds: behind a NAT and out of it again, IPv6 and from family to family."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import (
    GW1,
    INNER,
    UP1,
    UP2,
    Cable,
    Rig,
    initiator,
    requires_rig,
    requires_strongswan,
    until,
)
from tests.interop.tunnels import MOST_LOST, client_of_strongswan, gateway_of_strongswan, host, told

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

BEHIND_NAT = "10.9.1.254"
"""How the router shows what it translates."""


@pytest.mark.req("D5.2-1")
@pytest.mark.parametrize("translated", [UP1, UP2], ids=["out of the NAT", "into the NAT"])
def test_our_client_moves_across_the_border_of_a_nat(tmp_path: Path, translated: Cable) -> None:
    seen = {cable.device: BEHIND_NAT if cable is translated else cable.address for cable in (UP1, UP2)}
    with Rig(nat=(translated,)) as rig, client_of_strongswan(rig, tmp_path) as (client, gateway):
        gateway.wait_sa(lambda sa: sa.remote_host == seen[UP1.device], "the gateway sees uplink 1")
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(20)
            rig.link_down(rig.client, UP1.device)
            gateway.wait_sa(lambda sa: sa.remote_host == seen[UP2.device], "the gateway followed")
            client.wait_sa(lambda one: one.sa.moves == 1, "our API tells of one move")
            pinger.wait_replies(20)
            result = pinger.stop()
        told(f"mobike to strongSwan, NAT on {translated.device}", result)
        assert result.lost <= MOST_LOST


@pytest.mark.req("M3.5-7", "D5.2-1")
@pytest.mark.parametrize("translated", [UP1, UP2], ids=["out of the NAT", "into the NAT"])
def test_our_gateway_follows_a_client_across_the_border_of_a_nat(tmp_path: Path, translated: Cable) -> None:
    seen = {cable.device: BEHIND_NAT if cable is translated else cable.address for cable in (UP1, UP2)}
    with Rig(nat=(translated,)) as rig, gateway_of_strongswan(rig, tmp_path) as (gateway, _):
        assert host(gateway.wait_up().sa.remote) == seen[UP1.device]
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(20)
            rig.link_down(rig.client, UP1.device)
            gateway.wait_sa(lambda one: host(one.sa.remote) == seen[UP2.device], "our gateway followed")
            pinger.wait_replies(20)
            result = pinger.stop()
        told(f"strongSwan to mobike, NAT on {translated.device}", result)
        assert result.lost <= MOST_LOST


@pytest.mark.req("M3.8-2")
def test_our_client_tells_the_peer_when_its_nat_has_forgotten_it(tmp_path: Path) -> None:
    with Rig(nat=(UP1, UP2)) as rig, client_of_strongswan(rig, tmp_path, liveness="300ms") as (client, gateway):
        before = gateway.wait_sa(lambda sa: sa.remote_host == BEHIND_NAT, "the gateway sees the NAT")
        rig.flush_nat()
        after = gateway.wait_sa(lambda sa: sa.remote_port // 1000 != before.remote_port // 1000, "the new mapping")
        assert (after.remote_host, after.initiator_spi) == (BEHIND_NAT, before.initiator_spi)
        client.wait_event("nat-changed")
        until(lambda: rig.ping(rig.client, INNER, count=1).lost == 0, "pings go again")


@pytest.mark.req("M3.8-4")
def test_our_gateway_finds_a_client_again_whose_nat_has_forgotten_it(tmp_path: Path) -> None:
    """Pings from within keep the new mapping in use: our gateway asks there (COOKIE2), and follows what answers."""
    with (
        Rig(nat=(UP1, UP2)) as rig,
        gateway_of_strongswan(rig, tmp_path) as (gateway, charon),
        rig.pinger(rig.client, INNER, interval=0.02) as pinger,
    ):
        before = gateway.wait_up()
        pinger.wait_replies(20)
        rig.flush_nat()
        after = gateway.wait_sa(lambda one: one.sa.remote != before.sa.remote, "our gateway follows the new mapping")
        assert (host(after.sa.remote), after.sa.id) == (BEHIND_NAT, before.sa.id)
        pinger.wait_replies(20)
        result = pinger.stop()
        told("strongSwan to mobike, the NAT forgets its mappings", result)
        (sa,) = charon.list_sas()
        assert sa.state == "ESTABLISHED"
        assert result.longest_silence < 2.0


@pytest.mark.req("D3-2")
def test_an_ipv6_client_of_ours_moves_to_its_other_uplink(tmp_path: Path) -> None:
    with (
        Rig(ipv6=True) as rig,
        client_of_strongswan(rig, tmp_path, remote=GW1.address6, families=["ipv6"]) as (client, gateway),
        rig.pinger(rig.client, INNER, interval=0.02) as pinger,
    ):
        pinger.wait_replies(20)
        rig.link_down(rig.client, UP1.device)
        gateway.wait_sa(lambda sa: sa.remote_host == UP2.address6, "the gateway followed to uplink 2")
        client.wait_sa(lambda one: host(one.sa.local) == UP2.address6, "our API shows uplink 2")
        pinger.wait_replies(20)
        result = pinger.stop()
        told("mobike to strongSwan, IPv6", result)
        assert result.lost <= MOST_LOST


@pytest.mark.req("M3.5-7", "D3-2")
def test_our_gateway_follows_an_ipv6_client(tmp_path: Path) -> None:
    with (
        Rig(ipv6=True) as rig,
        gateway_of_strongswan(rig, tmp_path, client=initiator(GW1.address6)) as (gateway, _),
        rig.pinger(rig.client, INNER, interval=0.02) as pinger,
    ):
        pinger.wait_replies(20)
        rig.link_down(rig.client, UP1.device)
        # charon sometimes prefers the other family: our gateway has announced both, and follows where it goes.
        uplink_2 = (UP2.address6, UP2.address)
        gateway.wait_sa(lambda one: host(one.sa.remote) in uplink_2, "our gateway followed to uplink 2")
        pinger.wait_replies(20)
        result = pinger.stop()
        told("strongSwan to mobike, IPv6", result)
        assert result.lost <= MOST_LOST


@pytest.mark.req("D3-2")
@pytest.mark.parametrize("version", [4, 6], ids=["IPv4 to IPv6", "IPv6 to IPv4"])
def test_our_client_moves_to_the_other_family(tmp_path: Path, version: int) -> None:
    from_4 = version == 4
    with Rig(ipv6=True) as rig:
        if from_4:
            lose(rig, 6)
        with (
            client_of_strongswan(rig, tmp_path, remote=[GW1.address, GW1.address6]) as (client, gateway),
            rig.pinger(rig.client, INNER, interval=0.02) as pinger,
        ):
            first, then = (UP1.address, UP1.address6) if from_4 else (UP1.address6, UP1.address)
            gateway.wait_sa(lambda sa: sa.remote_host == first, "the gateway sees the first family")
            pinger.wait_replies(20)
            if from_4:
                for uplink in rig.uplinks:
                    rig.addr_add(rig.client, uplink.device, str(uplink.host6))
                until(lambda: len(client.get("addresses")["items"]) == 4, "our client knows all addresses")
            lose(rig, version)
            gateway.wait_sa(lambda sa: sa.remote_host == then, "the gateway followed to the other family")
            client.wait_sa(lambda one: host(one.sa.local) == then, "our API shows the other family")
            pinger.wait_replies(20)
            result = pinger.stop()
            told(f"mobike to strongSwan, from IPv{version}", result)
            assert result.lost <= MOST_LOST


def lose(rig: Rig, version: int) -> None:
    """Both uplinks lose their address of this family."""
    for uplink in reversed(rig.uplinks):
        rig.addr_del(rig.client, uplink.device, uplink.address if version == 4 else uplink.address6)
