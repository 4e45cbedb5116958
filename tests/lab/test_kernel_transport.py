"""Ours and strongSwan, transport mode between two hosts, the kernel's ESP at both ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop.rig import (
    GW1,
    UP1,
    Charon,
    Mobike,
    Rig,
    Settings,
    initiator,
    mobike_client,
    mobike_gateway,
    psk,
    requires_rig,
    requires_strongswan,
    responder,
    until,
)
from tests.interop.tunnels import UPLINK_1_FIRST
from tests.lab.ends import INTERVAL_S, PLUGINS, child_replaced, in_kernel, keys_replaced, nothing_lost, policies, states

pytestmark = [pytest.mark.interop, pytest.mark.kernel_ipsec, requires_rig, requires_strongswan]

ROLES = ("client", "gateway")
AWAY = {"virtual_ip": None, "remote_ts": None, "local_ts": None, "pool": None}
"""What tunnels have, and hosts have not."""


def between_hosts(settings: Settings) -> Settings:
    """The same of strongSwan, its Child SA between the two addresses of the path."""
    changed: Any = json.loads(json.dumps(settings))
    child = changed["connections"]["gw"]["children"]["net"]
    for side in ("local_ts", "remote_ts"):
        child.pop(side, None)
    child["mode"] = "transport"
    return dict(changed)


@contextmanager
def with_strongswan(rig: Rig, folder: Path, role: str) -> Iterator[tuple[Mobike, Charon]]:
    """Ours in this role, and strongSwan in the other."""
    if role == "client":
        settings = between_hosts(responder(pool=None))
        config = in_kernel(mobike_client(GW1.address, links=UPLINK_1_FIRST, mode="transport", **AWAY))
        theirs = Charon(rig.gateway, folder / "gateway", settings, secrets=psk(), plugins=PLUGINS)
        with theirs, Mobike(rig, rig.client, folder / "client", config) as ours:
            ours.wait_up()
            yield ours, theirs
        return
    settings = between_hosts(initiator(GW1.address, vips=()))
    config = in_kernel(mobike_gateway(mode="transport", **AWAY))
    theirs = Charon(rig.client, folder / "client", settings, secrets=psk(), plugins=PLUGINS)
    with Mobike(rig, rig.gateway, folder / "gateway", config) as ours, theirs:
        theirs.initiate()
        ours.wait_up()
        yield ours, theirs


@pytest.mark.parametrize("role", ROLES)
def test_two_hosts_ping_each_other_in_transport_mode_while_keys_are_replaced(tmp_path: Path, role: str) -> None:
    with Rig() as rig, with_strongswan(rig, tmp_path, role) as (ours, theirs):
        for ns in (rig.client, rig.gateway):
            assert all("mode transport" in each for each in states(rig, ns)), states(rig, ns)
        at = rig.client if role == "client" else rig.gateway
        assert not any("dir fwd" in each for each in policies(rig, at))
        until(lambda: rig.ping(rig.client, GW1.address, count=1, source=UP1.address).lost == 0, "the first ping")
        with rig.pinger(rig.client, GW1.address, interval=INTERVAL_S, source=UP1.address) as pinger:
            pinger.wait_replies(20)
            for by in (ours, theirs):
                child_replaced(ours, by)
                pinger.wait_replies(10)
                keys_replaced(ours, by)
                pinger.wait_replies(10)
            result = pinger.stop()
        nothing_lost(result)
        carried = ours.wait_up().children[0]
        assert carried.packets_in > 0 and carried.packets_out > 0, "and not in the clear"
