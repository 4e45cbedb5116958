"""Daemons that end and begin again, in order or not, here or elsewhere: their IKE SAs go on, and traffic with them."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mobike._core", reason="needs the core: these are real daemons")

from mobike import _core
from mobike.address import Nanos
from mobike.commands import SECOND, Retransmit, SetProfile
from mobike.config import load
from mobike.events import ChildUp, IkeSaResumed
from mobike.gateway.daemon import Daemon
from mobike.gateway.opening import bare
from mobike.inner.pinger import Pinger
from tests.cli.ends import End, restart, two_ends, until
from tests.gateway.rig import BEHIND_GATEWAY, CLIENT, GATEWAY_IP, Client, client, gateway
from tests.gateway.test_life import agree

STORE = '[store]\nfile = "sas.db"\nevery = "100ms"\n'
BOTH = ("gateway", "client")
ELSEWHERE = "127.0.11.2"
PATIENT = replace(CLIENT, retransmit=Retransmit(initial=SECOND // 10, give_up_initiator=60 * SECOND))


def beat(end: End, name: str) -> None:
    """Until what there is has been written down."""
    written = (end.config.parent / f"{name}.db-wal").stat().st_mtime_ns
    until(lambda: (end.config.parent / f"{name}.db-wal").stat().st_mtime_ns >= written, "the store is written")
    time.sleep(0.3)


def sa_of(end: End) -> Any:
    found = end.only_sa()
    return found and {name: found["sa"][name] for name in ("id", "spi_i", "spi_r", "virtual_ips", "peer_id", "role")}


@pytest.mark.req("M3.2-3")
@pytest.mark.parametrize("who", ["gateway", "client"])
@pytest.mark.parametrize("killed", [False, True])
def test_an_end_that_begins_again_has_the_same_sa(tmp_path: Path, who: str, killed: bool) -> None:
    with two_ends(tmp_path, store=BOTH) as ends:
        until(lambda: agree(ends), "both ends agree")
        before = sa_of(ends.client), sa_of(ends.gateway)
        end = getattr(ends, who)
        if killed:
            beat(end, who)
            end.process.kill()
            end.process.wait()
        else:
            assert end.stop() == 0
        restart(end)
        until(lambda: agree(ends), "both ends agree again")
        assert (sa_of(ends.client), sa_of(ends.gateway)) == before
        counters = end.get("counters")["counters"]
        assert (counters["ike_sas_resumed"], counters["ike_sas_up"]) == (1, 0)
        # It moves as before.
        with ends.client.api() as api:
            moved = api.post(f"/api/v1/ike-sas/{before[0]['id']}/move", json={"local": "127.0.13.1"})
            assert moved.status_code == 202, moved.text
        until(lambda: agree(ends) and ends.gateway.only_sa()["sa"]["remote"].startswith("127.0.13.1:"), "it moves")
        assert (sa_of(ends.client), sa_of(ends.gateway)) == before


def through(daemon: Client, pinger: Pinger, count: int, patience: float = 10.0) -> int:
    """So many pings, and how many of them were answered."""
    first = pinger.count
    daemon.core.inner_send([pinger.next(Nanos(0)) for _ in range(count)])
    end = time.monotonic() + patience
    while any(ping.answered is None for ping in pinger.score(first)) and time.monotonic() < end:
        pinger.handle(daemon.core.inner_take(1000), Nanos(1))
        time.sleep(0.005)
    return sum(ping.answered is not None for ping in pinger.score(first))


@pytest.mark.req("M3.2-3")
@pytest.mark.parametrize("killed", [False, True])
def test_traffic_goes_on_through_a_gateway_that_begins_again(tmp_path: Path, killed: bool) -> None:
    with gateway(tmp_path, more=STORE) as host, client("127.0.22.1") as phone:
        up = phone.connect(GATEWAY_IP, (host.ike, host.natt), PATIENT)
        (inner,) = up.virtual_ips
        assert isinstance(inner, IPv4Address)
        pinger = Pinger(inner, BEHIND_GATEWAY, 9)
        assert through(phone, pinger, 500) == 500
        if killed:
            time.sleep(0.5)
            host.end.process.kill()
            host.end.process.wait()
        else:
            assert host.end.stop() == 0
        assert through(phone, pinger, 3, patience=0.1) == 0
        restart(host.end)
        assert through(phone, pinger, 500) == 500
        assert pinger.repeated == 0
        with host.end.api() as api:
            counters = api.get("/api/v1/counters").json()["counters"]
            (sa,) = api.get("/api/v1/ike-sas").json()["items"]
        assert (sa["spi_i"], sa["spi_r"]) == (f"{up.spi_i:016x}", f"{up.spi_r:016x}")
        assert counters["ike_init_answered"] == 0
        assert counters["esp_replay_drops"] == 0
        assert not [event for event in phone.core.take_events(1000) if type(event).__name__ == "IkeSaDown"]


@pytest.mark.req("M3.2-3")
def test_a_client_is_parked_and_goes_on_in_another_core(tmp_path: Path) -> None:
    key = bytes(32)
    with gateway(tmp_path) as host, client("127.0.22.1", store_key=key) as phone:
        up = phone.connect(GATEWAY_IP, (host.ike, host.natt))
        phone.ping(100)
        ((sa, record),) = phone.core.park([(up.sa, b"notes")])
        assert sa == up.sa
        other = _core.Core(
            listen=["127.0.22.1"], ike_port=phone.ports[0], natt_port=phone.ports[1], inner="port", store_key=key
        )
        again = Client(other, phone.addresses, phone.ports, up=up)
        try:
            assert other.examine([record]) == [up.sa]
            other.submit([SetProfile(CLIENT)])
            assert other.resume([(record, False)]) == [(up.sa, None)]
            resumed = again.wait_for(IkeSaResumed)
            assert (resumed.notes, resumed.sure, resumed.agreed) == (b"notes", True, True)
            assert resumed.up == replace(up, token=None)
            again.wait_for(ChildUp)
            again.ping(100)
            assert "another SA sits" in str(other.resume([(record, False)])[0][1])
        finally:
            other.stop()


async def _pinged(daemon: Daemon, happen: Callable[[], Any], done: Callable[[], bool]) -> tuple[int, int]:
    """Pings every 10 ms while something happens in a thread: how many before and after it were answered."""
    inner = await daemon.virtual_ip()
    assert isinstance(inner, IPv4Address)
    pinger = Pinger(inner, BEHIND_GATEWAY, 5)
    daemon.on_inner = lambda packets: pinger.handle(packets, Nanos(1))

    async def stream(seconds: float) -> int:
        first = pinger.count
        for _ in range(round(seconds / 0.01)):
            daemon.send_inner([pinger.next(Nanos(0))])
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        return sum(ping.answered is not None for ping in pinger.score(first))

    before = await stream(0.5)
    happening = asyncio.create_task(asyncio.to_thread(happen))
    while not happening.done() or not done():
        await stream(0.1)
    await happening
    return before, await stream(0.5)


@pytest.mark.req("M3.2-3")
@pytest.mark.parametrize("listed", [True, False])
async def test_another_gateway_elsewhere_takes_the_sas_over_and_clients_follow(tmp_path: Path, listed: bool) -> None:
    """The same store, on a host with another address: it speaks up from there with its list (RFC 4555 section 3.6)."""
    with two_ends(tmp_path, store=("gateway",)) as ends:
        until(lambda: agree(ends), "both ends agree")
        config = ends.client.config
        assert ends.client.stop() == 0
        until(lambda: ends.gateway.only_sa() is None, "the gateway hears of the end")
        if listed:
            config.write_text(config.read_text().replace('["127.0.11.1"]', f'["127.0.11.1", "{ELSEWHERE}"]'))
        async with Daemon(bare(load(config, _core))) as phone:
            await phone.virtual_ip()
            (before,) = phone.facade.list_ike_sas().items

            def takes_over() -> None:
                assert ends.gateway.stop() == 0
                text = ends.gateway.config.read_text()
                ends.gateway.config.write_text(text.replace("127.0.11.1", ELSEWHERE))
                restart(ends.gateway)

            def followed() -> bool:
                return all(each.remote.startswith(f"{ELSEWHERE}:") for each in phone.facade.list_ike_sas().items)

            first, last = await asyncio.wait_for(_pinged(phone, takes_over, followed), 60)
            assert first >= 45
            assert last >= 45
            (after,) = phone.facade.list_ike_sas().items
            assert (after.id, after.spi_i, after.spi_r) == (before.id, before.spi_i, before.spi_r)
            theirs = await asyncio.to_thread(ends.gateway.only_sa)
            assert theirs["sa"]["local"].startswith(f"{ELSEWHERE}:")
            assert theirs["sa"]["spi_r"] == after.spi_r


@pytest.mark.req("M3.2-3")
def test_a_store_that_cannot_be_used_is_named_with_what_to_do_and_nothing_is_lost(tmp_path: Path) -> None:
    with two_ends(tmp_path, store=BOTH) as ends:
        until(lambda: agree(ends), "both ends agree")
        before = sa_of(ends.gateway)
        assert ends.gateway.stop() == 0
        config, key = ends.gateway.config, tmp_path / "gateway.db.key"
        assert key.stat().st_mode & 0o777 == 0o600

        def refused() -> str:
            with pytest.raises(AssertionError):
                restart(ends.gateway)
            return [line for line in ends.gateway.log.read_text().splitlines() if "cannot start" in line][-1]

        good = key.read_text()
        key.write_text("0x" + "11" * 32)
        assert "gateway.db: its records were sealed with another key; put back" in refused()
        key.unlink()
        assert "gateway.db.key: this key is gone, and SAs are stored under it; bring the key back" in refused()
        key.write_text(good)
        key.chmod(0o644)
        assert "others can read or change this key; chmod 600 it" in refused()
        key.chmod(0o600)
        text = config.read_text()
        config.write_text(text.replace("[daemon]", "[daemon]\nshards = 2"))
        assert "its SAs belong to 1 shards, and SPIs name the shard; now there are 2" in refused()
        config.write_text(text)
        restart(ends.gateway)
        until(lambda: agree(ends), "both ends agree again")
        assert sa_of(ends.gateway) == before
