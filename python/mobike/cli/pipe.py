"""What we print into a pipe, and nobody reads any further: `mobike list ike-sas | head -1`.

Programs in C die of SIGPIPE there. It is ignored here, for it would also end a command without a word where a daemon
goes away while it is asked.
"""

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import UnsupportedOperation
from typing import Final

UNREAD: Final = 128 + signal.SIGPIPE
"""How a shell says that a program died of it."""
_STDOUT: Final = 1


@contextmanager
def read_to_the_end() -> Iterator[None]:
    """Everything printed within reaches the reader, or else the process ends quietly with UNREAD."""
    try:
        try:
            yield
        finally:
            # The interpreter would do it too late to say it quietly.
            if sys.stdout is not None:
                sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as end:
        # typer and rich catch it themselves, and end with 1, which is our word for "refused".
        if not isinstance(end, BrokenPipeError) and not isinstance(end.__context__, BrokenPipeError):
            raise
        # For what is still in the buffer.
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
        sys.exit(UNREAD)


class Reader:
    """Whoever reads what a command prints for as long as it runs, seldom: its going is seen at once."""

    def __init__(self) -> None:
        self._served = threading.Event()
        try:
            pipe = sys.stdout.fileno()
        except UnsupportedOperation:
            return
        threading.Thread(target=self._await_going, args=(pipe,), daemon=True).start()

    def is_served(self) -> None:
        """There is one line left to print; that the reader goes after it is its good right."""
        self._served.set()

    def _await_going(self, pipe: int) -> None:
        going = select.poll()
        # Errors and hang-ups are told always.
        going.register(pipe, 0)
        going.poll()
        if not self._served.is_set():
            os._exit(UNREAD)
