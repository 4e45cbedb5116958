"""Writes what happened into the log and the journal: one line each, by its kind."""

import logging
import time
from collections.abc import Sequence
from typing import Final

import structlog

from mobike.fleet import Note
from mobike.gateway.journal import Journal

LOUD: Final = frozenset({"internal-error"})
"""A fault of ours."""
WARNINGS: Final = frozenset(
    {"connect-failed", "move-refused", "move-failed", "waiting", "path-silent", "plane-refused"}
)
"""Worth a look."""
NOTICE: Final = "notice-"
"""The core refused a packet or a peer."""
QUIET: Final = frozenset({"child-up", "child-down", "kept"})
"""Seen in the journal; in the log only for who asks for details."""


class Chronicle:
    """Notes of the fleet, told to people and to programs."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        # Bound once: the module's logger looks itself up at every call.
        self._log = structlog.get_logger().bind()

    def write(self, notes: Sequence[Note]) -> None:
        """What the fleet noted in one turn."""
        now = time.time()
        for note in notes:
            self._journal.append(now, note)
            level = level_of(note.kind)
            if self._log.is_enabled_for(level):
                sa = None if note.sa is None else f"{note.sa:016x}"
                path = note.data.get("path")
                who = {} if path is None else {"path": path}
                self._log.log(level, note.kind, text=note.text, sa=sa, connection=note.connection, **who)


def level_of(kind: str) -> int:
    """How loudly a note of this kind is logged."""
    if kind in LOUD:
        return logging.ERROR
    if kind in WARNINGS or kind.startswith(NOTICE):
        return logging.WARNING
    return logging.DEBUG if kind in QUIET else logging.INFO
