"""A terminal: a program in a pty of so many columns, and what stands on the screen then."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import pyte

READ: Final = 1 << 16
DEADLINE_S: Final = 60.0
"""For what a screen is to show, while others compute."""


class Terminal:
    """A program on it, and its screen."""

    def __init__(self, words: list[str], *, columns: int, rows: int) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        known = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        known |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.process = subprocess.Popen(
            words, stdin=theirs, stdout=theirs, stderr=theirs, env=known,
            # Its own session, whose terminal this is: Ctrl-C reaches it as a signal.
            preexec_fn=lambda: os.login_tty(theirs),  # noqa: PLW1509 - there is no other way to a terminal
        )  # fmt: skip
        os.close(theirs)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip()

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def until(self, seen: Callable[[str], bool], what: str) -> str:
        """The screen as soon as it is so."""
        end = time.monotonic() + DEADLINE_S
        while not seen(self.text):
            assert time.monotonic() < end, f"waited in vain for {what}:\n{self.text}"
            assert self._read(0.1) or seen(self.text), f"it ended before {what}:\n{self.text}"
        return self.text

    def look(self, for_s: float) -> None:
        """What comes meanwhile is on the screen."""
        end = time.monotonic() + for_s
        while time.monotonic() < end and self._read(0.1):
            pass

    def end(self) -> int:
        """How it ends, with all of it on the screen."""
        while self._read(DEADLINE_S):
            pass
        return self.process.wait(DEADLINE_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._ours)

    def _read(self, wait_s: float) -> bool:
        """Whether there may be more."""
        if not select.select([self._ours], [], [], wait_s)[0]:
            return True
        try:
            octets = os.read(self._ours, READ)
        except OSError:
            # Nobody has it open any more.
            return False
        self._stream.feed(octets)
        return bool(octets)


@contextmanager
def running(*words: object, columns: int = 80, rows: int = 24) -> Iterator[Terminal]:
    """A program with these words, as long as the block lasts."""
    terminal = Terminal([*map(str, words)], columns=columns, rows=rows)
    try:
        yield terminal
    finally:
        terminal.close()
