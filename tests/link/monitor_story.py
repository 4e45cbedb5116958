"""Run inside a network namespace of its own by test_monitor.py: changes links, prints what the monitor said."""

import asyncio
import json
import subprocess
import sys
from ipaddress import ip_address

from mobike.address import Pair
from mobike.events import AddressAdded, AddressRemoved, LinkEvent, RouteAnswer, RoutesChanged
from mobike.link.monitor import NetlinkMonitor

DEADLINE_S = 10.0


def ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)


def describe(event: LinkEvent) -> str:
    match event:
        case AddressAdded():
            standing = " deprecated" if event.deprecated else " optimistic" if event.optimistic else ""
            return f"+{event.ip} {event.link}{standing}"
        case AddressRemoved():
            return f"-{event.ip} {event.link}"
        case RouteAnswer():
            return f"route {event.pair} {event.reachable}{' into a tunnel' if event.into_tunnel else ''}"
        case RoutesChanged():
            return "routes changed"


async def story() -> list[str]:
    news = asyncio.Event()
    monitor = NetlinkMonitor(news.set, ["tun*"])
    told: list[str] = []

    async def until(line: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                news.clear()
                told.extend(describe(event) for event in monitor.take())
                if line in told:
                    return
                await news.wait()

    ip("link add up1 type veth peer name up1peer")
    ip("link set up1peer up")
    ip("link set up1 up")
    ip("addr add 10.55.0.1/24 dev up1")
    await monitor.start()
    await until("+10.55.0.1 up1")
    ip("addr add fd55::1/64 dev up1 nodad")
    await until("+fd55::1 up1")
    monitor.ask_route(Pair(ip_address("10.55.0.1"), ip_address("10.55.0.9")))
    await until("route 10.55.0.1 -> 10.55.0.9 True")
    monitor.ask_route(Pair(ip_address("10.55.0.77"), ip_address("10.55.0.9")))
    await until("route 10.55.0.77 -> 10.55.0.9 False")
    monitor.ask_route(Pair(ip_address("10.55.0.1"), ip_address("203.0.113.1")))
    await until("route 10.55.0.1 -> 203.0.113.1 False")
    # A route for the peer into a tunnel of ours, and then a rule that leads around it.
    ip("link add tun9 type veth peer name tun9peer")
    ip("link set tun9peer up")
    ip("link set tun9 up")
    ip("route add 10.66.0.0/24 dev tun9 table 4555")
    ip("route add 10.66.0.0/24 dev up1")
    monitor.ask_route(Pair(ip_address("10.55.0.1"), ip_address("10.66.0.9")))
    await until("route 10.55.0.1 -> 10.66.0.9 True")
    told.clear()
    ip("rule add table 4555 priority 4555")
    await until("routes changed")
    monitor.ask_route(Pair(ip_address("10.55.0.1"), ip_address("10.66.0.9")))
    await until("route 10.55.0.1 -> 10.66.0.9 False into a tunnel")
    told[:] = ["+10.55.0.1 up1"]
    ip("addr change fd55::1/64 dev up1 preferred_lft 0")
    await until("+fd55::1 up1 deprecated")
    ip("link set up1peer down")
    await until("-10.55.0.1 up1")
    ip("link set up1peer up")
    await until("+10.55.0.1 up1")
    ip("addr del 10.55.0.1/24 dev up1")
    await until("-10.55.0.1 up1")
    await monitor.close()
    return told


if __name__ == "__main__":
    json.dump(asyncio.run(story()), sys.stdout)
