"""A gateway at work, and everything that strangers and confused peers can send to it.

Whatever comes: the daemon lives and is ready, the tunnel of an honest client carries on where it is, every datagram is
counted under what became of it, and the log has no error and no secret in it.
"""

import random
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

pytest.importorskip("mobike._core", reason="needs the core: these are real daemons")

from mobike.address import Generation
from mobike.commands import SECOND, Move, Profile, Retransmit
from mobike.dataplane.operations import MoveSa
from mobike.events import ConnectFailed, Moved
from tests.cli.ends import until
from tests.gateway.rig import (
    CLIENT,
    GATEWAY_IP,
    MARKER,
    Attacker,
    Client,
    Gateway,
    Seen,
    Shot,
    Tap,
    accounted,
    client,
    gateway,
    sockets,
)

HONEST = "127.0.22.1"
TAP = "127.0.23.1"
STRANGER = "127.0.24.1"
GROWTH = 32 << 20
"""Bytes that an attack may add to the gateway's memory: buffers that are touched for the first time, and caches."""
MOST_LINES = 400
"""Log lines of one attack; the core lets 64 a second through."""


@dataclass
class Siege:
    """One gateway with an honest tunnel, and all datagrams of it as a tap saw them."""

    gateway: Gateway
    honest: Client
    attacker: Attacker
    tap: Tap

    @property
    def seen(self) -> list[Seen]:
        return list(self.tap.seen)

    def shots(self, to_gateway: bool | None = None) -> list[Shot]:
        return [(seen.data, seen.natt) for seen in self.seen if to_gateway in (None, seen.to_gateway)]

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """Whatever happens inside: afterwards all is as it was."""
        gateway, honest = self.gateway, self.honest
        rss, lines = gateway.rss(), len(gateway.log())
        before = gateway.sas()
        yield
        gateway.is_well()
        assert gateway.sas() == before
        honest.ping()
        honest.take()
        assert honest.seen == len(honest.events), honest.events[honest.seen :]
        assert gateway.rss() - rss < GROWTH
        assert len(gateway.log()) - lines < MOST_LINES

    def attack(self, shots: list[Shot], *ips: str) -> dict[str, int]:
        """Send all that by strangers; each datagram must be accounted for."""
        with sockets(*(ips or (STRANGER,))) as by, self.unharmed():
            sent, counted = self.attacker.send(shots, by)
            assert accounted(counted) == sent, counted
        return counted


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    folder = tmp_path_factory.mktemp("siege")
    with gateway(folder) as one, client(HONEST) as honest, Tap(TAP, one) as tap:
        honest.connect(TAP, tap.ports)
        honest.ping()
        honest.take()
        honest.seen = len(honest.events)
        yield Siege(one, honest, Attacker(one), tap)


def test_random_bytes(siege: Siege) -> None:
    chance = random.Random(1)
    shots = [(chance.randbytes(chance.randrange(0, 300)), natt) for _ in range(500) for natt in (False, True)]
    counted = siege.attack(shots)
    assert {"ike_dropped_malformed_header", "ike_dropped_version", "esp_unknown_spi", "io_runts"} <= counted.keys()


def test_every_real_message_cut_short(siege: Siege) -> None:
    shots = [(data[:length], natt) for data, natt in siege.shots() for length in range(0, len(data), 3)]
    siege.attack(shots)


def test_every_real_message_with_a_bit_turned(siege: Siege) -> None:
    chance = random.Random(2)
    shots = []
    for data, natt in siege.shots():
        for _ in range(40):
            bent = bytearray(data)
            bent[chance.randrange(len(bent))] ^= 1 << chance.randrange(8)
            shots.append((bytes(bent), natt))
    siege.attack(shots)


def test_every_real_message_again_and_in_another_order(siege: Siege) -> None:
    siege.attack(siege.shots(to_gateway=True)[::-1] * 5)
    siege.attack(siege.shots(to_gateway=False) * 5)


def test_datagrams_as_long_as_they_can_be(siege: Siege) -> None:
    chance = random.Random(3)
    shots: list[Shot] = []
    for seen in siege.seen[:4]:
        message = seen.data[len(MARKER) * seen.natt :]
        padded = message + bytes(65_000 - len(message))
        honest_about_it = padded[:24] + struct.pack("!I", len(padded)) + padded[28:]
        shots += [(padded, False), (honest_about_it, False), (MARKER + honest_about_it, True)]
    shots += [(chance.randbytes(65_507), natt) for natt in (False, True)]
    siege.attack(shots * 3)


