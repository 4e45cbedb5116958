"""What routes into tunnels say of the size of segments, in a namespace of this machine's kernel."""

from __future__ import annotations

import asyncio
import os
import subprocess
from ipaddress import ip_network
from itertools import pairwise

import pytest

from mobike.dataplane.inner_net import Change, InnerRoute
from mobike.dataplane.tun import TUNNEL_TABLE, TunNetwork
from tests.dataplane.xfrm.lab import own_namespace

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="netlink needs root")

ROUTES = [Change(InnerRoute(ip_network(text)), wanted=True) for text in ("10.1.0.0/16", "fd00:1::/64")]


@pytest.mark.parametrize(("told", "says"), [(1400, {"1360", "1340"}), (None, set())])
def test_routes_tell_peers_what_fits_where_the_kernel_would_go_by_the_link_outside(
    told: int | None, says: set[str]
) -> None:
    async def put() -> set[str]:
        network = TunNetwork("lo", told)
        await network.start()
        network.apply(ROUTES)
        await network._queue.join()
        said = _advmss()
        await network.close([Change(each.fact, wanted=False) for each in ROUTES])
        return said

    with own_namespace():
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        assert asyncio.run(put()) == says


def _advmss() -> set[str]:
    shown: list[str] = []
    for family in ("-4", "-6"):
        words = ["ip", family, "route", "show", "table", str(TUNNEL_TABLE)]
        shown += subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return {number for word, number in pairwise(shown) if word == "advmss"}
