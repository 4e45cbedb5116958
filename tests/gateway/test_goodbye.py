"""A gateway that ends: its peers are told, also one that was silent for a while; but nobody waits for ever."""

import asyncio
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

pytest.importorskip("mobike._core", reason="needs the core")

from mobike import _core
from mobike.commands import SECOND, Retransmit
from mobike.config import load
from mobike.events import IkeSaDown
from mobike.gateway import daemon
from mobike.gateway.daemon import Daemon
from mobike.gateway.opening import bare
from tests.cli.ends import KEY, until
from tests.gateway.rig import CLIENT, CONFIG, GATEWAY_IP, PATIENCE_S, Client, client
from tests.ports import free_ports

PEER = "127.0.22.1"
PATIENT = replace(CLIENT, liveness=0, retransmit=Retransmit(initial=SECOND // 10, give_up_initiator=300 * SECOND))


def is_closing(gateway: Daemon) -> bool:
    return gateway.facade.counters()["ike_sas_closing"] > 0


async def silent_peer(gateway: Daemon, peer: Client, ports: tuple[int, int]) -> None:
    """It is connected, and cannot be reached: the gateway has asked more than once whether it lives."""
    await asyncio.to_thread(peer.connect, GATEWAY_IP, ports, PATIENT)
    before = gateway.facade.counters()["ike_retransmissions"]
    peer.core.plug(IPv4Address(PEER), up=False)

    def in_vain() -> bool:
        return gateway.facade.counters()["ike_retransmissions"] >= before + 3

    await asyncio.to_thread(until, in_vain, "the peer is asked in vain")


@pytest.mark.parametrize("comes_back", [True, False], ids=["comes back", "stays away"])
async def test_an_end_waits_for_the_answer_to_its_delete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    """The Delete waits behind an unanswered test, in a window of one."""
    monkeypatch.setattr(daemon, "GOODBYE_S", PATIENCE_S if comes_back else 0.5)
    ike, natt, api = free_ports(3)
    (tmp_path / "gateway").mkdir()
    config = tmp_path / "gateway.toml"
    more = 'liveness = "200ms"\nretransmit = { initial = "100ms" }'
    config.write_text(CONFIG.format(ike=ike, natt=natt, api=api, folder=tmp_path, key=KEY, limits="", more=more))
    with client(PEER) as peer:
        async with Daemon(bare(load(config, _core))) as gateway:
            await silent_peer(gateway, peer, (ike, natt))

            def come_back() -> None:
                until(lambda: is_closing(gateway), "the SA is over, and its peer does not know")
                if comes_back:
                    peer.core.plug(IPv4Address(PEER), up=True)

            coming = asyncio.create_task(asyncio.to_thread(come_back))
        await coming
        if comes_back:
            assert peer.wait_for(IkeSaDown).why == "deleted by the peer"
            assert not is_closing(gateway)
        else:
            assert is_closing(gateway)
            peer.take()
            assert not any(isinstance(event, IkeSaDown) for event in peer.events)
