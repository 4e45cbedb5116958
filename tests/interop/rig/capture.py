"""Reading captures with tshark, a judge that shares no code with us."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .program import run


def dissect(pcap: Path, fields: Sequence[str], where: str = "", options: Sequence[str] = ()) -> list[tuple[str, ...]]:
    """The named fields of every packet that the display filter `where` lets through."""
    argv = ["tshark", "-n", "-r", str(pcap), "-T", "fields", "-E", "separator=\t", *options]
    argv += [word for field in fields for word in ("-e", field)]
    argv += ["-Y", where] if where else []
    return [tuple(line.split("\t")) for line in run(argv, timeout=60).stdout.splitlines()]
