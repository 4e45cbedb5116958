"""libreswan 4.10 at the other end, its ESP in the kernel: keys, rekeying, moves, NATs, in both roles.

It runs where the kernel has ESP, else in one that is booted for it (tests/lab). `make interop` runs all.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.libreswan import (
    ESP_WITH_PFS,
    NAME,
    certified,
    client_of_libreswan,
    gateway_of_libreswan,
    initiator,
    responder,
    secrets,
)
from tests.interop.rig import (
    CLIENT_ID,
    GATEWAY_ID,
    GW1,
    INNER,
    INNER6,
    INNER6_NET,
    UP1,
    UP2,
    Mobike,
    Pluto,
    Rig,
    Toml,
    mobike_client,
    requires_libreswan,
    requires_rig,
)
from tests.interop.tunnels import MOST_LOST, UPLINK_1_FIRST, host, told

pytestmark = [pytest.mark.interop, pytest.mark.kernel_ipsec, requires_rig, requires_libreswan]

ROLES = {"client": client_of_libreswan, "gateway": gateway_of_libreswan}


@pytest.mark.parametrize("role", ROLES)
def test_a_tunnel_with_a_shared_key_comes_up_and_carries(tmp_path: Path, role: str) -> None:
    with Rig() as rig, ROLES[role](rig, tmp_path) as (ours, _):
        assert ours.wait_up().sa.peer_id == (GATEWAY_ID if role == "client" else CLIENT_ID)
        assert rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
@pytest.mark.parametrize("role", ROLES)
def test_both_know_each_other_by_certificates(tmp_path: Path, role: str, kind: str) -> None:
    our_name, their_name = (CLIENT_ID, GATEWAY_ID) if role == "client" else (GATEWAY_ID, CLIENT_ID)
    both = certified(tmp_path, our_name, their_name, kind)
    conn = (responder if role == "client" else initiator)(
        authby="ecdsa" if kind == "p256" else "rsa-sha2", leftcert="own", leftsendcert="always", rightca="%same"
    )
    with Rig() as rig, ROLES[role](rig, tmp_path, conn, keys=both.theirs, ours=both.ours) as (mobike, _):
        assert mobike.wait_up().sa.peer_id == their_name
        assert rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0


@pytest.mark.thorough
@pytest.mark.parametrize("role", ROLES)
def test_all_addresses_may_be_ipv6(tmp_path: Path, role: str) -> None:
    """Outside and inside: libreswan's script takes the outer family for the inner one."""
    inside: dict[str, Toml | None] = (
        {"virtual_ip": ["ipv6"], "remote_ts": [INNER6_NET]}
        if role == "client"
        else {"pool": ["fd00:177::/112"], "local_ts": [INNER6_NET]}
    )
    with Rig(ipv6=True) as rig:
        if role == "client":
            pool = "fd00:177::2-fd00:177::c8"
            conn = responder(GW1.address6, right=UP1.address6, leftsubnet=INNER6_NET, rightaddresspool=pool)
            tunnel = client_of_libreswan(rig, tmp_path, conn, remote=GW1.address6, ours=inside)
        else:
            conn = initiator(GW1.address6, left=UP1.address6, leftsubnet="::/0", rightsubnet=INNER6_NET)
            tunnel = gateway_of_libreswan(rig, tmp_path, conn, ours=inside)
        with tunnel as (ours, _):
            assert host(ours.wait_up().sa.remote) == (GW1.address6 if role == "client" else UP1.address6)
            assert rig.ping(rig.client, INNER6, count=10, interval=0.02).lost == 0


@pytest.mark.thorough
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("by", ["mobike", "libreswan"])
def test_keys_of_the_ike_sa_are_replaced_under_traffic(tmp_path: Path, role: str, by: str) -> None:
    with Rig() as rig, ROLES[role](rig, tmp_path) as (ours, pluto):
        before = ours.wait_up()
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(10)
            if by == "mobike":
                ours.post(f"ike-sas/{before.sa.id}/rekey", {})
            else:
                pluto.rekey_ike(NAME)
            after = ours.wait_sa(lambda one: one.sa.spi_i != before.sa.spi_i, "our end has new keys")
            pinger.wait_replies(20)
            result = pinger.stop()
        told(f"IKE SA rekeyed by {by}, mobike is {role}", result)
        assert (result.lost, result.duplicates) == (0, 0)
        assert after.sa.id == before.sa.id
        pluto.wait_states(lambda states: sum(one.is_ike for one in states) == 1, "libreswan has one IKE SA")


