"""The path MTU is learned anew after a move: from the link itself at one end, from a router's ICMP at the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.path_mtu import NARROW, passes, told_limit
from tests.interop.rig import (
    GW1,
    INNER,
    UP1,
    UP2,
    Mobike,
    Rig,
    mobike_client,
    mobike_gateway,
    requires_rig,
    until,
)
from tests.interop.tunnels import UPLINK_1_FIRST, host

pytestmark = [pytest.mark.interop, requires_rig]


@pytest.mark.req("A4-1")
@pytest.mark.parametrize(("version", "fits"), [(4, 1238), (6, 1218)], ids=["ipv4", "ipv6"])
def test_after_a_move_senders_inside_learn_what_the_new_path_takes(tmp_path: Path, version: int, fits: int) -> None:
    """Around an inner packet: IP 20 or 40, UDP 8, ESP 32 and a trailer that ends on a multiple of four."""
    remote = GW1.address if version == 4 else GW1.address6
    with Rig(ipv6=version == 6) as rig:
        rig.run(rig.router, ["ip", "link", "set", UP2.port, "mtu", str(NARROW)])
        rig.run(rig.client, ["ip", "link", "set", UP2.device, "mtu", str(NARROW)])
        config = mobike_client(remote, links=UPLINK_1_FIRST)
        with (
            Mobike(rig, rig.gateway, tmp_path / "gateway", mobike_gateway()) as gateway,
            Mobike(rig, rig.client, tmp_path / "client", config) as client,
        ):
            inner = client.wait_up().sa.virtual_ips[0]
            assert host(client.wait_up().sa.local) in (UP1.address, UP1.address6)
            until(lambda: passes(rig, rig.client, INNER, 100), "the tunnel carries")
            assert passes(rig, rig.client, INNER, 1400)
            assert passes(rig, rig.gateway, inner, 1400)

            rig.link_down(rig.client, UP1.device)
            client.wait_sa(lambda one: one.sa.moves == 1, "the client moved")
            gateway.wait_sa(lambda one: host(one.sa.remote) in (UP2.address, UP2.address6), "the gateway followed")
            until(lambda: passes(rig, rig.client, INNER, 100), "the new path carries")
            # The client's own link is narrow: known before the first packet is lost.
            assert told_limit(rig, rig.client, INNER, 1400) == fits
            assert passes(rig, rig.client, INNER, fits)
            # The gateway's is wide: a router on the way says so.
            until(lambda: told_limit(rig, rig.gateway, inner, 1400) == fits, "the gateway's host learns it too")
            assert passes(rig, rig.gateway, inner, fits)
            assert told_limit(rig, rig.gateway, inner, fits + 1) == fits
            for end in (client, gateway):
                assert f"{NARROW} bytes" in end.wait_event("notice-path_mtu").text
                assert end.counters()["io_inner_too_big"] > 0

            rig.link_up(rig.client, UP1.device)
            client.wait_sa(lambda one: one.sa.moves == 2, "the client went back to the better link")
            gateway.wait_sa(
                lambda one: host(one.sa.remote) in (UP1.address, UP1.address6), "the gateway followed again"
            )
            until(lambda: passes(rig, rig.client, INNER, 100), "the old path carries")
            assert passes(rig, rig.client, INNER, 1400)
            assert passes(rig, rig.gateway, inner, 1400)
