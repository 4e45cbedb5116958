"""Our gateway ends, in order or not, and begins again: the kernel carries on meanwhile, and what it has is adopted."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.interop.rig import INNER, Rig, requires_rig, requires_strongswan, until
from tests.lab.ends import INTERVAL_S, nothing_lost, policies, states, tunnel, wait_states, with_strongswan
from tests.lab.esp_capture import captured, never_went_back
from tests.lab.kernel_state import policies as shown_policies
from tests.lab.kernel_state import sas
from tests.lab.stream import streams

pytestmark = [pytest.mark.interop, pytest.mark.kernel_ipsec, requires_rig]

BEAT_S = 1.5
"""Longer than the daemon takes to write down what changed."""


@pytest.mark.thorough
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_no_ping_is_lost_while_our_gateway_begins_again(tmp_path: Path, sign: signal.Signals) -> None:
    with Rig() as rig:
        with tunnel(rig, tmp_path, store=True) as (client, gateway):
            before = client.wait_up()
            with rig.pinger(rig.client, INNER, interval=INTERVAL_S) as pinger:
                pinger.wait_replies(20)
                time.sleep(BEAT_S)
                gateway.restart(sign)
                again = gateway.wait_up()
                pinger.wait_replies(20)
                result = pinger.stop()
            nothing_lost(result)
            after = client.wait_up()
            assert after.sa.id == before.sa.id and client.counters()["ike_sas_down"] == 0
            if sign is signal.SIGTERM:
                assert [child.spi_out for child in again.children] == [child.spi_in for child in before.children]
            wait_states(rig, 2)
            assert gateway.counters()["io_plane_late"] == 0
        assert (states(rig, rig.client), policies(rig, rig.client)) == ([], [])


@pytest.mark.thorough
def test_a_gateway_that_was_killed_goes_on_with_the_very_sas_that_its_kernel_has(tmp_path: Path) -> None:
    with Rig() as rig:
        with tunnel(rig, tmp_path, store=True) as (client, gateway), captured(rig, tmp_path / "esp.pcap") as pcap:
            with streams(rig, str(client.wait_up().sa.virtual_ips[0]), INNER) as both:
                time.sleep(BEAT_S)
                held = sas(rig.gateway)
                begin = both.now()
                gateway.restart(signal.SIGKILL)
                gateway.wait_up()
                both.wait_flow()
                for each in both.account(begin, both.now()):
                    assert not each.lost, "the kernel carries on, whoever is away"
                now = {(sa.spi, sa.source, sa.destination): sa.sent for sa in sas(rig.gateway)}
                before = {(sa.spi, sa.source, sa.destination): sa.sent for sa in held}
                assert now.keys() == before.keys()
                assert all(now[each] >= before[each] for each in before)
                assert sorted(policy.direction for policy in shown_policies(rig.gateway)) == ["fwd", "in", "out"]
            assert client.counters()["ike_sas_down"] == 0
            assert "gone" not in "".join(line for line in gateway.log().splitlines() if "kernel." in line)
        assert never_went_back(pcap)
        assert (states(rig, rig.client), policies(rig, rig.client)) == ([], [])


@pytest.mark.thorough
@requires_strongswan
def test_a_strongswan_client_does_not_notice_that_our_gateway_was_killed(tmp_path: Path) -> None:
    with Rig() as rig, with_strongswan(rig, tmp_path, "gateway", store=True) as (gateway, theirs):
        until(lambda: rig.ping(rig.client, INNER, count=1).lost == 0, "the first ping is answered")
        spis = {sa.spi for sa in sas(rig.client)}
        time.sleep(BEAT_S)
        with captured(rig, tmp_path / "esp.pcap") as pcap, rig.pinger(rig.client, INNER, interval=INTERVAL_S) as pinger:
            pinger.wait_replies(20)
            gateway.restart(signal.SIGKILL)
            gateway.wait_up()
            pinger.wait_replies(20)
            nothing_lost(pinger.stop())
        assert never_went_back(pcap)
        for ns in (rig.client, rig.gateway):
            assert {sa.spi for sa in sas(ns)} == spis
        theirs.rekey_child()
        until(lambda: spis.isdisjoint(sa.spi for sa in sas(rig.gateway)), "both speak of the same IKE SA still")


def test_what_the_kernel_lost_meanwhile_is_made_anew(tmp_path: Path) -> None:
    with Rig() as rig, tunnel(rig, tmp_path, store=True) as (client, gateway):
        old = client.wait_up().children[0].id
        time.sleep(BEAT_S)
        assert gateway.program.stop(signal.SIGKILL) == -signal.SIGKILL
        rig.run(rig.gateway, ["ip", "xfrm", "state", "flush"])
        gateway.restart(signal.SIGKILL)
        client.wait_sa(lambda one: [each.id for each in one.children] not in ([], [old]), "another Child SA")
        until(lambda: rig.ping(rig.client, INNER, count=1).lost == 0, "pings come back")
        wait_states(rig, 2)
