"""Inner pings: bytes that another implementation agrees with, and an honest score."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP

from mobike.address import Nanos
from mobike.inner import echo
from mobike.inner.icmp import Echo
from mobike.inner.pinger import Pinger

US = IPv4Address("10.99.0.1")
THEM = IPv4Address("10.77.0.1")


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=80), st.booleans())
def test_what_is_emitted_is_what_is_parsed(identifier: int, sequence: int, data: bytes, reply: bool) -> None:
    ping = Echo(US, THEM, reply, identifier, sequence, data)
    assert Echo.parse(ping.emit()) == ping


def test_scapy_reads_our_ping_and_we_read_scapys() -> None:
    theirs = IP(src=str(US), dst=str(THEM)) / ICMP(type=8, id=7, seq=9) / b"abc"
    assert Echo.parse(bytes(theirs)) == Echo(US, THEM, False, 7, 9, b"abc")
    ours = IP(Echo(US, THEM, False, 7, 9, b"abc").emit())
    assert (ours.src, ours.dst, ours[ICMP].id, ours[ICMP].seq) == (str(US), str(THEM), 7, 9)
    written, written_icmp = ours.chksum, ours[ICMP].chksum
    del ours.chksum, ours[ICMP].chksum
    again = IP(bytes(ours))
    assert (again.chksum, again[ICMP].chksum) == (written, written_icmp)


@given(st.binary(max_size=120))
def test_any_bytes_are_an_echo_or_nothing(packet: bytes) -> None:
    Echo.parse(packet)


def test_a_damaged_ping_is_not_answered() -> None:
    packet = bytearray(Echo(US, THEM, False, 1, 1, b"12345678").emit())
    packet[-1] ^= 1
    assert echo.answers([bytes(packet)]) == []


def test_the_score_names_the_ping_that_was_lost_and_the_one_that_came_twice() -> None:
    pinger = Pinger(US, THEM, identifier=7)
    requests = [pinger.next(Nanos(now)) for now in (0, 10_000_000, 20_000_000)]
    replies = echo.answers([requests[0], requests[2]])
    pinger.handle([*replies, replies[0]], Nanos(25_000_000))
    assert [ping.rtt_ms for ping in pinger.score()] == [25.0, None, 5.0]
    assert pinger.repeated == 1


def test_answers_to_somebody_else_are_not_counted() -> None:
    pinger = Pinger(US, THEM, identifier=7)
    pinger.next(Nanos(0))
    stranger = Pinger(US, THEM, identifier=8)
    pinger.handle(echo.answers([stranger.next(Nanos(0))]), Nanos(1))
    assert pinger.score()[0].answered is None


def test_the_stream_outlives_the_sixteen_bits_of_icmp_sequence_numbers() -> None:
    pinger = Pinger(US, THEM, identifier=7)
    for _ in range(0x10000):
        pinger.next(Nanos(0))
    pinger.handle(echo.answers([pinger.next(Nanos(5))]), Nanos(6))
    assert pinger.score(0x10000)[0].answered == 6
    assert pinger.score(0, 1)[0].answered is None


def test_other_protocols_are_no_echo() -> None:
    assert Echo.parse(bytes(IP(src=str(US), dst=str(THEM), proto=17) / (b"x" * 40))) is None
