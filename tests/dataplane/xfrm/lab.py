"""Two hosts in a kernel with ESP: SAs made by hand, streams of numbered packets, and what the kernel counted."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TypeVar

from mobike.address import Ip
from mobike.dataplane.xfrm.kernel import Kernel
from mobike.dataplane.xfrm.plan import Holding
from mobike.dataplane.xfrm.selectors import Selector
from mobike.dataplane.xfrm.state import (
    OUR_REQIDS,
    UNLIMITED,
    Action,
    Encap,
    Policy,
    PolicyKey,
    Sa,
    SaName,
    Template,
    priority_of,
)
from mobike.dataplane.xfrm.suites import suite_of
from mobike.dataplane.xfrm.uapi import Dir

T = TypeVar("T")
CLONE_NEWNET = 0x4000_0000
UDP_ENCAP = 100

INNER_A, INNER_B = ip_address("10.10.0.1"), ip_address("10.20.0.1")
OUTSIDE: dict[str, tuple[Ip, Ip]] = {
    "first": (ip_address("192.0.2.1"), ip_address("192.0.2.2")),
    "second": (ip_address("198.51.100.1"), ip_address("198.51.100.2")),
    "six": (ip_address("2001:db8::1"), ip_address("2001:db8::2")),
}
"""Addresses of a and b by link."""


class SameKeys:
    """Keys that are no secret."""

    def __init__(self, lengths: tuple[int, int]) -> None:
        self._lengths = lengths

    def lengths(self) -> tuple[int, int]:
        return self._lengths

    def write(
        self, buffer: bytearray, /, *, inbound: bool, encryption_at: int, integrity_at: int | None = None
    ) -> None:
        encryption, integrity = self._lengths
        buffer[encryption_at : encryption_at + encryption] = bytes(range(encryption))
        if integrity_at is not None:
            buffer[integrity_at : integrity_at + integrity] = bytes(range(integrity))

    def wipe(self) -> None:
        """There is nothing to hide."""


@dataclass
class Host:
    """One namespace."""

    name: str
    kernel: Kernel

    def run(self, command: str) -> str:
        return subprocess.run(
            ["ip", "netns", "exec", self.name, *command.split()], check=True, capture_output=True, text=True
        ).stdout

    def ip(self, command: str) -> None:
        subprocess.run(["ip", "-n", self.name, *command.split()], check=True, capture_output=True)

    def statistics(self) -> dict[str, int]:
        """What XFRM threw away, by reason."""
        lines = (line.split() for line in self.run("cat /proc/net/xfrm_stat").splitlines())
        return {name: int(number) for name, number in lines if number != "0"}

    def inside(self, do: Callable[[], T]) -> T:
        return in_namespace(self.name, do)


def in_namespace(name: str, do: Callable[[], T]) -> T:
    """Sockets stay in the namespace in which they were made."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/self/ns/net").open("rb") as here, Path(f"/run/netns/{name}").open("rb") as there:
        try:
            if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            return do()
        finally:
            libc.setns(here.fileno(), CLONE_NEWNET)


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """`a` and `b`, with two links in IPv4 and one in IPv6 between them, and a socket for ESP in UDP in each."""
    names = [f"{side}{os.getpid()}" for side in "ab"]
    sockets: list[socket.socket] = []
    hosts: list[Host] = []
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
        for link, ends in OUTSIDE.items():
            words = f"link add {link} netns {names[0]} type veth peer name {link} netns {names[1]}"
            subprocess.run(["ip", *words.split()], check=True)
            for name, end in zip(names, ends, strict=True):
                nodad = " nodad" if end.version == 6 else ""
                for command in (f"addr add {end}/{64 if nodad else 24} dev {link}{nodad}", f"link set {link} up"):
                    subprocess.run(["ip", "-n", name, *command.split()], check=True)
        hosts = [Host(name, in_namespace(name, Kernel)) for name in names]
        for host, inner, peer in zip(hosts, (INNER_A, INNER_B), (INNER_B, INNER_A), strict=True):
            host.ip("link set lo up")
            host.ip(f"addr add {inner}/32 dev lo")
            # Where to is all the same: the policy takes the packets.
            host.ip(f"route add {peer} dev first src {inner}")
            sockets += [host.inside(lambda port=port: encapsulating(port)) for port in (4500, 4501)]  # type: ignore[misc]
        yield hosts[0], hosts[1]
    finally:
        for each in sockets:
            each.close()
        for host in hosts:
            host.kernel.close()
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def encapsulating(port: int) -> socket.socket:
    """A socket on which the kernel opens ESP in UDP."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("0.0.0.0", port))
    made.setsockopt(socket.IPPROTO_UDP, UDP_ENCAP, 2)
    return made


SUITE = suite_of("aes128gcm16")
REQID = OUR_REQIDS.start
KEYS = {1: SameKeys(SUITE.lengths)}
SPI_AB, SPI_BA = 0x1001, 0x2002
SELECTOR = Selector(ip_network(f"{INNER_A}/32"), ip_network(f"{INNER_B}/32"))


def holding(here: str, link: str, encap: tuple[int, int] | None = None) -> Holding:
    """What host `here` ("a" or "b") should hold for a tunnel over `link`; `encap`: ports of a and b."""
    a, b = OUTSIDE[link]
    ports = None if encap is None else Encap(*encap)
    back = None if encap is None else Encap(*reversed(encap))
    forth = Sa(here == "b", SPI_AB, a, b, REQID, SUITE, ports, UNLIMITED)
    home = Sa(here == "a", SPI_BA, b, a, REQID, SUITE, back, UNLIMITED)
    sas = {SaName(1, sa.inbound): sa for sa in (forth, home)}
    leaving = SELECTOR if here == "a" else SELECTOR.reversed()
    ends = (a, b) if here == "a" else (b, a)
    priority = priority_of(leaving, Action.PROTECT)
    policies = [Policy(PolicyKey(Dir.OUT, leaving), Action.PROTECT, priority, Template(REQID, *ends))]
    policies += [
        Policy(PolicyKey(direction, leaving.reversed()), Action.PROTECT, priority, Template(REQID))
        for direction in (Dir.IN, Dir.FWD)
    ]
    return Holding(sas, {policy.key: policy for policy in policies})


SENDER = """
import os, signal, socket, sys, time
here, there, gap = sys.argv[1], sys.argv[2], float(sys.argv[3])
going, number = True, 0
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"%d\\n" % number))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((here, 0))
print("ready", flush=True)
began = time.monotonic()
while going:
    while time.monotonic() < began + number * gap: time.sleep(max(0, began + number * gap - time.monotonic()))
    try: s.sendto(number.to_bytes(4, "big"), (there, 9))
    except OSError: pass
    number += 1
