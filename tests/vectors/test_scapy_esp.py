"""scapy's ESP layer judges ours: what it seals we open, what we seal it opens.

The Rust side is the example `esp_oracle`; scapy and its cryptography package share no code with it.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

import pytest

with warnings.catch_warnings():
    # scapy names ciphers that the cryptography package calls decrepit.
    warnings.simplefilter("ignore")
    from scapy.layers.inet import ICMP, IP, UDP
    from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
    from scapy.layers.ipsec import ESP, SecurityAssociation
    from scapy.packet import Packet, Raw

from tests.vectors.example import built

OUR_SPI = 0xC0DE0015
PEER_SPI = 0x00000100
OUR_OUTER, PEER_OUTER = "192.0.2.1", "198.51.100.1"

pytestmark = [
    pytest.mark.skipif(shutil.which("cargo") is None, reason="no cargo to build the oracle with"),
    # The first run may have to build the crypto library.
    pytest.mark.timeout(900),
]


class Oracle:
    """Our ESP, one line per question."""

    def __init__(self, to: IO[str], back: IO[str]) -> None:
        self._to, self._back = to, back
        self._next_id = 0

    def ask(self, *words: object) -> list[str]:
        print(*words, file=self._to, flush=True)
        answer = self._back.readline().split()
        assert answer, "the oracle died"
        return answer

    def fresh_id(self) -> int:
        self._next_id += 1
        return self._next_id


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with subprocess.Popen([built("esp_oracle")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Oracle(process.stdin, process.stdout)
        process.stdin.close()
        assert process.wait(timeout=10) == 0


@dataclass(frozen=True, slots=True)
class Ends:
    """One Child SA: ours in the oracle, the peer's in scapy."""

    oracle: Oracle
    id: int
    spi: int
    peer_seals: SecurityAssociation
    peer_opens: SecurityAssociation

    def open(self, outer: Packet) -> list[str]:
        return self.oracle.ask("open", bytes(outer[ESP]).hex())

    def seal(self, inner: Packet) -> bytes:
        verdict, datagram = self.oracle.ask("seal", self.id, bytes(inner).hex())
        assert verdict == "sealed"
        return bytes.fromhex(datagram)


@pytest.fixture(params=["udp", "plain"])
def encap(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "udp")


@pytest.fixture(params=[128, 192, 256])
def bits(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def ends(oracle: Oracle, bits: int, encap: bool) -> Iterator[Ends]:
    made = make_ends(oracle, bits, encap, local="10.0.0.0/8", remote="10.9.0.0/24")
    yield made
    assert oracle.ask("remove", made.id) == ["removed"]


@pytest.fixture
def ends_v6(oracle: Oracle, bits: int, encap: bool) -> Iterator[Ends]:
    made = make_ends(oracle, bits, encap, local="2001:db8::/48", remote="2001:db8:9::/64")
    yield made
    assert oracle.ask("remove", made.id) == ["removed"]


def make_ends(oracle: Oracle, bits: int, encap: bool, local: str, remote: str) -> Ends:
    chance = random.Random(bits)
    to_us, to_peer = (chance.randbytes(bits // 8 + 4) for _ in range(2))
    name = oracle.fresh_id()
    spi = OUR_SPI + (name << 8)
    answer = oracle.ask(
        "install", name, bits, f"{spi:08x}", to_us.hex(), f"{PEER_SPI:08x}", to_peer.hex(), local, remote
    )
    assert answer == ["installed"]
    nat_t = UDP(sport=4500, dport=4500) if encap else None

    def association(spi: int, keymat: bytes, source: str, destination: str) -> SecurityAssociation:
        header = IP(src=source, dst=destination)
        return SecurityAssociation(
            ESP, spi=spi, crypt_algo="AES-GCM", crypt_key=keymat, tunnel_header=header, nat_t_header=nat_t
        )

    return Ends(
        oracle=oracle,
        id=name,
        spi=spi,
        peer_seals=association(spi, to_us, PEER_OUTER, OUR_OUTER),
        peer_opens=association(PEER_SPI, to_peer, OUR_OUTER, PEER_OUTER),
    )


def from_peer(length: int) -> Packet:
    return IP(src="10.9.0.1", dst="10.0.0.5") / UDP(sport=4000, dport=53) / Raw(bytes(range(length)))


def to_peer(length: int) -> Packet:
    return IP(src="10.0.0.5", dst="10.9.0.1") / ICMP(id=7, seq=length) / Raw(bytes(range(length)))


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 63, 255])
def test_we_open_what_scapy_seals(ends: Ends, length: int) -> None:
    inner = from_peer(length)
    assert ends.open(ends.peer_seals.encrypt(inner)) == ["opened", str(ends.id), "4", bytes(inner).hex()]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 63, 255])
def test_scapy_opens_what_we_seal(ends: Ends, encap: bool, length: int) -> None:
    inner = to_peer(length)
    datagram = ends.seal(inner)
    header = IP(src=OUR_OUTER, dst=PEER_OUTER)
    outer = header / UDP(sport=4500, dport=4500) / ESP(datagram) if encap else header / ESP(datagram)
    # Through bytes, as on a wire: scapy tells ESP in UDP from IKE by itself.
    opened = ends.peer_opens.decrypt(IP(bytes(outer)))
    assert bytes(opened) == bytes(inner)


def test_we_open_ipv6_that_scapy_seals(ends_v6: Ends) -> None:
    inner = IPv6(src="2001:db8:9::1", dst="2001:db8::5") / ICMPv6EchoRequest(id=1, seq=2, data=b"hello")
    assert ends_v6.open(ends_v6.peer_seals.encrypt(inner)) == ["opened", str(ends_v6.id), "41", bytes(inner).hex()]


