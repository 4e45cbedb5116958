"""Faults that no local address tells of, for our client and for strongSwan's, against the same strongSwan gateway.

Each test prints one line: with both where `make interop` runs it, which waits for what strongSwan makes of it.
strongSwan tests its peer every second here, which it does not do unasked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.interop.rig import (
    GW1,
    GW2,
    INNER,
    UP1,
    UP2,
    Cable,
    Charon,
    PingResult,
    Rig,
    Settings,
    initiator,
    merge,
    psk,
    requires_rig,
    requires_strongswan,
    responder,
)
from tests.interop.tunnels import client_of_strongswan, host

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

INTERVAL = 0.02
"""Seconds between pings."""

STRONGSWAN_PATIENCE = 8.0
"""Seconds after which we stop waiting for strongSwan's pings: some of these faults it does not notice."""

TESTS_ITS_PEER: Settings = {"connections": {"gw": {"dpd_delay": "1s"}}}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens to a network of a certain kind."""

    name: str
    inflict: Callable[[Rig], None]
    gateway_links: int = 1
    nat: tuple[Cable, ...] = ()

    def rig(self) -> Rig:
        return Rig(gateway_links=self.gateway_links, nat=self.nat)

    def __str__(self) -> str:
        return self.name


def swallow_uplink_1(rig: Rig) -> None:
    cut(rig, UP1, GW1)


def swallow_gateway_1(rig: Rig) -> None:
    cut(rig, UP1, GW1)
    cut(rig, UP2, GW1)


def take_gateway_1_down(rig: Rig) -> None:
    rig.link_down(rig.gateway, GW1.device)


def cut(rig: Rig, uplink: Cable, gateway: Cable) -> None:
    """Both directions, at the router: no host is told of anything."""
    rig.drop(rig.router, src=uplink.address, dst=gateway.address)
    rig.drop(rig.router, src=gateway.address, dst=uplink.address)


Compare: TypeAlias = Callable[[Fault, PingResult], None]

BLACK_HOLE = Fault("uplink 1 a black hole", swallow_uplink_1)
GATEWAY_HOLE = Fault("gateway address 1 a black hole", swallow_gateway_1, gateway_links=2)
GATEWAY_DOWN = Fault("gateway link 1 down", take_gateway_1_down, gateway_links=2)
NAT_FORGETS = Fault("the NAT forgets its mappings", lambda rig: rig.flush_nat(), nat=(UP1, UP2))


@pytest.mark.req("D5.1-1", "M3.5-2", "A5.2-2")
def test_a_black_hole_on_one_uplink_is_left_within_a_second_of_silence(tmp_path: Path, compare: Compare) -> None:
    ours, gateway = with_our_client(BLACK_HOLE, tmp_path)
    assert gateway == UP2.address
    assert ours.longest_silence < 2.0
    compare(BLACK_HOLE, ours)


@pytest.mark.req("D3-2", "M3.5-2", "M3.4-1")
@pytest.mark.parametrize("fault", [GATEWAY_HOLE, GATEWAY_DOWN], ids=str)
def test_a_gateway_with_two_addresses_may_lose_one(tmp_path: Path, compare: Compare, fault: Fault) -> None:
    ours, _ = with_our_client(fault, tmp_path, ends_at=GW2)
    assert ours.longest_silence < 3.0
    compare(fault, ours)


@pytest.mark.req("M3.8-2")
def test_a_nat_that_forgets_its_mappings_under_traffic(tmp_path: Path, compare: Compare) -> None:
    ours, _ = with_our_client(NAT_FORGETS, tmp_path)
    assert ours.longest_silence < 2.0
    compare(NAT_FORGETS, ours)


def with_our_client(fault: Fault, folder: Path, ends_at: Cable = GW1) -> tuple[PingResult, str]:
    """How our client took it, and where the gateway saw it afterwards."""
    with fault.rig() as rig, client_of_strongswan(rig, folder / "ours", liveness="1s") as (client, gateway):
        before = gateway.wait_sa(lambda sa: sa.state == "ESTABLISHED", "the gateway has our client")
        with rig.pinger(rig.client, INNER, interval=INTERVAL) as pinger:
            pinger.wait_replies(30)
            fault.inflict(rig)
            mark = len(pinger.replies())
            pinger.wait_replies(50)
            result = pinger.stop()
        assert len(result.replies) > mark
        (after,) = gateway.list_sas()
        assert after.initiator_spi == before.initiator_spi, "the tunnel lives on, it is not another one"
        assert after.local_host == ends_at.address
        client.wait_sa(lambda one: host(one.sa.remote) == ends_at.address, "our API shows the same")
        assert result.duplicates == 0
        return result, after.remote_host


def with_strongswan(fault: Fault, folder: Path) -> PingResult | None:
    """How strongSwan's client took it; None if no ping came back in time."""
    with fault.rig() as rig, strongswan_pair(rig, folder / "theirs"), rig.pinger(rig.client, INNER, INTERVAL) as pinger:
        pinger.wait_replies(30)
        fault.inflict(rig)
        seen = len(pinger.replies())
        try:
            pinger.wait_replies(50 + seen - len(pinger.replies()), timeout=STRONGSWAN_PATIENCE)
        except TimeoutError:
            return None
        return pinger.stop()


@contextmanager
def strongswan_pair(rig: Rig, folder: Path) -> Iterator[None]:
    with (
        Charon(rig.gateway, folder / "gateway", responder(), secrets=psk()),
        Charon(rig.client, folder / "client", merge(initiator(GW1.address), TESTS_ITS_PEER), secrets=psk()) as client,
    ):
        client.initiate()
        yield


@pytest.fixture
def compare(request: pytest.FixtureRequest, tmp_path: Path) -> Compare:
    """One line for whoever runs this with -s; strongSwan takes its time, and proves nothing of ours."""
    briefly = "not thorough" in request.config.option.markexpr

    def tell(fault: Fault, ours: PingResult) -> None:
        theirs = "" if briefly else f"; strongSwan {account(with_strongswan(fault, tmp_path))}"
        print(f"{fault}: mobike {account(ours)}{theirs}")

    return tell


def account(result: PingResult | None) -> str:
    if result is None:
        return f"silent for more than {STRONGSWAN_PATIENCE:.0f} s"
    return f"{result.lost} of {result.sent} lost, silence {result.longest_silence:.2f} s"
