"""The demo's client: the daemon with a stream of pings at its in-process port. Run as a process of its own.

Each line on standard output is a JSON array of pings, `[number, sent, answered or null]`, times on the monotonic clock.
A ping is told when it is sent, and again when it is answered.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path

from mobike.address import Nanos
from mobike.cli.demo.story import GATEWAY_INNER, PINGS_PER_SECOND
from mobike.cli.start import api_server, load
from mobike.gateway.daemon import Daemon
from mobike.gateway.run import serve
from mobike.inner.pinger import Pinger

REPORT_EVERY_S = 0.05


async def ping(daemon: Daemon) -> None:
    """Ping the host behind the gateway for as long as the tunnel is wanted."""
    source = await daemon.virtual_ip()
    if not isinstance(source, IPv4Address):
        raise TypeError(f"the demo wants an IPv4 address inside the tunnel, not {source}")
    pinger = Pinger(source, IPv4Address(GATEWAY_INNER), os.getpid())
    daemon.on_inner = lambda packets: pinger.handle(packets, Nanos(time.monotonic_ns()))
    reporter = asyncio.create_task(_report(pinger))
    due = time.monotonic()
    try:
        while not daemon.stopping.is_set():
            daemon.send_inner([pinger.next(Nanos(time.monotonic_ns()))])
            due += 1 / PINGS_PER_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    finally:
        reporter.cancel()
        await asyncio.gather(reporter, return_exceptions=True)


async def _report(pinger: Pinger) -> None:
    """Tell of each ping: at once as sent, again when it is answered."""
    told = 0
    open_pings: set[int] = set()
    while True:
        await asyncio.sleep(REPORT_EVERY_S)
        fresh = pinger.score(told)
        told += len(fresh)
        old = [pinger.score(number, number + 1)[0] for number in sorted(open_pings)]
        answered = [one for one in old if one.answered is not None]
        open_pings -= {one.number for one in answered}
        open_pings |= {one.number for one in fresh if one.answered is None}
        lines = [[one.number, one.sent, one.answered] for one in (*answered, *fresh)]
        if lines:
            json.dump({"pings": lines, "repeated": pinger.repeated}, sys.stdout, separators=(",", ":"))
            sys.stdout.write("\n")
            sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description="the demo's client")
    parser.add_argument("run", choices=["run"])
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(load(arguments.config), api_server, also=ping))


if __name__ == "__main__":
    main()
