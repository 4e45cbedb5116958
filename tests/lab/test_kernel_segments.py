"""TCP through a tunnel of the kernel, to a host behind the gateway that sends full segments and hears no ICMP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.rig import Namespace, Rig, requires_rig
from tests.interop.rig.program import Program, run
from tests.interop.shielded import works
from tests.lab.ends import tunnel

pytestmark = [pytest.mark.interop, pytest.mark.kernel_ipsec, requires_rig]

NEAR, FAR = "10.77.0.9", "10.77.0.10"
"""The gateway's end of the link behind it, and the host there."""
LENGTH = 300_000
MTU = 1400
"""Of [dataplane], where nothing is said."""
HEADERS = 40
"""Of IP and TCP."""
TIMESTAMPS = 12
"""Octets of TCP's option, which each segment of Linux has."""
SERVER = f"""
import socket
listening = socket.create_server(({FAR!r}, 80))
print("ready", flush=True)
while True:
    one, _ = listening.accept()
    with one:
        print("segments of", one.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), flush=True)
        one.sendall(bytes({LENGTH}))
"""
CLIENT = f"""
import socket
with socket.create_connection(({FAR!r}, 80), timeout=30) as one:
    print(sum(map(len, iter(lambda: one.recv(65536), b""))))
"""


@contextmanager
def deaf_host_behind(rig: Rig) -> Iterator[Program]:
    """A host that never learns how long a packet may be on its way; it tells how long its segments are."""
    host = Namespace(f"{rig.gateway}-deaf")
    try:
        for words in (
            f"netns add {host}",
            f"-n {rig.gateway} link add lan type veth peer name wire netns {host}",
            f"-n {rig.gateway} address add {NEAR}/30 dev lan",
            f"-n {rig.gateway} link set lan up",
            f"-n {host} address add {FAR}/30 dev wire",
            f"-n {host} link set wire up",
            f"-n {host} route add default via {NEAR}",
        ):
            run(["ip", *words.split()])
        rig.run(rig.gateway, ["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"])
        rig.run(host, ["iptables-legacy", "-t", "raw", "-A", "PREROUTING", "-p", "icmp", "-j", "DROP"])
        server = rig.spawn(host, ["python3", "-u", "-c", SERVER])
        server.wait_log("^ready")
        yield server
        server.stop()
    finally:
        run(["ip", "netns", "delete", host], check=False)


def _segments(server: Program, since: int) -> int:
    return int(server.wait_log(r"^segments of (\d+)", since=since)[1])


def _passes(rig: Rig) -> None:
    got = rig.run(rig.client, ["python3", "-c", CLIENT], timeout=60).stdout
    assert int(got) == LENGTH


def test_peers_are_told_what_fits_into_the_tunnel(tmp_path: Path) -> None:
    with Rig() as rig, deaf_host_behind(rig) as server, tunnel(rig, tmp_path) as (client, _):
        client.wait_up()
        works(rig)
        _passes(rig)
        assert _segments(server, 0) == MTU - HEADERS - TIMESTAMPS
