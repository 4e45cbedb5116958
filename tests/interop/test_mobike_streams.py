"""A firewall lets no UDP pass: our client goes on in a TCP stream (RFC 9329), and comes home. Ours at both ends."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.rig import (
    GW1,
    INNER,
    UP1,
    UP2,
    Cable,
    Mobike,
    PingResult,
    Rig,
    Toml,
    mobike_client,
    mobike_gateway,
    requires_rig,
)
from tests.interop.rig.waiting import PATIENCE
from tests.interop.tunnels import UPLINK_1_FIRST, host, told

pytestmark = [pytest.mark.interop, requires_rig]

INTERVAL = 0.02
LONGEST_SEARCH = 3.0
"""Seconds from the last datagram to the first packet in the stream."""
AWHILE = 50
"""Pings."""
PROBED: dict[str, Toml] = {"probe_interval": "200ms"}
"""Path probes find out when UDP passes again: when the last 32 of them had their echo."""
HOME_WITHIN = 60.0
TESTED: dict[str, Toml] = {"extensions": [], "retest": {"wanted": "1s"}}
"""As with a peer that knows none."""


@contextmanager
def both(rig: Rig, folder: Path, **connection: Toml) -> Iterator[tuple[Mobike, Mobike]]:
    """Our gateway and our client; either takes streams."""
    store: dict[str, Toml] = {"store": {"file": "sas.db", "every": "200ms"}}
    called = mobike_gateway(transport="auto") | store
    calling = mobike_client(GW1.address, links=UPLINK_1_FIRST, transport="auto", **connection)
    with (
        Mobike(rig, rig.gateway, folder / "gateway", called) as gateway,
        Mobike(rig, rig.client, folder / "client", calling) as client,
    ):
        client.wait_up()
        yield client, gateway


def wait_carrier(transport: str, *ends: Mobike, timeout: float = PATIENCE) -> None:
    for end in ends:
        end.wait_sa(
            lambda one: one.sa.transport == transport and one.sa.state == "established", f"on {transport}", timeout
        )


def pings(rig: Rig, count: int) -> PingResult:
    with rig.pinger(rig.client, INNER, interval=INTERVAL) as pinger:
        pinger.wait_replies(count)
        return pinger.stop()


def come_home(rig: Rig, client: Mobike, gateway: Mobike, what: str) -> None:
    """UDP passes again: not one packet is lost on the way."""
    with rig.pinger(rig.client, INNER, interval=INTERVAL) as pinger:
        pinger.wait_replies(AWHILE)
        rig.heal(rig.router)
        wait_carrier("udp", client, gateway, timeout=HOME_WITHIN)
        pinger.wait_replies(AWHILE)
        result = pinger.stop()
    told(f"{what}, home again", result)
    assert result.lost == 0


@pytest.mark.parametrize(
    ("nat", "ways"),
    [
        pytest.param((), PROBED, id="no NAT-path probes"),
        pytest.param((UP1, UP2), TESTED, id="NAT-tests"),
        pytest.param((), TESTED, id="no NAT-tests", marks=pytest.mark.thorough),
        pytest.param((UP1, UP2), PROBED, id="NAT-path probes", marks=pytest.mark.thorough),
    ],
)
def test_a_tunnel_leaves_a_network_that_drops_udp_in_a_stream_and_comes_home(
    tmp_path: Path, nat: tuple[Cable, ...], ways: dict[str, Toml]
) -> None:
    with Rig(nat=nat) as rig, both(rig, tmp_path, **ways) as (client, gateway):
        before = client.wait_up().sa
        assert before.transport == "udp"
        with rig.pinger(rig.client, INNER, interval=INTERVAL) as pinger:
            pinger.wait_replies(AWHILE)
            rig.drop_udp(rig.router)
            wait_carrier("tcp", client, gateway)
            pinger.wait_replies(AWHILE)
            result = pinger.stop()
        told("into a stream", result)
        assert result.longest_silence < LONGEST_SEARCH
        assert pings(rig, AWHILE).lost == 0
        after = client.wait_up()
        assert (after.sa.id, host(after.sa.local)) == (before.id, UP1.address)
        assert "TCP" in after.why
        come_home(rig, client, gateway, "the tunnel")
        assert client.wait_up().sa.id == before.id
        counted = client.counters()
        assert (counted["io_streams_opened"], counted["ike_streams_lost"]) == (1, 0)


def test_a_client_behind_such_a_firewall_sets_up_in_a_stream_and_comes_home(tmp_path: Path) -> None:
    with Rig() as rig:
        rig.drop_udp(rig.router)
        with both(rig, tmp_path, **TESTED) as (client, gateway):
            wait_carrier("tcp", client, gateway)
            assert pings(rig, AWHILE).lost == 0
            time.sleep(2)
            assert client.wait_up().sa.moves == 0, "it stays while UDP is silent"
            come_home(rig, client, gateway, "set up in a stream")


@pytest.mark.parametrize(
    ("who", "sign"),
    [
        ("client", signal.SIGKILL),
        ("gateway", signal.SIGTERM),
        pytest.param("client", signal.SIGTERM, marks=pytest.mark.thorough),
        pytest.param("gateway", signal.SIGKILL, marks=pytest.mark.thorough),
    ],
)
def test_an_end_that_begins_again_goes_on_in_another_stream(tmp_path: Path, who: str, sign: signal.Signals) -> None:
    with Rig() as rig, both(rig, tmp_path, **PROBED) as (client, gateway):
        rig.drop_udp(rig.router)
        wait_carrier("tcp", client, gateway)
        with rig.pinger(rig.client, INNER, interval=INTERVAL) as pinger:
            before = client.wait_up().sa
            time.sleep(0.5)
            (client if who == "client" else gateway).restart(sign)
            pinger.wait_replies(AWHILE)
            result = pinger.stop()
        told(f"{who}, {sign.name} in a stream", result)
        assert result.duplicates == 0
        wait_carrier("tcp", client, gateway)
        assert client.wait_up().sa.id == before.id
        come_home(rig, client, gateway, f"{who}, {sign.name}")
