"""A client with two default routes and nobody's rules, as most hosts have it: one story for every data plane."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.interop.rig import (
    DEVICE,
    GW1,
    INNER,
    UP1,
    UP2,
    Mobike,
    Rig,
    Toml,
    mobike_client,
    mobike_gateway,
    until,
)
from tests.interop.shielded import works
from tests.interop.tunnels import UPLINK_1_FIRST, host

Plane = Callable[[Mapping[str, Toml]], Mapping[str, Toml]]


def _rules(rig: Rig) -> list[str]:
    """Those that are not the kernel's own."""
    shown = rig.run(rig.client, ["ip", "rule"]).stdout.splitlines()
    return [line for line in shown if line.split(":")[0] not in ("0", "32766", "32767")]


def _way(rig: Rig, to: str, source: str | None = None) -> str:
    return rig.run(rig.client, ["ip", "route", "get", to, *(() if source is None else ("from", source))]).stdout


def outlives_its_better_uplink(rig: Rig, folder: Path, plane: Plane) -> None:
    """The better uplink dies where nobody sees it; what is sent from the other's address must not go there."""
    for cable in (UP1, UP2):
        rig.run(rig.client, ["ip", "rule", "del", "from", cable.address, "table", str(cable.table)])
    assert UP1.device in _way(rig, GW1.address, UP2.address), "the kernel alone sends all by the first"
    client = Mobike(rig, rig.client, folder / "client", plane(mobike_client(GW1.address, links=UPLINK_1_FIRST)))
    with Mobike(rig, rig.gateway, folder / "gateway", plane(mobike_gateway())) as gateway:
        with client:
            sa = client.wait_up().sa
            assert host(sa.local) == UP1.address
            works(rig)
            until(lambda: UP2.device in _way(rig, GW1.address, UP2.address), "each address has its own way out")
            rig.hush(UP1)
            gateway.wait_sa(lambda one: host(one.sa.remote) == UP2.address, "the client is at its other uplink")
            works(rig)
            rig.link_down(rig.client, UP1.device)
            inside = _way(rig, INNER)
            assert DEVICE in inside and f"src {sa.virtual_ips[0]}" in inside, "inside nothing has changed"
            works(rig)
            client.restart(signal.SIGKILL)
            client.wait_up()
            works(rig)
        assert _rules(rig) == []
