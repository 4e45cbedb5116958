"""The service manager that started us (systemd, or another that knows sd_notify): told when we are ready, what we are
doing, and, while all goes on, that we live.

A datagram each, to the socket that it named in the environment. Without one nothing is told. What cannot be told is not
worth a word: whoever waits for it will act by itself.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, MutableMapping
from typing import Final

_PINGS: Final = 3
"""In each span after which the manager loses patience: two may be late."""
_SOCKET, _SPAN, _WHO = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


class Manager:
    """Of one daemon."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        """Takes its variables out of the environment: what we start in turn is not to speak for us."""
        place, span, who = (environ.pop(name, "") for name in (_SOCKET, _SPAN, _WHO))
        # A name that begins with "@" is in no file system.
        self._place = f"\0{place[1:]}" if place.startswith("@") else place
        ours = who in ("", str(os.getpid()))
        self._every_s = int(span) / 1e6 / _PINGS if ours and span.isdecimal() else 0.0
        self._next: asyncio.TimerHandle | None = None

    def ready(self, what: str, lives: Callable[[], bool]) -> None:
        """All is up. From now on it is told that we live: by this loop, and only while `lives` says so. It starts us
        anew when it has not heard that for as long as its WatchdogSec= says."""
        self._tell(f"READY=1\nSTATUS={what}")
        if self._every_s and self._place:
            self._live(lives)

    def ends(self, what: str) -> None:
        """We are ending in good order, and answer no more."""
        if self._next is not None:
            self._next.cancel()
        self._tell(f"STOPPING=1\nSTATUS={what}")

    def _live(self, lives: Callable[[], bool]) -> None:
        if lives():
            self._tell("WATCHDOG=1")
        self._next = asyncio.get_running_loop().call_later(self._every_s, self._live, lives)

    def _tell(self, words: str) -> None:
        if not self._place:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            # A manager that does not listen must not hold us up.
            out.setblocking(False)
            out.sendto(words.encode(), self._place)