@pytest.mark.thorough
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("by", ["mobike", "libreswan"])
def test_the_child_sa_is_replaced_under_traffic(tmp_path: Path, role: str, by: str) -> None:
    with Rig() as rig, ROLES[role](rig, tmp_path) as (ours, pluto):
        before = ours.wait_up()
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(10)
            if by == "mobike":
                ours.post(f"ike-sas/{before.sa.id}/rekey", {"children": True})
            else:
                pluto.rekey_child(NAME)
            old = before.children[0].id
            ours.wait_sa(
                lambda one: len(one.children) == 1 and one.children[0].id != old, "the new Child SA alone is left"
            )
            pinger.wait_replies(20)
            result = pinger.stop()
        told(f"Child SA replaced by {by}, mobike is {role}", result)
        assert (result.lost, result.duplicates) == (0, 0)


def test_a_libreswan_gateway_follows_our_client(tmp_path: Path) -> None:
    # libreswan believes that it is itself behind a NAT if told to encapsulate always, and ignores moves then.
    conn = responder(encapsulation="auto")
    with Rig(nat=(UP1, UP2)) as rig, client_of_libreswan(rig, tmp_path, conn) as (client, _):
        before = client.wait_up()
        assert before.sa.mobike
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(10)
            rig.link_down(rig.client, UP1.device)
            client.wait_sa(lambda one: one.sa.local.startswith(f"{UP2.address}:"), "we are on uplink 2")
            pinger.wait_replies(20)
            result = pinger.stop()
        told("our client moves, libreswan is gateway", result)
        after = client.wait_up()
        assert (after.sa.id, after.sa.moves) == (before.sa.id, 1)
        assert after.children[0].id == before.children[0].id
        assert result.lost <= MOST_LOST


@pytest.mark.thorough
def test_our_gateway_follows_a_libreswan_client(tmp_path: Path) -> None:
    with Rig() as rig, gateway_of_libreswan(rig, tmp_path) as (gateway, _):
        before = gateway.wait_up()
        assert before.sa.mobike
        with rig.pinger(rig.client, INNER, interval=0.05) as pinger:
            pinger.wait_replies(10)
            # It looks at addresses, not at links.
            rig.addr_del(rig.client, UP1.device, UP1.address)
            moved = gateway.wait_sa(
                lambda one: one.sa.remote.startswith(f"{UP2.address}:"), "the client is on uplink 2"
            )
            pinger.wait_replies(10)
            result = pinger.stop()
        told("a libreswan client moves", result)
        assert moved.sa.id == before.sa.id


@pytest.mark.thorough
@pytest.mark.parametrize("role", ROLES)
def test_a_nat_between_them_is_no_obstacle(tmp_path: Path, role: str) -> None:
    with Rig(nat=(UP1, UP2)) as rig, ROLES[role](rig, tmp_path) as (ours, _):
        ours.wait_up()
        assert rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0


@pytest.mark.thorough
def test_a_wrong_key_is_refused(tmp_path: Path) -> None:
    config = mobike_client(GW1.address, links=UPLINK_1_FIRST, esp=[ESP_WITH_PFS], psk="another secret of tests")
    with (
        Rig() as rig,
        Pluto(rig.gateway, tmp_path / "gateway", {NAME: responder()}, secrets=secrets()) as pluto,
        Mobike(rig, rig.client, tmp_path / "client", config) as client,
    ):
        assert "peer refused our authentication" in client.wait_event("connect-failed").text
        pluto.wait_states(lambda states: states == [], "libreswan keeps nothing of it")
        assert client.ike_sas() == []
