"""A client that sets out before its host has a way: it says so, and is up as soon as there is one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.rig import GW1, UP1, UP2, Mobike, Rig, mobike_client, mobike_gateway, requires_rig
from tests.interop.tunnels import UPLINK_1_FIRST

pytestmark = [pytest.mark.interop, requires_rig]

LONG_S = 6.5
"""By then a message that nobody answers is repeated every five seconds, and seldomer."""
SOON_S = 3.0
"""On a busy machine, too; it takes half a second at most."""


@contextmanager
def setting_out(rig: Rig, folder: Path) -> Iterator[Mobike]:
    with (
        Mobike(rig, rig.gateway, folder / "gateway", mobike_gateway()),
        Mobike(rig, rig.client, folder / "client", mobike_client(GW1.address, links=UPLINK_1_FIRST)) as client,
    ):
        yield client


def is_up_soon(client: Mobike, address: str, began: float) -> None:
    """Where it comes up from. Then it may ask the other link at once whether that works by now."""
    assert f"is up on {address}:" in client.wait_event("sa-up").text
    assert time.monotonic() - began < SOON_S


@pytest.mark.req("M3.1-1")
def test_a_host_without_a_route_says_so_and_is_up_as_soon_as_one_comes(tmp_path: Path) -> None:
    with Rig() as rig:
        rig.link_down(rig.client, UP2.device)
        for table in ("main", str(UP1.table)):
            rig.run(rig.client, ["ip", "-4", "route", "flush", "exact", "default", "table", table])
        with setting_out(rig, tmp_path) as client:
            client.wait_connection(
                lambda one: one.last_error == f"no usable pair: no route to {GW1.address} from {UP1.address} (up1)",
                "it says what it lacks",
            )
            time.sleep(LONG_S)
            began = time.monotonic()
            rig.run(rig.client, ["ip", "route", "add", "default", "via", UP1.via, "dev", UP1.device])
            is_up_soon(client, UP1.address, began)


@pytest.mark.req("M3.1-1")
def test_another_link_that_comes_is_called_over_at_once_though_the_first_is_not_given_up(tmp_path: Path) -> None:
    with Rig() as rig:
        rig.link_down(rig.client, UP2.device)
        rig.drop(rig.client, UP1.address, GW1.address)
        with setting_out(rig, tmp_path) as client:
            time.sleep(LONG_S)
            began = time.monotonic()
            rig.link_up(rig.client, UP2.device)
            is_up_soon(client, UP2.address, began)
            assert "can be used now" in client.events("connecting")[-2].text
