"""Our daemon ends, in order or not, and begins again: the kernel carries on meanwhile, and what it has is adopted.

After a crash the peer is asked first, and then the Child SA gets new keys: until then traffic goes over the old SAs.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.rig import (
    GW1,
    INNER,
    Mobike,
    Namespace,
    Rig,
    mobike_client,
    mobike_gateway,
    requires_rig,
    requires_strongswan,
    until,
)
from tests.interop.tunnels import UPLINK_1_FIRST
from tests.lab.ends import (
    INTERVAL_S,
    STORE,
    bare,
    in_kernel,
    nothing_lost,
    policies,
    states,
    tunnel,
    wait_states,
    with_strongswan,
)
from tests.lab.esp_capture import captured, never_went_back, sequences
from tests.lab.kernel_state import SaShown, sas
from tests.lab.kernel_state import policies as shown_policies
from tests.lab.stream import RATE, streams

pytestmark = [pytest.mark.interop, pytest.mark.kernel_ipsec, pytest.mark.timeout(600), requires_rig]

BEAT_S = 1.5
"""Longer than the daemon takes to write down what changed."""
SEARCH_S = 8.0
"""Long enough for a client to try each of its ways more than once, and to stay there longer than packets are late."""
SITE = "10.99.0.1"
"""Inner address of a client that needs none of its gateway: it stays when the process goes."""


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


@dataclass(frozen=True, slots=True)
class Killed:
    """What the kernel of a daemon had when that was killed."""

    daemon: Mobike
    ns: Namespace
    held: dict[int, SaShown]
    """By SPI."""

    def is_adopted(self) -> None:
        """It begins again with the very SAs that are there."""
        told = self.daemon.wait_event("child-up").text
        assert all(f"{spi:08x}" in told for spi in self.held), f"{told}: not {self.held}"

    def has_new_keys(self) -> None:
        """Then they are replaced, and nothing of them is left."""
        try:
            until(lambda: len(sas(self.ns)) == 2 and not self.held.keys() & {sa.spi for sa in sas(self.ns)}, "new keys")
        except TimeoutError as late:
            late.add_note(f"{self.ns} had {self.held}, and has {sas(self.ns)}")
            raise
        assert sorted(policy.direction for policy in shown_policies(self.ns)) == ["fwd", "in", "out"]

    def carried_on(self, pcap: Path) -> None:
        """Its kernel sent meanwhile, over the same SA, and no number twice."""
        assert never_went_back(pcap)
        numbers = sequences(pcap)
        for sa in filter(lambda sa: sa.sent, self.held.values()):
            assert numbers[sa.spi][-1] > sa.sent + RATE / 10, f"nothing was sent over {sa} any more"


@contextmanager
def _killed(daemon: Mobike, ns: Namespace) -> Iterator[Killed]:
    """It begins again when this is entered."""
    time.sleep(BEAT_S)
    made = Killed(daemon, ns, {sa.spi: sa for sa in sas(ns)})
    daemon.restart(signal.SIGKILL)
    yield made
    assert daemon.wait_up().sa.state == "established"
    assert "gone" not in "".join(line for line in daemon.log().splitlines() if "kernel." in line)


@pytest.mark.thorough
@pytest.mark.parametrize("role", ["gateway", "client"])
def test_a_daemon_that_was_killed_goes_on_with_the_very_sas_that_its_kernel_has(tmp_path: Path, role: str) -> None:
    with Rig() as rig:
        pcap = tmp_path / "esp.pcap"
        with _site(rig, tmp_path) as (client, gateway), captured(rig, pcap), streams(rig, SITE, INNER) as both:
            begin = both.now()
            dies, lives = (gateway, client) if role == "gateway" else (client, gateway)
            with _killed(dies, rig.gateway if role == "gateway" else rig.client) as killed:
                killed.is_adopted()
                killed.has_new_keys()
                both.wait_flow()
            for each in both.account(begin, both.now()):
                assert not each.lost, "the kernel carries on, whoever is away"
            assert not any(each.duplicates for each in both.both())
            assert lives.counters()["ike_sas_down"] == 0
            _goes_down(rig, client)
        killed.carried_on(pcap)


@pytest.mark.thorough
def test_while_our_gateway_is_away_a_way_that_fails_for_a_moment_costs_no_more_than_that_moment(tmp_path: Path) -> None:
    """Then the client looks for a gateway everywhere, and its traffic goes ahead. The gateway's kernel sends to where
    the client was."""
    with Rig() as rig, _site(rig, tmp_path) as (client, gateway), streams(rig, SITE, INNER) as both:
        time.sleep(BEAT_S)
        begin = both.now()
        gateway.end(signal.SIGKILL)
        before = both.now()
        rig.drop_between(rig.router, rig.uplinks[0].address, GW1.address)
        client.wait_event("moving")
        rig.heal(rig.router)
        after = both.now()
        time.sleep(SEARCH_S)
        gateway.begin_again()
        gateway.wait_up()
        both.wait_flow()
        for each, first, last in zip(both.account(begin, both.now()), before, after, strict=True):
            assert all(first <= number <= last for number in each.lost), (first, each.lost, last)
        assert len(client.events("moving")) > 1, "it went elsewhere, and back"
        assert client.counters()["ike_sas_down"] == 0
        _goes_down(rig, client)


@contextmanager
def _site(rig: Rig, folder: Path) -> Iterator[tuple[Mobike, Mobike]]:
    """A client with an inner address of its own, and its gateway; SAs of both survive them."""
    rig.run(rig.client, ["ip", "address", "add", f"{SITE}/32", "dev", "lo"])
    inside = [f"{SITE}/32"]
    answers = in_kernel(mobike_gateway(pool=None, remote_ts=inside)) | STORE
    calls = bare(mobike_client(GW1.address, links=UPLINK_1_FIRST, virtual_ip=None, local_ts=inside)) | STORE
    with (
        Mobike(rig, rig.gateway, folder / "gateway", answers) as gateway,
        Mobike(rig, rig.client, folder / "client", calls) as client,
    ):
        gateway.wait_up()
        client.wait_up()
        yield client, gateway


@pytest.mark.thorough
def test_a_client_that_was_killed_has_its_inner_address_and_its_sas_again(tmp_path: Path) -> None:
    with Rig() as rig, tunnel(rig, tmp_path, store=True, client_store=True) as (client, gateway):
        until(lambda: rig.ping(rig.client, INNER, count=1).lost == 0, "the first ping is answered")
        address = client.wait_up().sa.virtual_ips
        with _killed(client, rig.client) as killed:
            killed.is_adopted()
            until(lambda: rig.ping(rig.client, INNER, count=1).lost == 0, "pings come back")
            killed.has_new_keys()
        nothing_lost(rig.ping(rig.client, INNER, count=20, interval=0.02))
        assert client.wait_up().sa.virtual_ips == address
        assert gateway.counters()["ike_sas_down"] == 0
        _goes_down(rig, client)


def _goes_down(rig: Rig, client: Mobike) -> None:
    """Nobody wants the tunnel any more: nothing is left in either kernel."""
    client.post("connections/net/down")
    for ns in (rig.client, rig.gateway):
        until(lambda ns=ns: (states(rig, ns), policies(rig, ns)) == ([], []), f"nothing is left in {ns}")  # type: ignore[misc]


@pytest.mark.thorough
@requires_strongswan
def test_a_strongswan_client_does_not_notice_that_our_gateway_was_killed(tmp_path: Path) -> None:
    with Rig() as rig, with_strongswan(rig, tmp_path, "gateway", store=True) as (gateway, theirs):
        until(lambda: rig.ping(rig.client, INNER, count=1).lost == 0, "the first ping is answered")
        (before,) = theirs.list_sas()
        pcap = tmp_path / "esp.pcap"
        with captured(rig, pcap), rig.pinger(rig.client, INNER, interval=INTERVAL_S) as pinger:
            pinger.wait_replies(20)
            with _killed(gateway, rig.gateway) as killed:
                killed.is_adopted()
                killed.has_new_keys()
                pinger.wait_replies(20)
            nothing_lost(pinger.stop())
        assert never_went_back(pcap)
        (after,) = theirs.list_sas()
        assert (after.unique_id, after.initiator_spi) == (before.unique_id, before.initiator_spi)
        spis = {sa.spi for sa in sas(rig.gateway)}
        # strongSwan receives by the old one for some seconds more.
        until(lambda: {sa.spi for sa in sas(rig.client)} == spis, "both kernels have the same SAs")
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
