"""Run by itself inside a namespace: one ping that must not be cut, whatever this host has learned of the path before.

python3 long_ping.py ADDRESS LENGTH     says "passed", "too long for a path of N", or "lost"
"""

import os
import select
import socket
import struct
import sys
from contextlib import suppress

IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, IP_RECVERR = 10, 3, 11
HEADERS = 28
"""Bytes of IP and ICMP."""
PATIENCE_S = 2.0


def checksum(packet: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(length: int, name: int) -> bytes:
    data = bytes(length - HEADERS + length % 2)
    head = struct.pack("!BBHHH", 8, 0, checksum(struct.pack("!BBHHH", 8, 0, 0, name, 1) + data), name, 1)
    return (head + data)[: length - HEADERS + 8]


def ping(address: str, length: int) -> str:
    name = os.getpid() & 0xFFFF
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
        raw.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        raw.connect((address, 0))
        # What the kernel does not even take is told in the same way as what a router does not.
        with suppress(OSError):
            raw.send(echo_request(length, name))
        while select.select([raw], [], [], PATIENCE_S)[0]:
            # A socket with a note in its queue of errors counts as readable, though there may be nothing else to read.
            if (limit := told(raw)) is not None:
                return f"too long for a path of {limit}"
            with suppress(OSError):
                answer = raw.recv(65536, socket.MSG_DONTWAIT)
                if answer[20] == 0 and answer[24:26] == struct.pack("!H", name):
                    return "passed"
    return "lost"


def told(raw: socket.socket) -> int | None:
    with suppress(BlockingIOError):
        _, control, _, _ = raw.recvmsg(0, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        # struct sock_extended_err: errno, origin, type, code, pad, info, data
        for _, kind, data in control:
            if kind == IP_RECVERR:
                return int(struct.unpack_from("=I4BI", data)[5])
    return None


if __name__ == "__main__":
    print(ping(sys.argv[1], int(sys.argv[2])))
