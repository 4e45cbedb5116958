"""What hosts on both sides of a gateway are told of TCP's segments, with the rules that docs/kernel.md shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from .rig import Namespace, Rig
from .rig.capture import dissect
from .rig.program import Program, run

NEAR, FAR = "10.77.0.9", "10.77.0.10"
"""The gateway's end of the link behind it, and the host there."""
LENGTH = 300_000
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
PAGE = Path(__file__).parents[2] / "docs/kernel.md"
WITHOUT_OPTIONS = 1460
"""What a host says of a link of 1500 octets."""


class Told(NamedTuple):
    """Sizes of segments in the first two packets of a connection, where they arrive."""

    behind: set[int]
    """By the client, as the host behind the gateway hears it."""
    client: set[int]
    """By that host, as the client hears it."""


@contextmanager
def host_behind(rig: Rig) -> Iterator[tuple[Namespace, Program]]:
    """A host behind the gateway, which sends much to whoever calls, and says how long its segments are."""
    host = Namespace(f"{rig.gateway}-behind")
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
        server = rig.spawn(host, ["python3", "-u", "-c", SERVER])
        server.wait_log("^ready")
        yield host, server
        server.stop()
    finally:
        run(["ip", "netns", "delete", host], check=False)


def passes(rig: Rig) -> None:
    """All that the host behind the gateway sends comes to the client."""
    got = rig.run(rig.client, ["python3", "-c", CLIENT], timeout=60).stdout
    assert int(got) == LENGTH


def load_rules(rig: Rig) -> None:
    """Those of the page, at the gateway."""
    _, _, behind = PAGE.read_text().partition("```text\ntable inet tunnels {")
    rules, _, _ = behind.partition("```")
    done = run(
        ["ip", "netns", "exec", rig.gateway, "nft", "-f", "-"], stdin=f"table inet tunnels {{{rules}", check=False
    )
    if "No such file or directory" in done.stderr or "not supported" in done.stderr:
        pytest.skip(f"this kernel lacks a part of nf_tables: {done.stderr}")
    assert done.returncode == 0, done.stderr


def told(rig: Rig, folder: Path, device: str) -> Told:
    """Of one connection. `device`: where the client hears what came out of its tunnel."""
    files = [folder / name for name in ("behind.pcap", "client.pcap")]
    with (
        rig.capture(rig.gateway, "lan", files[0], "tcp", "port", "80"),
        rig.capture(rig.client, device, files[1], "tcp", "port", "80"),
    ):
        passes(rig)
    sizes = [
        {int(mss) for (mss,) in dissect(file, ["tcp.options.mss_val"], f"tcp.flags.syn == 1 && ip.src {which} {FAR}")}
        for file, which in zip(files, ("!=", "=="), strict=True)
    ]
    return Told(*sizes)
