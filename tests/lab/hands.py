"""Changes to a network at the moment they are asked for, not when a program has been started for them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.interop.rig import Namespace


class Hand:
    """`ip` in a namespace, running already. In a kernel in user mode a program takes a tenth of a second to start, and
    on a busy machine several."""

    def __init__(self, ns: Namespace) -> None:
        self._ip = subprocess.Popen(
            ["ip", "-n", ns, "-batch", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def do(self, *lines: str) -> None:
        """These commands of `ip`, one after the other."""
        assert self._ip.stdin is not None
        self._ip.stdin.write("".join(f"{line}\n" for line in lines))
        self._ip.stdin.flush()

    def end(self) -> None:
        """It did all of them, or there is an error."""
        _, said = self._ip.communicate()
        assert self._ip.returncode == 0, said


@contextmanager
def hand(ns: Namespace) -> Iterator[Hand]:
    """Ready to do."""
    made = Hand(ns)
    try:
        yield made
    finally:
        made.end()
