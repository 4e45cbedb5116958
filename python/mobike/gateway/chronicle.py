"""Writes what happened into the log and the journal: one line each, by its kind."""

import time
from collections.abc import Callable, Sequence

import structlog

from mobike.fleet import Note
from mobike.gateway import logs
from mobike.gateway.journal import Journal
from mobike.gateway.loudness import level_of


class Chronicle:
    """Notes of the fleet, told to people and to programs."""

    def __init__(
        self,
        journal: Journal,
        wanted: Callable[[Note], int | None] = lambda _: None,
        origin: Callable[[Note], str | None] = lambda _: None,
    ) -> None:
        """`wanted`: from which level on a note is logged; None: as all others. `origin`: the exchange behind it."""
        self._journal = journal
        self._wanted = wanted
        self._origin = origin
        # Bound once: the module's logger looks itself up at every call.
        self._log = structlog.get_logger().bind()

    def write(self, notes: Sequence[Note]) -> None:
        """What the fleet noted in one turn."""
        now = time.time()
        for note in notes:
            self._journal.append(now, note)
            level = level_of(note.kind)
            least = self._wanted(note)
            if logs.is_loud(level) if least is None else level >= least:
                sa = None if note.sa is None else f"{note.sa:016x}"
                path = note.data.get("path")
                who: dict[str, object] = {} if path is None else {"path": path}
                if (exchange := self._origin(note)) is not None:
                    who["exchange"] = exchange
                if least is not None:
                    who[logs.WANTED] = True
                self._log.log(level, note.kind, text=note.text, sa=sa, connection=note.connection, **who)
