"""Writes what happened into the log and the journal: one line each, by its kind."""

import time
from collections.abc import Sequence
from typing import Final

import structlog

from mobike.fleet import Note
from mobike.gateway.journal import Journal

log = structlog.get_logger()

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

    def write(self, notes: Sequence[Note]) -> None:
        """What the fleet noted in one turn."""
        now = time.time()
        for note in notes:
            sa = None if note.sa is None else f"{note.sa:016x}"
            self._journal.append(now, note.kind, note.text, sa=sa, connection=note.connection, data=dict(note.data))
            if note.kind in LOUD:
                log.error(note.kind, text=note.text, sa=sa, connection=note.connection)
            elif note.kind in WARNINGS or note.kind.startswith(NOTICE):
                log.warning(note.kind, text=note.text, sa=sa, connection=note.connection)
            elif note.kind in QUIET:
                log.debug(note.kind, text=note.text, sa=sa, connection=note.connection)
            else:
                log.info(note.kind, text=note.text, sa=sa, connection=note.connection)