def test_messages_on_the_wrong_port_and_keepalives(siege: Siege) -> None:
    ike = [data for data, natt in siege.shots(to_gateway=True) if natt and data.startswith(MARKER)]
    esp = [data for data, natt in siege.shots(to_gateway=True) if natt and not data.startswith(MARKER)]
    assert ike
    assert esp
    unmarked = [(data[4:], True) for data in ike]
    marked = [(data, False) for data in ike]
    counted = siege.attack([*unmarked, *marked, *((data, False) for data in esp)])
    # Without marker it is ESP, with half of the initiator's SPI; not all are as long as ESP may be.
    assert counted.get("esp_unknown_spi", 0) + counted.get("esp_bad_length", 0) == len(ike)
    counted = siege.attack([(b"\xff", True)] * 10 + [(b"\xff", False)] * 7)
    assert counted == {"io_datagrams_in": 17, "io_bytes_in": 17, "io_keepalives_in": 10, "io_runts": 7} | {
        name: value for name, value in counted.items() if name in ("io_datagrams_out", "io_bytes_out", "io_orders")
    }


def test_forged_esp_of_a_real_tunnel_moves_no_window(siege: Siege) -> None:
    real = [data for data, natt in siege.shots(to_gateway=True) if natt and not data.startswith(MARKER)][-1]
    chance = random.Random(4)
    far_ahead = [real[:4] + struct.pack("!I", 1 << 31 | number) + chance.randbytes(92) for number in range(100)]
    counted = siege.attack([(data, True) for data in far_ahead])
    assert counted["esp_icv_failures"] == 100
    # The very packet again, from its own address: a replay, and from a stranger's: as well, and no move.
    with sockets(STRANGER) as by, siege.unharmed():
        sent, counted = siege.attacker.send([(real, True)] * 10, [*by, siege.tap.far[1]])
    assert (sent, counted["esp_replay_drops"]) == (10, 10)


def test_an_ike_sa_init_that_would_be_heavy_to_remember(siege: Siege) -> None:
    init = siege.seen[0].data
    filling = bytes([init[16], 0]) + struct.pack("!H", 60_000) + bytes(59_996)  # a vendor ID in front of all else
    long = [
        struct.pack("!Q", spi) + init[8:16] + b"\x2b" + init[17:24] + struct.pack("!I", len(init) + 60_000) + filling
        + init[28:]
        for spi in range(1, 101)
    ]  # fmt: skip
    counted = siege.attack([(data, False) for data in long])
    assert counted["ike_dropped_init_too_long"] == 100


