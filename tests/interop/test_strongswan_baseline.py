"""strongSwan against strongSwan: proves the rig, and measures what our own daemon is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from benches.fleet.strongswan import POOL, PORT_NAT_T, StrongswanResponder
from benches.fleet.work import ESP, IDENTITY, PSK, WORKS
from tests.interop.rig import (
    GW1,
    INNER,
    INNER_NET,
    UP1,
    UP2,
    Charon,
    ChildSa,
    Rig,
    Settings,
    addresses,
    dissect,
    initiator,
    psk,
    requires_rig,
    requires_strongswan,
    responder,
    until,
)

pytestmark = [pytest.mark.interop, requires_rig]


@contextmanager
def strongswan_pair(rig: Rig, folder: Path) -> Iterator[tuple[Charon, Charon]]:
    """A client and a gateway with one SA between them."""
    with (
        Charon(rig.gateway, folder / "gateway", responder(), secrets=psk()) as gateway,
        Charon(rig.client, folder / "client", initiator(GW1.address), secrets=psk()) as client,
    ):
        client.initiate()
        yield client, gateway


@requires_strongswan
def test_a_tunnel_of_two_strongswans_survives_the_loss_of_an_uplink(
    tmp_path: Path,
) -> None:
    with Rig() as rig, strongswan_pair(rig, tmp_path) as (client, gateway):
        client.wait_sa(lambda sa: sa.state == "ESTABLISHED" and sa.local_host == UP1.address, "client uses uplink 1")
        before = gateway.wait_sa(lambda sa: sa.remote_host == UP1.address, "gateway sees uplink 1")
        assert before.children[0].state == "INSTALLED"

        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(20)
            rig.link_down(rig.client, UP1.device)
            moved = client.wait_sa(lambda sa: sa.local_host == UP2.address, "client moved to uplink 2")
            gateway.wait_sa(lambda sa: sa.remote_host == UP2.address, "gateway followed to uplink 2")
            pinger.wait_replies(20)
            result = pinger.stop()

        assert moved.initiator_spi == before.initiator_spi, "the tunnel must have moved, not been made anew"
        assert result.duplicates == 0
        assert result.replies[-1].seq > max(result.lost_seqs, default=0)
        print(f"strongSwan to strongSwan: {result.lost} of {result.sent} lost, silence {result.longest_silence:.3f} s")


@requires_strongswan
def test_a_gateway_sees_the_port_of_the_nat_and_only_esp_crosses_the_wire(tmp_path: Path) -> None:
    with Rig(nat=(UP1, UP2)) as rig, strongswan_pair(rig, tmp_path) as (_, gateway):
        seen = gateway.wait_sa(lambda sa: sa.state == "ESTABLISHED", "gateway has the client")
        assert seen.remote_host == "10.9.1.254"
        assert 20000 <= seen.remote_port < 21000
        with rig.capture(rig.gateway, GW1.device, tmp_path / "gw1.pcap") as pcap:
            assert rig.ping(rig.client, INNER, count=5).lost == 0
        packets = dissect(pcap, ["ip.src", "ip.dst", "udp.srcport", "esp.spi", "icmp.type"], "esp || icmp")
        assert len(packets) >= 10
        assert {spi for *_, spi, _ in packets if spi} == {f"0x{spi}" for spi in spis(seen.children[0])}
        assert all(icmp == "" for *_, icmp in packets), "an inner packet crossed the wire in the clear"


@requires_strongswan
@pytest.mark.parametrize("pool", [POOL, None])
def test_the_responder_of_the_benchmark_lets_in_whoever_knows_its_key(tmp_path: Path, pool: str | None) -> None:
    # From port 4500 the client would go on to port 4500 of the gateway, NAT or not.
    any_ports: Settings = {"charon": {"port": "0", "port_nat_t": "0"}}
    clients = [f"u{number:06}@bench.example" for number in range(3)]
    with (
        Rig() as rig,
        StrongswanResponder(
            tmp_path / "gateway", WORKS["psk"], tmp_path, core=0, pool=pool, namespace=rig.gateway
        ) as bench,
        Charon(
            rig.client, tmp_path / "client", bench_clients(clients, pool), secrets=psk(PSK), settings=any_ports
        ) as client,
    ):
        cpu = bench.cpu_seconds()
        for number in range(len(clients)):
            client.initiate(f"net{number}")
        assert bench.sa_count() == len(clients)
        assert bench.cpu_seconds() >= cpu
        assert bench.rss_bytes() > 1_000_000
        assert {sa.children[0].state for sa in client.list_sas()} == {"INSTALLED"}
        main = rig.run(rig.gateway, ["ip", "route", "show", "table", "main"]).stdout
        assert "ipsec" not in main, "the benchmark must not touch the machine's own routes"


def test_either_uplink_reaches_the_gateway_in_both_families() -> None:
    with Rig(gateway_links=2, ipv6=True) as rig:
        for uplink in rig.uplinks:
            for link in rig.gateway_links:
                assert rig.ping(rig.client, link.address, source=uplink.address).lost == 0
                assert rig.ping(rig.client, link.address6, source=uplink.address6).lost == 0


def test_a_link_that_comes_back_works_again() -> None:
    with Rig(ipv6=True) as rig:
        rig.link_down(rig.client, UP1.device)
        assert rig.ping(rig.client, GW1.address).lost == 0, "uplink 2 must take over"
        rig.link_down(rig.client, UP2.device)
        rig.link_up(rig.client, UP1.device)
        assert rig.ping(rig.client, GW1.address, source=UP1.address).lost == 0
        assert rig.ping(rig.client, GW1.address6, source=UP1.address6).lost == 0


def test_an_address_that_goes_takes_its_routes_with_it() -> None:
    with Rig() as rig:
        rig.addr_del(rig.client, UP1.device, UP1.address)
        assert addresses(rig.client, UP1.device) == []
        assert rig.ping(rig.client, GW1.address).lost == 0
        rig.addr_add(rig.client, UP1.device, "10.1.1.77/24")
        rig.link_down(rig.client, UP2.device)
        assert rig.ping(rig.client, GW1.address, source="10.1.1.77").lost == 0


def test_a_black_hole_swallows_one_direction_of_one_flow() -> None:
    with Rig() as rig:
        rig.drop(rig.router, src=UP1.address, dst=GW1.address)
        assert rig.ping(rig.client, GW1.address, source=UP1.address).received == 0
        assert rig.ping(rig.client, GW1.address, source=UP2.address).lost == 0
        rig.heal(rig.router)
        assert rig.ping(rig.client, GW1.address, source=UP1.address).lost == 0


def test_a_nat_that_forgets_maps_to_other_ports(tmp_path: Path) -> None:
    send = "import socket; s=socket.socket(type=2); s.bind(('', 4500)); s.sendto(b'x', ('10.9.1.1', 4500))"
    with Rig(nat=(UP1,)) as rig, rig.capture(rig.gateway, GW1.device, tmp_path / "nat.pcap", "udp") as pcap:
        rig.run(rig.client, ["python3", "-c", send])
        until(lambda: len(source_ports(pcap)) == 1, "the first datagram is captured")
        rig.flush_nat()
        rig.run(rig.client, ["python3", "-c", send])
        until(lambda: len(source_ports(pcap)) == 2, "the second datagram is captured")
        first, second = source_ports(pcap)
    assert 20000 <= first < 21000 <= second < 22000


def test_nothing_of_a_rig_is_left_even_after_an_error() -> None:
    rig = Rig()
    with pytest.raises(ZeroDivisionError), rig:
        sleeper = rig.spawn(rig.client, ["sleep", "600"])
        raise ZeroDivisionError
    assert not sleeper.alive
    assert not {rig.client, rig.router, rig.gateway} & {entry.name for entry in Path("/run/netns").iterdir()}
    assert not rig.scratch.exists()


def bench_clients(identities: Sequence[str], pool: str | None) -> Settings:
    """One connection per identity, to the port where the marker is expected."""
    connections: dict[str, Settings] = {}
    for number, identity in enumerate(identities):
        connections[f"gw{number}"] = {
            "version": "2",
            "remote_addrs": GW1.address,
            "remote_port": str(PORT_NAT_T),
            "proposals": WORKS["psk"].ike,
            **({"vips": "0.0.0.0"} if pool else {}),
            "local": {"auth": "psk", "id": identity},
            "remote": {"auth": "psk", "id": IDENTITY},
            "children": {f"net{number}": {"remote_ts": INNER_NET, "esp_proposals": ESP}},
        }
    return {"connections": connections}


def spis(child: ChildSa) -> tuple[str, str]:
    """Both SPIs of a child, as eight hexadecimal digits."""
    return child.spi_in, child.spi_out


def source_ports(pcap: Path) -> list[int]:
    """Where the datagrams of a capture came from."""
    return [int(port) for (port,) in dissect(pcap, ["udp.srcport"], "udp")]