def test_scapy_opens_ipv6_that_we_seal(ends_v6: Ends) -> None:
    inner = IPv6(src="2001:db8::5", dst="2001:db8:9::1") / ICMPv6EchoRequest(id=1, seq=2, data=b"hello")
    outer = IP(bytes(IP(src=OUR_OUTER, dst=PEER_OUTER) / ESP(ends_v6.seal(inner))))
    assert bytes(ends_v6.peer_opens.decrypt(outer)) == bytes(inner)


def test_our_sequence_numbers_count_up_and_padding_ends_on_four_bytes(ends: Ends) -> None:
    for sequence in range(1, 20):
        datagram = ends.seal(to_peer(sequence))
        esp = ESP(datagram)
        assert (esp.spi, esp.seq, len(datagram) % 4) == (PEER_SPI, sequence, 0)


def test_scapys_packets_are_taken_once_and_in_any_order_within_the_window(ends: Ends) -> None:
    sealed = [ends.peer_seals.encrypt(from_peer(8)) for _ in range(80)]
    order = list(range(40, 80))
    random.Random(5).shuffle(order)
    assert all(ends.open(sealed[index])[0] == "opened" for index in order)
    assert ends.open(sealed[60]) == ["refused", "replayed", "or", "too", "old"]
    # Sequence 80 is the top; 17 is the oldest of the 64 behind it.
    assert ends.open(sealed[15])[0] == "refused"
    assert ends.open(sealed[16])[0] == "opened"


def test_a_damaged_packet_of_scapys_is_refused_and_the_sound_one_then_taken(ends: Ends) -> None:
    outer = ends.peer_seals.encrypt(from_peer(32))
    damaged = bytearray(bytes(outer[ESP]))
    damaged[-1] ^= 1
    assert ends.oracle.ask("open", damaged.hex()) == ["refused", "wrong", "ICV"]
    assert ends.open(outer)[0] == "opened"


def test_what_scapy_sends_outside_the_selectors_is_refused(ends: Ends) -> None:
    stranger = IP(src="10.8.0.1", dst="10.0.0.5") / UDP(sport=1, dport=2)
    assert ends.open(ends.peer_seals.encrypt(stranger)) == ["refused", "outside", "the", "agreed", "selectors"]


class Words(NamedTuple):
    """Our word for a suite; scapy's for its cipher, and octets of key and salt; the same of its integrity algorithm."""

    ours: str
    cipher: str
    cipher_len: int
    integ: str | None = None
    integ_len: int = 0


# scapy makes and takes whole tags of AES-GCM alone, so the short ones are tshark's and strongSwan's to judge.
OTHERS = (
    Words("chacha", "CHACHA20-POLY1305", 36),
    Words("cbc-128-sha256", "AES-CBC", 16, "SHA2-256-128", 32),
    Words("cbc-192-sha384", "AES-CBC", 24, "SHA2-384-192", 48),
    Words("cbc-256-sha512", "AES-CBC", 32, "SHA2-512-256", 64),
    Words("cbc-128-sha1", "AES-CBC", 16, "HMAC-SHA1-96", 20),
    Words("ctr-128-sha256", "AES-CTR", 20, "SHA2-256-128", 32),
    Words("ctr-256-sha384", "AES-CTR", 36, "SHA2-384-192", 48),
)


@pytest.mark.parametrize("extended", [False, True], ids=["short", "esn"])
@pytest.mark.parametrize("suite", OTHERS, ids=lambda suite: suite.ours)
def test_other_suites_agree_with_scapys(oracle: Oracle, suite: Words, *, extended: bool) -> None:
    chance = random.Random(suite.ours)
    to_us, from_us = (chance.randbytes(suite.cipher_len + suite.integ_len) for _ in range(2))
    name = oracle.fresh_id()
    spi = OUR_SPI + (name << 8)
    word = f"{suite.ours}-esn" if extended else suite.ours
    keys = (f"{spi:08x}", to_us.hex(), f"{PEER_SPI:08x}", from_us.hex())
    assert oracle.ask("install", name, word, *keys, "10.0.0.0/8", "10.9.0.0/24") == ["installed"]

    def association(spi: int, keymat: bytes, source: str, destination: str) -> SecurityAssociation:
        return SecurityAssociation(
            ESP,
            spi=spi,
            crypt_algo=suite.cipher,
            crypt_key=keymat[: suite.cipher_len],
            auth_algo=suite.integ,
            auth_key=keymat[suite.cipher_len :] or None,
            esn_en=extended,
            tunnel_header=IP(src=source, dst=destination),
        )

    seals, opens = association(spi, to_us, PEER_OUTER, OUR_OUTER), association(PEER_SPI, from_us, OUR_OUTER, PEER_OUTER)
    for length in (0, 1, 13, 14, 15, 16, 255):
        inner = from_peer(length)
        sealed = seals.encrypt(inner)
        assert oracle.ask("open", bytes(sealed[ESP]).hex()) == ["opened", str(name), "4", bytes(inner).hex()]
        verdict, datagram = oracle.ask("seal", name, bytes(to_peer(length)).hex())
        assert verdict == "sealed"
        outer = IP(bytes(IP(src=OUR_OUTER, dst=PEER_OUTER) / ESP(bytes.fromhex(datagram))))
        assert bytes(opens.decrypt(outer)) == bytes(to_peer(length))
    assert oracle.ask("remove", name) == ["removed"]
