"""Ports of this process alone: no other process that runs tests takes them, and the kernel gives them to nobody."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import cycle, islice

FIRST = 10_000
"""All of them lie below those that Linux gives out by itself (32768 and more)."""
BLOCK = 200
BLOCKS = 100


def free_ports(count: int) -> tuple[int, ...]:
    """Ports that are free on every address, in UDP and TCP; the next call names others."""
    found = tuple(islice(filter(_is_free, islice(_block(), BLOCK)), count))
    if len(found) < count:
        raise RuntimeError(f"fewer than {count} ports are left")
    return found


@cache
def _block() -> Iterator[int]:
    """Those of this process, again and again. A name in the abstract says that it has them, until its end."""
    for number in range(BLOCKS):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with suppress(OSError):
            claim.bind(f"\0mobike-test-ports-{number}")
            claim.detach()
            return cycle(range(FIRST + number * BLOCK, FIRST + (number + 1) * BLOCK))
        claim.close()
    raise RuntimeError(f"{BLOCKS} processes run tests here")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True
