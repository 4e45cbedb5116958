"""Our daemon ends and begins again under a strongSwan peer, which sees nothing of it: same SAs, pings go on."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.interop.rig import (
    GW1,
    INNER,
    UP1,
    UP2,
    Charon,
    Mobike,
    Rig,
    initiator,
    mobike_client,
    mobike_gateway,
    psk,
    requires_rig,
    requires_strongswan,
    responder,
)
from tests.interop.tunnels import UPLINK_1_FIRST, told

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

BEAT_S = 1.5
"""Longer than the daemon takes to write down what changed."""


@pytest.mark.req("M3.2-3")
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_pings_of_a_strongswan_client_go_on_when_our_gateway_begins_again(tmp_path: Path, sign: signal.Signals) -> None:
    config = mobike_gateway() | {"store": {"file": "sas.db", "every": "200ms"}}
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", config) as gateway,
        Charon(rig.client, tmp_path / "client", initiator(GW1.address), secrets=psk()) as charon,
    ):
        charon.initiate()
        before = charon.wait_sa(lambda sa: sa.state == "ESTABLISHED", "the client is up")
        ours = gateway.wait_up()
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(50)
            time.sleep(BEAT_S)
            gateway.restart(sign)
            pinger.wait_replies(50)
            result = pinger.stop()
        told(f"strongSwan to mobike, {sign.name} and start", result)
        assert result.duplicates == 0
        (after,) = charon.list_sas()
        assert (after.initiator_spi, after.responder_spi) == (before.initiator_spi, before.responder_spi)
        again = gateway.wait_up()
        assert (again.sa.id, again.sa.virtual_ips) == (ours.sa.id, ours.sa.virtual_ips)
        assert gateway.counters()["ike_init_answered"] == 0
        # It moves as before.
        rig.link_down(rig.client, UP1.device)
        gateway.wait_sa(lambda one: one.sa.remote.startswith(f"{UP2.address}:"), "the client is followed")
        assert rig.ping(rig.client, INNER, count=20, interval=0.02).lost == 0


@pytest.mark.req("M3.2-3")
def test_our_client_begins_again_on_its_other_uplink_and_strongswan_follows(tmp_path: Path) -> None:
    """The address it had is gone when it comes back: it moves the SA that it still has."""
    config = mobike_client(GW1.address, links=UPLINK_1_FIRST) | {"store": {"file": "sas.db"}}
    with (
        Rig() as rig,
        Charon(rig.gateway, tmp_path / "gateway", responder(), secrets=psk()) as charon,
        Mobike(rig, rig.client, tmp_path / "client", config) as client,
    ):
        ours = client.wait_up()
        before = charon.wait_sa(lambda sa: sa.state == "ESTABLISHED", "the client is up")
        assert rig.ping(rig.client, INNER, count=20, interval=0.02).lost == 0
        assert client.program.stop() == 0
        rig.link_down(rig.client, UP1.device)
        client.restart()
        again = client.wait_sa(lambda one: one.sa.local.startswith(f"{UP2.address}:"), "it uses the other uplink")
        assert again.sa.id == ours.sa.id
        after = charon.wait_sa(lambda sa: sa.remote_host == UP2.address, "strongSwan follows")
        assert (after.initiator_spi, after.responder_spi) == (before.initiator_spi, before.responder_spi)
        assert rig.ping(rig.client, INNER, count=20, interval=0.02).lost == 0
