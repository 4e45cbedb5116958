"""Ours and strongSwan, the kernel's ESP at both ends: traffic, new keys by either, a move, in both roles."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import INNER, UP1, UP2, Rig, requires_rig, requires_strongswan, until
from tests.lab.ends import (
    INTERVAL_S,
    child_replaced,
    keys_replaced,
    nothing_lost,
    states,
    wait_states,
    with_strongswan,
)

pytestmark = [pytest.mark.interop, pytest.mark.kernel_ipsec, requires_rig, requires_strongswan]

ROLES = ("client", "gateway")


@pytest.mark.parametrize("role", ROLES)
def test_no_ping_is_lost_while_both_ends_replace_both_kinds_of_keys(tmp_path: Path, role: str) -> None:
    with Rig() as rig, with_strongswan(rig, tmp_path, role) as (ours, theirs):
        until(lambda: rig.ping(rig.client, INNER, count=1).lost == 0, "the first ping is answered")
        with rig.pinger(rig.client, INNER, interval=INTERVAL_S) as pinger:
            pinger.wait_replies(20)
            for by in (ours, theirs):
                child_replaced(ours, by)
                pinger.wait_replies(10)
                keys_replaced(ours, by)
                pinger.wait_replies(10)
            result = pinger.stop()
        nothing_lost(result)
        wait_states(rig, 2)


@pytest.mark.parametrize("role", ROLES)
def test_the_tunnel_moves_when_its_uplink_goes(tmp_path: Path, role: str) -> None:
    with Rig() as rig, with_strongswan(rig, tmp_path, role):
        until(lambda: rig.ping(rig.client, INNER, count=1).lost == 0, "the first ping is answered")
        rig.link_down(rig.client, UP1.device)
        until(lambda: UP2.address in "".join(states(rig, rig.gateway)), "the gateway sends to the other uplink")
        until(lambda: rig.ping(rig.client, INNER, count=1).lost == 0, "pings come back")
        nothing_lost(rig.ping(rig.client, INNER, count=20, interval=0.02))
        for ns in (rig.client, rig.gateway):
            until(lambda ns=ns: UP1.address not in "".join(states(rig, ns)), "nothing is left")  # type: ignore[misc]