print(number)
"""
RECEIVER = """
import signal, socket, sys
going = True
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], 9))
s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
print("ready", flush=True)
seen = []
s.settimeout(0.5)
while True:
    try: seen.append(int.from_bytes(s.recv(64), "big"))
    except TimeoutError:
        if not going: break
print(len(seen), *sorted(set(range(max(seen, default=-1) + 1)) - set(seen)))
"""


@dataclass
class Stream:
    """Numbered packets from one host to the other, so many a second, until it is stopped."""

    sender: subprocess.Popen[str]
    receiver: subprocess.Popen[str]
    count: int = 0

    @classmethod
    def start(cls, source: Host, target: Host, ends: tuple[Ip, Ip], rate: int = 1000) -> Stream:
        receiver = cls._python(target, RECEIVER, str(ends[1]))
        return cls(cls._python(source, SENDER, str(ends[0]), str(ends[1]), str(1 / rate)), receiver)

    @staticmethod
    def _python(host: Host, code: str, *words: str) -> subprocess.Popen[str]:
        argv = ["ip", "netns", "exec", host.name, sys.executable, "-I", "-S", "-c", code, *words]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def number_now(self) -> int:
        """Packets with lower numbers have left; this one may have."""
        self.sender.send_signal(signal.SIGUSR1)
        assert self.sender.stdout is not None
        return int(self.sender.stdout.readline())

    def go_on(self, packets: int = 100) -> None:
        """Wait until so many more have left."""
        goal = self.number_now() + packets
        eventually(lambda: self.number_now() >= goal, f"{packets} more packets leave")

    def stop(self) -> None:
        self.sender.terminate()
        out, _ = self.sender.communicate(timeout=30)
        self.count = int(out)

    def lost(self) -> list[int]:
        """Once it was stopped: the numbers that did not arrive. None comes twice."""
        self.receiver.terminate()
        out, _ = self.receiver.communicate(timeout=60)
        got, *missing = map(int, out.split())
        missing += range(got + len(missing), self.count)
        assert got + len(missing) == self.count, "a packet was delivered twice"
        return missing


def stopped(*streams: Stream) -> list[list[int]]:
    """What each of them lost."""
    for stream in streams:
        stream.stop()
    return [stream.lost() for stream in streams]


def eventually(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Look again and again until it is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)


def settle(seconds: float = 0.3) -> None:
    time.sleep(seconds)


@contextmanager
def own_namespace() -> Iterator[None]:
    """This thread alone is in a network namespace of its own."""
    name = f"own{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        with Path("/proc/self/ns/net").open("rb") as here, Path(f"/run/netns/{name}").open("rb") as there:
            try:
                if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
                yield
            finally:
                libc.setns(here.fileno(), CLONE_NEWNET)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)
