"""A tunnel that the first packet brings up: a real daemon at a real gateway."""

import asyncio
import time
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest

pytest.importorskip("mobike._core", reason="needs the core: these are real daemons")

from mobike import _core
from mobike.address import Nanos
from mobike.config import load
from mobike.events import TrafficWaits
from mobike.gateway.daemon import Daemon
from mobike.gateway.opening import bare
from mobike.inner.pinger import Pinger
from tests.cli.ends import KEY
from tests.gateway.rig import BEHIND_GATEWAY, GATEWAY_IP, Gateway, client, gateway
from tests.ports import free_ports

PATIENCE_S = 20.0
SOMEBODY = IPv4Address("192.0.2.7")
CONFIG = """\
[daemon]
listen = ["127.0.22.1"]
ike_port = {ike}
natt_port = {natt}
state_dir = "{folder}/client"
[dataplane]
inner = "port"
[links]
source = "manual"
manual = ["127.0.22.1"]
[connections.office]
role = "initiator"
remote = ["{gateway}"]
remote_ike_port = {their_ike}
remote_natt_port = {their_natt}
local_id = "honest@example.net"
remote_id = "gw.example.net"
psk = "{key}"
remote_ts = ["10.1.0.1/32"]
virtual_ip = ["ipv4"]
start = "traffic"
reconnect = {{ initial = "100ms", max = "1s" }}
"""


def test_a_core_tells_of_a_packet_that_no_child_sa_carries() -> None:
    with client("127.0.22.1") as laptop:
        knocks = Pinger(SOMEBODY, BEHIND_GATEWAY, 7)
        laptop.core.inner_send([knocks.next(Nanos(0)) for _ in range(10)])
        told = laptop.wait_for(TrafficWaits)
        assert (told.source, told.destination, told.protocol) == (SOMEBODY, BEHIND_GATEWAY, 1)
        laptop.core.inner_send([Pinger(SOMEBODY, IPv4Address("10.1.0.2"), 7).next(Nanos(0))])
        laptop.wait_for(TrafficWaits, lambda event: event.destination == ip_address("10.1.0.2"))


def _daemon(folder: Path, host: Gateway) -> Daemon:
    ike, natt = free_ports(2)
    file = folder / "client.toml"
    file.touch(mode=0o600)
    file.write_text(
        CONFIG.format(
            ike=ike, natt=natt, folder=folder, gateway=GATEWAY_IP, their_ike=host.ike, their_natt=host.natt, key=KEY
        )
    )
    return Daemon(bare(load(file, _core)))


async def _until(that: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not that():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.02)


async def test_a_tunnel_comes_up_with_the_first_packet_and_waits_again_when_it_is_gone(tmp_path: Path) -> None:
    with gateway(tmp_path) as host:
        async with _daemon(tmp_path, host) as daemon:

            def state() -> str:
                return daemon.facade.connections()[0].state

            assert state() == "waiting-for-traffic"
            daemon.send_inner([Pinger(SOMEBODY, IPv4Address("10.1.0.2"), 7).next(Nanos(0))])
            knock = Pinger(SOMEBODY, BEHIND_GATEWAY, 7).next(Nanos(0))
            for _ in range(2):
                await asyncio.sleep(0)
                assert state() == "waiting-for-traffic"
                assert not host.sas()

                def knocked() -> bool:
                    daemon.send_inner([knock])
                    return state() == "up"

                await _until(knocked, "the packet brings it up")
                inner = await daemon.virtual_ip()
                assert isinstance(inner, IPv4Address)
                pinger = Pinger(inner, BEHIND_GATEWAY, 5)
                daemon.on_inner = lambda packets, pinger=pinger: pinger.handle(packets, Nanos(1))

                def answered(pinger: Pinger = pinger) -> bool:
                    daemon.send_inner([pinger.next(Nanos(0))])
                    return any(ping.answered is not None for ping in pinger.score())

                await _until(answered, "and the tunnel carries")
                assert len(host.sas()) == 1
                daemon.facade.close(daemon.facade.list_ike_sas().items[0].id)
                await _until(lambda: state() == "waiting-for-traffic" and not host.sas(), "it is gone, and waits")
            daemon.facade.down("office")
            await _until(lambda: state() == "down", "nobody wants it any more")
