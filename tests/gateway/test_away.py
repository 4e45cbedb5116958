"""Away by agreement, at a real gateway: what it drops for a peer that is away, and how the peer comes back."""

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

pytest.importorskip("mobike._core", reason="needs the core: this is a real daemon")

from mobike.address import Endpoint, Generation, Nanos
from mobike.address import Path as NetPath
from mobike.commands import SECOND, Away, Move
from mobike.dataplane.operations import MoveSa
from mobike.events import AwayRefused, Moved, WentAway
from mobike.inner.pinger import Pinger
from tests.cli.ends import until
from tests.gateway.rig import BEHIND_GATEWAY, CLIENT, GATEWAY_IP, client, gateway

LEAVES = replace(CLIENT, extensions=("away",))


@pytest.mark.req("D5.4-1")
def test_what_goes_to_a_peer_that_is_away_is_dropped_and_counted_until_it_is_back(tmp_path: Path) -> None:
    with gateway(tmp_path) as home, client("127.0.22.1", "127.0.22.2") as laptop:
        up = laptop.connect(GATEWAY_IP, (home.ike, home.natt), LEAVES)
        laptop.ping()
        laptop.core.submit([Away(up.sa, 3600 * SECOND)])
        assert laptop.wait_for(WentAway).span == 3600 * SECOND
        until(lambda: home.sas()[0]["state"] == "away", "the gateway says so")
        # Uplink is still opened (what was on its way is no loss); the answers stay here.
        inner = up.virtual_ips[0]
        assert isinstance(inner, IPv4Address)
        pinger = Pinger(inner, BEHIND_GATEWAY, 7)
        laptop.core.inner_send([pinger.next(Nanos(0)) for _ in range(5)])
        until(lambda: home.counters()["esp_away"] == 5, "five answers are dropped, with their reason")
        # One exchange, from another address.
        there = NetPath(Endpoint(laptop.addresses[1], laptop.ports[1]), Endpoint(IPv4Address(GATEWAY_IP), home.natt))
        laptop.core.submit([Move(up.sa, there, Generation(1), None), MoveSa(up.sa, there, encap=True)])
        laptop.wait_for(Moved)
        until(lambda: home.sas()[0]["state"] == "established", "the gateway has followed")
        laptop.ping()
        assert home.sas()[0]["virtual_ips"] == [str(inner)]
        assert home.counters()["ike_cookie2_passed"] == 1
        laptop.core.submit([Away(up.sa, 0)])
        assert laptop.wait_for(WentAway).span == SECOND, "nothing is shorter than a second"


def test_a_core_that_cannot_leave_says_why(tmp_path: Path) -> None:
    with gateway(tmp_path) as home, client("127.0.22.1") as laptop:
        up = laptop.connect(GATEWAY_IP, (home.ike, home.natt), CLIENT)
        laptop.core.submit([Away(up.sa, SECOND)])
        assert laptop.wait_for(AwayRefused).why.startswith("not both ends offer this extension")
