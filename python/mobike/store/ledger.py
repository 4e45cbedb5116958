"""Tokens of the API and the record of changes, in SQLite. Of a token only the hash of its secret is here."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from mobike.store.base import Kind, opened
from mobike.store.trouble import StoreError

MOST_DEEDS: Final = 100_000
"""Changes that are kept: some tens of megabytes; the oldest go first."""
_TRIM_EVERY: Final = 256
"""Changes between two looks at how many there are."""

_TOKENS: Final = """
CREATE TABLE tokens (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    scope   TEXT NOT NULL,
    hash    BLOB NOT NULL,          -- SHA-256 of a secret of 256 random bits, which needs no slower hash
    made    REAL NOT NULL,          -- seconds since the epoch
    expires REAL NOT NULL,
    made_by TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE deeds (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      REAL NOT NULL,
    caller  TEXT NOT NULL,
    address TEXT NOT NULL,
    action  TEXT NOT NULL,
    target  TEXT NOT NULL,
    status  INTEGER NOT NULL,
    problem TEXT,
    said    TEXT
);
"""
_KIND: Final = Kind(0x6D626B62, (_TOKENS,), "move it away", "without its tokens")
"""Books of ours ("mbkb")."""


class TokenRow(NamedTuple):
    """A token, without its secret."""

    id: str
    name: str
    scope: str
    hash: bytes
    made: float
    expires: float
    made_by: str


class DeedRow(NamedTuple):
    """A change."""

    at: float
    caller: str
    address: str
    action: str
    target: str
    status: int
    problem: str | None
    said: str | None


class Ledger:
    """One file. It may be used from any thread, by one at a time."""

    def __init__(self, path: Path, *, most_deeds: int = MOST_DEEDS) -> None:
        self._path = path
        self._most_deeds = most_deeds
        self._until_trim = 0
        with self._in_words("cannot be opened"):
            self._base = opened(path, _KIND)

    def tokens(self) -> list[TokenRow]:
        """All of them."""
        with self._in_words("cannot be read"):
            return [TokenRow(*row) for row in self._base.execute("SELECT * FROM tokens")]

    def add_token(self, token: TokenRow) -> None:
        """It is in the file when this returns."""
        with self._in_words("cannot be written"):
            self._base.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?)", token)

    def remove_token(self, id_: str) -> None:
        """It is gone when this returns."""
        with self._in_words("cannot be written"):
            self._base.execute("DELETE FROM tokens WHERE id = ?", (id_,))

    def add_deed(self, deed: DeedRow) -> None:
        """It is in the file when this returns."""
        with self._in_words("cannot be written"):
            insert = "INSERT INTO deeds (at, caller, address, action, target, status, problem, said) VALUES "
            added = self._base.execute(insert + "(?, ?, ?, ?, ?, ?, ?, ?)", deed)
            if self._until_trim == 0:
                self._base.execute("DELETE FROM deeds WHERE seq <= ?", ((added.lastrowid or 0) - self._most_deeds,))
            self._until_trim = (self._until_trim or _TRIM_EVERY) - 1

    def deeds(
        self, *, before: int | None, limit: int, caller: str | None, action: str | None
    ) -> list[tuple[int, DeedRow]]:
        """Newest first."""
        wanted = "SELECT * FROM deeds WHERE (?1 IS NULL OR seq < ?1) AND (?2 IS NULL OR caller = ?2)"
        rest = " AND (?3 IS NULL OR action = ?3) ORDER BY seq DESC LIMIT ?4"
        with self._in_words("cannot be read"):
            found = self._base.execute(wanted + rest, (before, caller, action, limit))
            return [(seq, DeedRow(*row)) for seq, *row in found]

    def close(self) -> None:
        """Let it go."""
        self._base.close()

    @contextmanager
    def _in_words(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as problem:
            raise StoreError(self._path, f"{what}: {problem}", "let the daemon write there, or move it away") from None
