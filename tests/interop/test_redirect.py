"""Two gateways of ours, and a client that the first one sends on to the second (RFC 5685): strongSwan, and ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.rig import (
    GW1,
    GW2,
    INNER,
    Cable,
    Charon,
    Mobike,
    Rig,
    Toml,
    initiator,
    mobike_client,
    mobike_gateway,
    psk,
    requires_rig,
    requires_strongswan,
)
from tests.interop.tunnels import UPLINK_1_FIRST, told

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

SECOND_POOL = "10.98.0.0/24"
"""Of the second gateway: both are in one namespace, and routes are by pool."""


def one_of_two(folder: Path, here: Cable, there: Cable, tun: str, more: dict[str, Toml]) -> dict[str, Toml]:
    """A gateway at one of the two addresses, which knows nothing of the other."""
    config = mobike_gateway(**more)
    config["daemon"] = {
        "state_dir": str(folder / "state"),
        "log_level": "debug",
        "log_format": "json",
        "listen": [here.address],
    }
    config["dataplane"] = {"inner": "tun", "tun": tun}
    config["links"] = {"source": "netlink", "rule": [{"match": there.device, "allow": False}]}
    return config


@contextmanager
def two_gateways(
    rig: Rig, folder: Path, *, section: dict[str, Toml] | None = None, **first: Toml
) -> Iterator[tuple[Mobike, Mobike]]:
    """`section`: [redirect] of the first; `first`: keys of its connection."""
    one, other = folder / "one", folder / "other"
    config = one_of_two(one, GW1, GW2, "mobike0", first)
    if section is not None:
        config["redirect"] = section
    with (
        Mobike(rig, rig.gateway, one, config) as sender,
        Mobike(rig, rig.gateway, other, one_of_two(other, GW2, GW1, "mobike1", {"pool": [SECOND_POOL]})) as receiver,
    ):
        yield sender, receiver


@contextmanager
def strongswan(rig: Rig, folder: Path) -> Iterator[Charon]:
    with Charon(rig.client, folder / "client", initiator(GW1.address), secrets=psk()) as charon:
        charon.initiate()
        yield charon


def test_a_strongswan_client_is_sent_on_in_ike_sa_init(tmp_path: Path) -> None:
    section: dict[str, Toml] = {"when": "always", "to": [GW2.address]}
    with (
        Rig(gateway_links=2) as rig,
        two_gateways(rig, tmp_path, section=section) as (one, other),
        strongswan(rig, tmp_path) as charon,
    ):
        theirs = charon.wait_sa(lambda sa: sa.remote_host == GW2.address, "the client is with the second gateway")
        ours = other.wait_up()
        assert (ours.sa.spi_i, ours.sa.spi_r) == (theirs.initiator_spi, theirs.responder_spi)
        assert rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0
        counters = one.counters()
        assert (counters["ike_redirects_sent"], counters["ike_init_answered"]) == (1, 0)


def test_a_strongswan_client_goes_when_its_gateway_is_drained(tmp_path: Path) -> None:
    with Rig(gateway_links=2) as rig, two_gateways(rig, tmp_path) as (one, other), strongswan(rig, tmp_path) as charon:
        one.wait_up()
        assert rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0
        one.put("drain", {"to": [GW2.address]})
        other.wait_up()
        charon.wait_sa(lambda sa: sa.remote_host == GW2.address, "the client is with the second gateway")
        assert "deleted by the peer" in one.wait_event("sa-down").text
        assert rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0
        assert one.connection().ike_sas == 0


def test_our_client_goes_when_its_gateway_is_drained_and_its_tunnel_is_there_all_the_time(tmp_path: Path) -> None:
    config = mobike_client(GW1.address, links=UPLINK_1_FIRST, follow_redirects=[f"{GW2.address}/32"])
    with (
        Rig(gateway_links=2) as rig,
        two_gateways(rig, tmp_path) as (one, other),
        Mobike(rig, rig.client, tmp_path / "client", config) as client,
    ):
        before = client.wait_up()
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(10)
            one.put("drain", {"to": [GW2.address]})
            after = client.wait_sa(lambda one: one.sa.id != before.sa.id and bool(one.children), "another IKE SA")
            client.wait_event("sa-down")
            result = pinger.stop()
        told("drained by mobike", result)
        assert after.sa.remote.startswith(f"{GW2.address}:")
        other.wait_up()
        assert rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0
        assert [each.text for each in client.events("redirected")]
