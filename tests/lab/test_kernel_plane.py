"""Two daemons of ours whose ESP is the kernel's: set up, new keys under traffic, moves, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import INNER, UP1, UP2, Rig, requires_rig, until
from tests.lab.ends import (
    INTERVAL_S,
    child_replaced,
    keys_replaced,
    nothing_lost,
    policies,
    states,
    tunnel,
    wait_at,
    wait_states,
)

pytestmark = [pytest.mark.interop, pytest.mark.kernel_ipsec, requires_rig]


def test_a_tunnel_comes_up_carries_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Rig() as rig:
        with tunnel(rig, tmp_path) as (client, _):
            wait_states(rig, 2)
            for ns in (rig.client, rig.gateway):
                assert len(policies(rig, ns)) == 3
            nothing_lost(rig.ping(rig.client, INNER, count=20, interval=0.02))
            child = client.wait_up().children[0]
            # Where a reply comes late, ping sends one more.
            assert child.packets_out >= child.packets_in >= 20
            assert "espinudp" not in "".join(states(rig, rig.client)), "there is no NAT"
        for ns in (rig.client, rig.gateway):
            assert (states(rig, ns), policies(rig, ns)) == ([], [])


@pytest.mark.parametrize("nat", [False, True], ids=["plain", "nat"])
def test_no_ping_is_lost_while_both_ends_replace_both_kinds_of_keys(tmp_path: Path, nat: bool) -> None:
    with Rig(nat=(UP1, UP2) if nat else ()) as rig, tunnel(rig, tmp_path) as (client, gateway):
        assert ("espinudp" in "".join(states(rig, rig.client))) is nat
        with rig.pinger(rig.client, INNER, interval=INTERVAL_S) as pinger:
            pinger.wait_replies(20)
            for by in (client, gateway, client, gateway):
                child_replaced(client, by)
                pinger.wait_replies(10)
                keys_replaced(client, by)
                pinger.wait_replies(10)
            result = pinger.stop()
        nothing_lost(result)
        wait_states(rig, 2)


def test_the_tunnel_moves_when_its_uplink_goes_and_when_it_comes_back(tmp_path: Path) -> None:
    with Rig() as rig, tunnel(rig, tmp_path) as (client, gateway):
        with rig.pinger(rig.client, INNER, interval=INTERVAL_S) as pinger:
            pinger.wait_replies(20)
            rig.link_down(rig.client, UP1.device)
            wait_at(gateway, UP2.address)
            pinger.wait_replies(20)
            rig.link_up(rig.client, UP1.device)
            wait_at(gateway, UP1.address)
            pinger.wait_replies(20)
            result = pinger.stop()
        print(f"two moves: {result.lost} of {result.sent} lost, silence {result.longest_silence:.3f} s")
        assert result.longest_silence < 1.0
        assert client.wait_up().sa.moves == 2
        wait_states(rig, 2)
        for ns in (rig.client, rig.gateway):
            assert UP2.address not in "".join(states(rig, ns)) + "".join(policies(rig, ns))


def test_a_move_behind_a_nat_puts_esp_into_udp_and_back(tmp_path: Path) -> None:
    with Rig(nat=(UP2,)) as rig, tunnel(rig, tmp_path) as (_, gateway):
        rig.link_down(rig.client, UP1.device)
        until(lambda: "espinudp" in "".join(states(rig, rig.gateway)), "ESP in UDP")
        nothing_lost(rig.ping(rig.client, INNER, count=20, interval=0.02))
        rig.link_up(rig.client, UP1.device)
        wait_at(gateway, UP1.address)
        until(lambda: "espinudp" not in "".join(states(rig, rig.gateway)), "ESP without UDP")
        nothing_lost(rig.ping(rig.client, INNER, count=20, interval=0.02))