HASTY = Retransmit(initial=SECOND // 10, give_up_initiator=SECOND)
PEER = replace(CLIENT, local_id="peer@example.net", retransmit=HASTY)


@pytest.mark.parametrize(
    ("profile", "hears", "kind", "tells"),
    [
        (replace(PEER, psk=b"a guess that is wrong"), "refused our auth", "auth_failed", "does not match"),
        (replace(PEER, local_id=CLIENT.local_id, psk=b"a guess"), "refused our auth", "auth_failed", "does not match"),
        (replace(PEER, local_id="me@example.org"), "refused our auth", "auth_failed", "me@example.org"),
        (
            replace(PEER, ike_proposals=("aes256gcm16-prfsha512-ecp256",)),
            "NO_PROPOSAL_CHOSEN",
            "no_proposal",
            "offered aes256gcm16-prfsha512-ecp256",
        ),
    ],
    ids=["wrong key", "wrong key and a name that is taken", "unknown name", "proposals"],
)
def test_a_peer_that_is_refused_is_told_and_so_is_the_operator(
    siege: Siege, profile: Profile, hears: str, kind: str, tells: str
) -> None:
    lines = len(siege.gateway.log())
    with siege.unharmed(), client("127.0.25.1") as peer:
        peer.order(GATEWAY_IP, (siege.gateway.ike, siege.gateway.natt), profile)
        assert hears in peer.wait_for(ConnectFailed).why
    in_log_and_api(siege.gateway, lines, kind, tells)
    assert "guess" not in siege.gateway.end.log.read_text()


@pytest.mark.parametrize(
    ("profile", "hears", "tells"),
    [
        (replace(PEER, esp_proposals=("aes192gcm16",)), "NO_PROPOSAL_CHOSEN", "offered aes192gcm16"),
        (replace(PEER, remote_ts=("10.2.0.0/16",)), "TS_UNACCEPTABLE", "no traffic selector is acceptable"),
    ],
    ids=["proposals", "selectors"],
)
def test_a_child_sa_that_is_refused_is_told_at_both_ends(
    siege: Siege, profile: Profile, hears: str, tells: str
) -> None:
    lines = len(siege.gateway.log())
    with siege.unharmed(), client("127.0.25.1") as peer:
        peer.order(GATEWAY_IP, (siege.gateway.ike, siege.gateway.natt), profile)
        # An IKE SA without its only Child SA is of no use to who set it up.
        assert peer.wait_for(ConnectFailed).why.endswith(hears)
        assert siege.gateway.counters()["esp_children"] == 1
    in_log_and_api(siege.gateway, lines, "child_refused", tells)


def in_log_and_api(gateway: Gateway, lines: int, kind: str, tells: str) -> None:
    """A line with that reason and with whom it is about is new in the log, and the events have the same words."""
    told = [line for line in gateway.log()[lines:] if line["event"] == f"notice-{kind}"]
    assert told, gateway.log()[lines:]
    assert tells in told[0]["text"]
    assert "127.0.25.1:" in told[0]["path"]
    line = (f"notice-{kind}", told[0]["text"])
    until(lambda: line in [(event["kind"], event["text"]) for event in gateway.events()], "the events have it")


def test_an_old_move_sent_again_moves_nothing(siege: Siege) -> None:
    gateway = siege.gateway
    with client("127.0.26.1") as roamer, Tap("127.0.27.1", gateway) as here, Tap("127.0.28.1", gateway) as there:
        up = roamer.connect(here.ip, here.ports, replace(CLIENT, local_id="roamer@example.net"))
        roamer.ping()
        for number, tap in enumerate((there, here), start=1):
            path = roamer.path_to(tap.ip, tap.ports, natt=True)
            roamer.core.submit([Move(up.sa, path, Generation(number), None)])
            assert roamer.wait_for(Moved).path == path
            roamer.core.submit([MoveSa(up.sa, path, encap=True)])
            roamer.ping()
        updates = [seen.data for seen in there.seen if seen.to_gateway and seen.data.startswith(MARKER)]
        assert updates
        # The core has answered; the control plane hears of it in a turn of its own.
        until(lambda: 2 in [sa["moves"] for sa in gateway.sas()], "the gateway's control plane has followed")
        with sockets(STRANGER) as by, siege.unharmed():
            sent, counted = siege.attacker.send([(data, True) for data in updates * 3], [there.far[1], *by])
            assert accounted(counted) == sent
            remote = [sa["remote"] for sa in gateway.sas() if sa["peer_id"] == "roamer@example.net"]
            assert [each.split(":")[0] for each in remote] == [here.ip]
        roamer.ping()


def test_a_flood_of_ike_sa_init_from_everywhere_costs_little_and_honest_clients_get_in(tmp_path: Path) -> None:
    with gateway(tmp_path, limits="cookie_threshold = 64\nmax_half_open = 256") as one:
        attacker = Attacker(one)
        with Tap(TAP, one) as tap, client(HONEST) as honest:
            honest.connect(TAP, tap.ports)
            init = tap.seen[0].data
        rss = one.rss()
        chance = random.Random(5)
        flood = [(chance.randbytes(8) + init[8:], False) for _ in range(10_000)]
        with sockets(*(f"127.1.{number}.1" for number in range(200))) as by, client("127.0.29.1") as late:
            sent, counted = attacker.send(flood, by)
            assert counted["ike_init_answered"] == 64
            assert counted["ike_cookies_sent"] == sent - 64
            assert accounted(counted) == sent
            assert one.rss() - rss < GROWTH
            began = time.monotonic()
            late.connect(GATEWAY_IP, (one.ike, one.natt), replace(CLIENT, local_id="late@example.net"))
            assert time.monotonic() - began < 1
            late.ping()
            one.is_well()
            assert len(one.log()) < MOST_LINES
