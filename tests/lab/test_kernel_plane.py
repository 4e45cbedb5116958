"""Two daemons of ours whose ESP is the kernel's: set up, new keys under traffic, moves, and nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from mobike_api.schemas import IkeSaDetail
from tests.interop.rig import (
    DEVICE,
    GW1,
    INNER,
    UP1,
    UP2,
    Mobike,
    Namespace,
    PingResult,
    Rig,
    Toml,
    mobike_client,
    mobike_gateway,
    requires_rig,
    until,
)
from tests.interop.tunnels import UPLINK_1_FIRST, host

pytestmark = [pytest.mark.interop, pytest.mark.kernel_ipsec, requires_rig]

INTERVAL_S = 0.01
KERNEL: Mapping[str, Toml] = {"kind": "kernel", "inner": "tun", "tun": DEVICE}


def in_kernel(config: Mapping[str, Toml]) -> dict[str, Toml]:
    """The same daemon, its ESP in the kernel."""
    return {**config, "dataplane": KERNEL}


@contextmanager
def tunnel(rig: Rig, folder: Path, **both: Toml) -> Iterator[tuple[Mobike, Mobike]]:
    """Our client with a tunnel to our gateway, up over uplink 1."""
    client = in_kernel(mobike_client(GW1.address, links=UPLINK_1_FIRST, **both))
    with (
        Mobike(rig, rig.gateway, folder / "gateway", in_kernel(mobike_gateway(**both))) as answers,
        Mobike(rig, rig.client, folder / "client", client) as calls,
    ):
        answers.wait_up()
        assert host(calls.wait_up().sa.local) == UP1.address
        yield calls, answers


def states(rig: Rig, ns: Namespace) -> list[str]:
    """SAs in the kernel, a text each."""
    shown = rig.run(ns, ["ip", "-s", "xfrm", "state"]).stdout
    return [f"src{each}" for each in f"\n{shown}".split("\nsrc")[1:]]


def policies(rig: Rig, ns: Namespace) -> list[str]:
    """Policies in the kernel but those of sockets."""
    shown = rig.run(ns, ["ip", "xfrm", "policy", "list", "nosock"]).stdout
    return [f"src{each}" for each in f"\n{shown}".split("\nsrc")[1:]]


def wait_states(rig: Rig, count: int) -> None:
    for ns in (rig.client, rig.gateway):
        until(lambda ns=ns: len(states(rig, ns)) == count, f"{count} SAs in {ns}")  # type: ignore[misc]


def nothing_lost(result: PingResult) -> None:
    assert (result.lost, result.duplicates) == (0, 0)


def test_a_tunnel_comes_up_carries_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Rig() as rig:
        with tunnel(rig, tmp_path) as (client, _):
            wait_states(rig, 2)
            for ns in (rig.client, rig.gateway):
                assert len(policies(rig, ns)) == 3
            nothing_lost(rig.ping(rig.client, INNER, count=20, interval=0.02))
            child = client.wait_up().children[0]
            assert (child.packets_in, child.packets_out) == (20, 20)
            assert "espinudp" not in "".join(states(rig, rig.client)), "there is no NAT"
        for ns in (rig.client, rig.gateway):
            assert (states(rig, ns), policies(rig, ns)) == ([], [])


@pytest.mark.parametrize("nat", [False, True], ids=["plain", "nat"])
def test_no_ping_is_lost_while_both_ends_replace_both_kinds_of_keys(tmp_path: Path, nat: bool) -> None:
    with Rig(nat=(UP1, UP2) if nat else ()) as rig, tunnel(rig, tmp_path) as (client, gateway):
        assert ("espinudp" in "".join(states(rig, rig.client))) is nat
        with rig.pinger(rig.client, INNER, interval=INTERVAL_S) as pinger:
            pinger.wait_replies(20)
            for by in (client, gateway, client, gateway):
                _child_replaced(client, by)
                pinger.wait_replies(10)
                _keys_replaced(client, by)
                pinger.wait_replies(10)
            result = pinger.stop()
        nothing_lost(result)
        wait_states(rig, 2)


def _child_replaced(client: Mobike, by: Mobike) -> None:
    old = client.wait_up().children[0].id
    by.post(f"ike-sas/{by.wait_up().sa.id}/rekey", {"children": True})
    client.wait_sa(lambda one: len(one.children) == 1 and one.children[0].id != old, "a new Child SA alone is left")


def _keys_replaced(client: Mobike, by: Mobike) -> None:
    old = client.wait_up().sa.spi_i
    by.post(f"ike-sas/{by.wait_up().sa.id}/rekey", {})
    client.wait_sa(lambda one: one.sa.spi_i != old, "the IKE SA has new keys")


def test_the_tunnel_moves_when_its_uplink_goes_and_when_it_comes_back(tmp_path: Path) -> None:
    with Rig() as rig, tunnel(rig, tmp_path) as (client, gateway):
        with rig.pinger(rig.client, INNER, interval=INTERVAL_S) as pinger:
            pinger.wait_replies(20)
            rig.link_down(rig.client, UP1.device)
            _wait_at(gateway, UP2.address)
            pinger.wait_replies(20)
            rig.link_up(rig.client, UP1.device)
            _wait_at(gateway, UP1.address)
            pinger.wait_replies(20)
            result = pinger.stop()
        print(f"two moves: {result.lost} of {result.sent} lost, silence {result.longest_silence:.3f} s")
        assert result.longest_silence < 1.0
        assert client.wait_up().sa.moves == 2
        wait_states(rig, 2)
        for ns in (rig.client, rig.gateway):
            assert UP2.address not in "".join(states(rig, ns)) + "".join(policies(rig, ns))


def test_a_move_behind_a_nat_puts_esp_into_udp_and_back(tmp_path: Path) -> None:
    with Rig(nat=(UP2,)) as rig, tunnel(rig, tmp_path) as (_, gateway):
        rig.link_down(rig.client, UP1.device)
        until(lambda: "espinudp" in "".join(states(rig, rig.gateway)), "ESP in UDP")
        nothing_lost(rig.ping(rig.client, INNER, count=20, interval=0.02))
        rig.link_up(rig.client, UP1.device)
        _wait_at(gateway, UP1.address)
        until(lambda: "espinudp" not in "".join(states(rig, rig.gateway)), "ESP without UDP")
        nothing_lost(rig.ping(rig.client, INNER, count=20, interval=0.02))


def _wait_at(gateway: Mobike, address: str) -> IkeSaDetail:
    there = f"the client is at {address}"
    return gateway.wait_sa(lambda one: host(one.sa.remote) == address and one.sa.state == "established", there)


def test_a_daemon_that_begins_anew_goes_on_with_what_the_kernel_carries(tmp_path: Path) -> None:
    with Rig() as rig, tunnel(rig, tmp_path) as (client, gateway):
        spis = [child.spi_in for child in client.wait_up().children]
        with rig.pinger(rig.client, INNER, interval=INTERVAL_S) as pinger:
            pinger.wait_replies(20)
            _ = gateway, spis
            result = pinger.stop()
        nothing_lost(result)
