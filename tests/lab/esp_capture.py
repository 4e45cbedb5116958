"""Sequence numbers of ESP on a wire, in order."""

from __future__ import annotations

import signal
import struct
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from tests.interop.rig import Rig
from tests.interop.rig.waiting import START

ESP, UDP = 50, 17
ETHERNET = 14


@contextmanager
def captured(rig: Rig, pcap: Path) -> Iterator[Path]:
    """What passes between router and gateway, heads alone; complete when the context is left."""
    words = ["-n", "-i", "g1", "-s", "96", "-w", str(pcap), "esp or udp port 4500"]
    # Not packet by packet, as captures of tests are else: this is one of thousands.
    sniffer = rig.spawn(rig.router, ["tcpdump", "-Z", "root", *words])
    sniffer.wait_log("listening on", timeout=START)
    try:
        yield pcap
    finally:
        sniffer.stop(signal.SIGINT)


def sequences(pcap: Path) -> dict[int, list[int]]:
    """By SPI: the numbers in the order in which they went by."""
    found: dict[int, list[int]] = defaultdict(list)
    for frame in _frames(pcap.read_bytes()):
        head = _esp_head(frame)
        if head is not None and head[0] != 0:
            found[head[0]].append(head[1])
    return found


def never_went_back(pcap: Path) -> int:
    """Every number is higher than the one before it; how many there were."""
    found = sequences(pcap)
    for spi, numbers in found.items():
        back = [(one, two) for one, two in pairwise(numbers) if two <= one]
        assert not back, f"SPI {spi:#010x} went back or stayed: {back[:5]}"
    return sum(map(len, found.values()))


def _frames(data: bytes) -> Iterator[bytes]:
    at = 24
    while at + 16 <= len(data):
        _, _, kept, _ = struct.unpack_from("=IIII", data, at)
        yield data[at + 16 : at + 16 + kept]
        at += 16 + kept


def _esp_head(frame: bytes) -> tuple[int, int] | None:
    """SPI and sequence number; an SPI of 0 is the non-ESP marker of IKE."""
    (kind,) = struct.unpack_from(">H", frame, ETHERNET - 2)
    if kind == 0x0800:
        protocol, payload = frame[ETHERNET + 9], frame[ETHERNET + 4 * (frame[ETHERNET] & 15) :]
    elif kind == 0x86DD:
        protocol, payload = frame[ETHERNET + 6], frame[ETHERNET + 40 :]
    else:
        return None
    if protocol == UDP:
        payload = payload[8:]
    elif protocol != ESP:
        return None
    return struct.unpack_from(">II", payload) if len(payload) >= 8 else None
