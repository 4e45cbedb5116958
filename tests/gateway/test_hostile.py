"""A gateway at work, and everything that strangers and confused peers can send to it.

Whatever comes: the daemon lives and is ready, the tunnel of an honest client carries on where it is, every datagram is
counted under what became of it, and the log has no error and no secret in it.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

pytest.importorskip("mobike._core", reason="needs the core: these are real daemons")

from tests.gateway.rig import (
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
