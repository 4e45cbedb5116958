"""Pings of a length that must not be cut, and what became of them."""

from __future__ import annotations

import re

from tests.interop.rig import Namespace, Rig, long_ping

NARROW = 1300
"""Bytes that uplink 2 takes."""


def ping(rig: Rig, ns: Namespace, to: str, length: int) -> str:
    """What became of one ping of so many bytes that must not be cut."""
    return rig.run(ns, ["python3", long_ping.__file__, to, str(length)]).stdout.strip()


def passes(rig: Rig, ns: Namespace, to: str, length: int) -> bool:
    return ping(rig, ns, to, length) == "passed"


def told_limit(rig: Rig, ns: Namespace, to: str, length: int) -> int | None:
    """What the sender of a packet of this length hears of the path."""
    found = re.fullmatch(r"too long for a path of (\d+)", ping(rig, ns, to, length))
    return None if found is None else int(found[1])


def obeyed_limit(rig: Rig, ns: Namespace, to: str, length: int) -> int:
    """Where a sender ends that does as it is told. It may hear first of its own link: a ping that goes by nothing
    that was learned before is held against that, and then against what ESP adds."""
    while (limit := told_limit(rig, ns, to, length)) is not None and limit < length:
        length = limit
    return length
