"""A router says that the peer cannot be reached (ICMP): our client tests at once, and moves. Strangers move nothing."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.interop.rig import GW1, INNER, UP1, UP2, Mobike, Rig, requires_rig, requires_strongswan, until
from tests.interop.tunnels import client_of_strongswan, host

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

IDLE: dict[str, str] = {"liveness": "10m", "detection_floor": "0", "nat_keepalive": "0"}
"""Nothing is sent unasked, and nobody watches whether data gets an echo."""

NEIGHBOUR = 3.0
"""Seconds until Linux gives a neighbour up."""
FORGER = Path(__file__).with_name("rig") / "forge_icmp.py"
MARKER = bytes(4)
NATT_PORT = 4500


@pytest.mark.req("M3.5-1", "D5.1-1")
@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_an_idle_client_of_strongswan_tests_within_a_second_of_the_news_and_moves(tmp_path: Path, version: int) -> None:
    first, then, peer = (
        (UP1.address, UP2.address, GW1.address) if version == 4 else (UP1.address6, UP2.address6, GW1.address6)
    )
    families = [f"ipv{version}"]
    with (
        Rig(ipv6=version == 6) as rig,
        client_of_strongswan(rig, tmp_path, remote=peer, families=families, **IDLE) as (client, gateway),
    ):
        gateway.wait_sa(lambda sa: sa.remote_host == first, "the gateway sees uplink 1")
        rig.unreachable(first, peer)
        time.sleep(1)
        assert client.counters()["ike_hints_followed"] == 0, "nothing was sent, so nobody had anything to say"

        began = time.monotonic()
        with rig.pinger(rig.client, INNER, count=1):
            until(lambda: client.counters()["ike_hints_followed"] == 1, "the news is followed", 1.0)
            tested = time.monotonic() - began
            moved = client.wait_sa(lambda one: one.sa.moves == 1, "moved to uplink 2", 5.0)
            took = time.monotonic() - began
        print(f"\nunreachable, IPv{version}: test after {1e3 * tested:.0f} ms, moved after {1e3 * took:.0f} ms")
        assert tested < 1 and took < 3
        assert host(moved.sa.local) == then
        gateway.wait_sa(lambda sa: sa.remote_host == then, "the gateway followed to uplink 2")
        assert rig.ping(rig.client, INNER, count=5).lost == 0


@pytest.mark.req("M3.5-1")
def test_a_router_that_is_gone_without_a_word_is_told_of_by_our_own_kernel(tmp_path: Path) -> None:
    with Rig() as rig, client_of_strongswan(rig, tmp_path, **IDLE) as (client, gateway):
        gateway.wait_sa(lambda sa: sa.remote_host == UP1.address, "the gateway sees uplink 1")
        rig.hush(UP1)
        began = time.monotonic()
        with rig.pinger(rig.client, INNER, count=1):
            # It asks for its neighbour three times, a second apart, before it says so.
            until(lambda: client.counters()["ike_hints_followed"] == 1, "the news is followed", NEIGHBOUR + 1.0)
            client.wait_sa(lambda one: one.sa.moves == 1, "moved to uplink 2")
            took = time.monotonic() - began
        print(f"\nneighbour gone: moved after {1e3 * took:.0f} ms")
        gateway.wait_sa(lambda sa: sa.remote_host == UP2.address, "the gateway followed to uplink 2")


@pytest.mark.req("M3.5-1")
def test_forged_errors_move_nothing_and_those_that_quote_nothing_of_ours_are_not_even_followed(tmp_path: Path) -> None:
    with Rig() as rig, client_of_strongswan(rig, tmp_path, **IDLE) as (client, _):
        before = client.wait_up()
        spis = [int(spi, 16) for spi in (before.sa.spi_i, before.sa.spi_r)]
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(20)
            sent = client.counters()
            # From the router, about the pair in use: wrong SPIs, too short a quote, ESP that nobody sent, a keepalive.
            wrong = ike_header(spis[0] ^ 1 << 60, spis[1])
            for quoted in (wrong, ike_header(spis[0], spis[1])[:20], bytes.fromhex("deadbeef00000001"), b"\xff"):
                forge(rig, quoted, times=100)
            until(lambda: heard(client, sent) == 400, "all of them came")
            pinger.wait_replies(20)
            after = client.counters()
            assert after["ike_hints_followed"] == 0
            assert after["ike_sent"] == sent["ike_sent"], "not a word is said because of them"

            # Somebody on the way who has seen our SPIs: a test, answered at once, and no more of them for ten seconds.
            forge(rig, ike_header(spis[0], spis[1]), times=500)
            until(lambda: heard(client, sent) == 900, "all of them came")
            until(lambda: client.counters()["ike_sent"] == sent["ike_sent"] + 1, "one test")
            pinger.wait_replies(20)
            result = pinger.stop()
        assert client.counters()["ike_hints_followed"] == 1
        assert result.lost == 0, "the errors of datagrams that nobody sent cost no datagram"
        assert client.wait_up().sa.moves == 0
        assert client.events("path-silent") == []


def ike_header(spi_i: int, spi_r: int) -> bytes:
    """An INFORMATIONAL request of the initiator behind the marker."""
    spis = spi_i.to_bytes(8, "big") + spi_r.to_bytes(8, "big")
    return MARKER + spis + bytes((46, 0x20, 37, 0x08)) + (2).to_bytes(4, "big") + (80).to_bytes(4, "big")


def forge(rig: Rig, quoted: bytes, *, times: int) -> None:
    about = (UP1.address, GW1.address, str(NATT_PORT), str(times), quoted.hex())
    rig.run(rig.router, [sys.executable, str(FORGER), *about])


def heard(client: Mobike, before: dict[str, int]) -> int:
    """ICMP errors that came to our sockets since then."""
    now = client.counters()
    return sum(now[name] - before[name] for name in ("io_icmp_unreachable", "io_icmp_ignored"))
