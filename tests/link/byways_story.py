"""Run inside a network namespace of its own by test_monitor.py: a host with two default routes and no rules."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from ipaddress import ip_address

from mobike.address import Pair
from mobike.link.monitor import NetlinkMonitor

DEADLINE_S = 20.0
PEERS = {4: "203.0.113.1", 6: "2001:db8::1"}
LOCALS = {4: "10.1.{}.2", 6: "fd00:1:{}::2"}


def ip(arguments: str) -> str:
    return subprocess.run(["ip", *arguments.split()], check=True, capture_output=True, text=True).stdout


def build() -> None:
    for number in (1, 2):
        ip(f"link add up{number} type veth peer name far{number}")
        ip(f"link set far{number} up")
        configure(number)


def configure(number: int) -> None:
    ip(f"link set up{number} up")
    ip(f"addr replace 10.1.{number}.2/24 dev up{number}")
    ip(f"addr replace fd00:1:{number}::2/64 dev up{number} nodad")
    ip(f"route replace default via 10.1.{number}.1 dev up{number} metric 10{number}")
    ip(f"-6 route replace default via fd00:1:{number}::1 dev up{number} metric 10{number}")


def way(version: int, number: int) -> str:
    """By which gateway and link a packet of this uplink's address leaves."""
    words = ip(f"route get {PEERS[version]} from {LOCALS[version].format(number)}").split()
    return f"{words[words.index('via') + 1]} {words[words.index('dev') + 1]}"


def rules() -> list[str]:
    return [line for version in (4, 6) for line in ip(f"-{version} rule").splitlines() if line.startswith("4553:")]


class Host:
    def __init__(self, *, keeps: bool = False) -> None:
        self._monitor = NetlinkMonitor(lambda: None, byways=True, keeps_byways=keeps)

    async def start(self) -> None:
        await self._monitor.start()

    async def ask_until(self, version: int, number: int, wanted: str) -> None:
        """As the fleet does whenever routes changed."""
        pair = Pair(ip_address(LOCALS[version].format(number)), ip_address(PEERS[version]))
        await self.until(lambda: way(version, number) == wanted, wanted, pair)

    async def until(self, that: Callable[[], bool], what: str, ask: Pair | None = None) -> None:
        """Wait for it; the kernel's answers and news come in meanwhile."""
        end = time.monotonic() + DEADLINE_S
        while not that():
            assert time.monotonic() < end, what
            if ask is not None:
                self._monitor.ask_route(ask)
            await asyncio.sleep(0.05)
            self._monitor.take()

    async def close(self) -> None:
        await self._monitor.close()


async def story() -> list[str]:
    build()
    assert way(4, 2) == "10.1.1.1 up1" and way(6, 2) == "fd00:1:1::1 up1", "without us all leave by the first"
    told = []
    host = Host()
    await host.start()
    await host.ask_until(4, 2, "10.1.2.1 up2")
    await host.ask_until(6, 2, "fd00:1:2::1 up2")
    await host.ask_until(4, 1, "10.1.1.1 up1")
    assert len(rules()) == 2, "none for who leaves rightly by itself"
    assert "dev up1" in ip("route get 198.51.100.1 from 10.1.2.2"), "nor for anybody else"
    told.append("each by its own")
    ip("route replace default via 10.1.2.9 dev up2 metric 102")
    await host.ask_until(4, 2, "10.1.2.9 up2")
    told.append("by another gateway")
    ip("link set up2 down")
    configure(2)
    await host.ask_until(4, 2, "10.1.2.1 up2")
    await host.ask_until(6, 2, "fd00:1:2::1 up2")
    told.append("after the link was down")
    ip("route del default via 10.1.2.1 dev up2")
    await host.ask_until(4, 2, "10.1.1.1 up1")
    assert len(rules()) == 1
    told.append("no way of its own, none of ours")
    configure(2)
    await host.ask_until(4, 2, "10.1.2.1 up2")
    ip("addr del 10.1.2.2/24 dev up2")
    await host.until(lambda: len(rules()) == 1, "its rule is gone")
    told.append("the address is gone")
    await host.close()
    assert rules() == []
    told.append("nothing left")
    configure(2)
    # A process that is killed leaves its rules; the next one takes over what it wants, and what it does not goes.
    killed = Host(keeps=True)
    await killed.start()
    await killed.ask_until(4, 2, "10.1.2.1 up2")
    await killed.ask_until(6, 2, "fd00:1:2::1 up2")
    await killed.close()
    assert len(rules()) == 2
    after = Host()
    await after.start()
    await after.ask_until(4, 2, "10.1.2.1 up2")
    assert len(rules()) == 2
    await after.close()
    assert rules() == []
    told.append("nothing left of a crash")
    return told


if __name__ == "__main__":
    json.dump(asyncio.run(story()), sys.stdout)
