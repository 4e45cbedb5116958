"""Configurations that were in force, in SQLite: each whole, sealed, with who wanted it; which one is in force, and
until when it must be confirmed.

What is in a configuration is not known here: octets in, octets out. Secrets that it names are beside it, each kept once
for all revisions that hold it: so one can go from all of them at a stroke, and which one it was stays known.
"""

import os
import sqlite3
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from mobike.store.base import Kind, all_or_nothing, locked, opened
from mobike.store.trouble import StoreError

MOST_REVISIONS: Final = 500
"""That are kept; the oldest go first, but for those that are in force or may be again."""
MOST_OCTETS: Final = 64 << 20
"""Of all of them together, compressed."""

_REVISIONS: Final = """
CREATE TABLE revisions (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    at      REAL NOT NULL,          -- seconds since the epoch
    who     TEXT NOT NULL,
    origin  TEXT NOT NULL,
    what    TEXT NOT NULL,
    sealed  BLOB NOT NULL
);
CREATE TABLE standing (             -- one row
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    head    INTEGER NOT NULL,       -- the revision in force
    until   REAL,                   -- unless it is confirmed by then, the next one takes its place
    back_to INTEGER,
    passed  BLOB                    -- what the files said that are not obeyed: a digest
);
"""
_SECRETS: Final = """
CREATE TABLE secrets (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    mark    BLOB NOT NULL,          -- says which text it is, and nothing of it
    sealed  BLOB NOT NULL,
    UNIQUE (name, mark)
);
CREATE TABLE holds (                -- which revision holds which secrets
    number  INTEGER NOT NULL REFERENCES revisions (number) ON DELETE CASCADE,
    secret  INTEGER NOT NULL REFERENCES secrets (id) ON DELETE CASCADE
);
CREATE INDEX holds_number ON holds (number);
CREATE INDEX holds_secret ON holds (secret);
CREATE TABLE condemned (            -- names whose secrets are to go
    name    TEXT PRIMARY KEY
);
"""
_PURGE: Final = """
DELETE FROM secrets WHERE name IN (SELECT name FROM condemned)
    AND name NOT IN (SELECT name FROM secrets JOIN holds ON id = secret WHERE number = ?)
"""
_KIND: Final = Kind(0x6D626B63, (_REVISIONS, _SECRETS), "move it away", "with what the files say")
"""Configurations of ours ("mbkc")."""


class Seal(Protocol):
    """Keeps what is stored from those who read the file."""

    def close(self, octets: bytes, about: bytes) -> bytes:
        """`about` is not kept, and must be said again."""

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """ValueError: under another key, or about something else."""

    def mark(self, octets: bytes) -> bytes:
        """Names them: the same ones always alike, and of no use to who has not the key."""


class Revision(NamedTuple):
    """A configuration, without what it says."""

    number: int
    at: float
    who: str
    origin: str
    what: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Which one is in force."""

    head: int
    until: float | None = None
    back_to: int | None = None
    passed: bytes | None = None
    """A digest of files that were taken back, or passed over: they are not obeyed at a start until they say something
    else."""


class Archive:
    """One file, locked for as long as it is open."""

    def __init__(self, path: Path, seal: Seal) -> None:
        self._path = path
        self._seal = seal
        with self._in_words("cannot be opened"):
            self._lock = locked(path, "end that one, or give this one another state_dir")
            try:
                self._base = opened(path, _KIND)
                self._base.execute("PRAGMA foreign_keys = ON")
            except BaseException:
                os.close(self._lock)
                raise

    def standing(self) -> Standing | None:
        """None: nothing was ever in force."""
        with self._in_words("cannot be read"):
            row = self._base.execute("SELECT head, until, back_to, passed FROM standing").fetchone()
            return None if row is None else Standing(*row)

    def add(
        self,
        revision: Revision,
        content: bytes,
        standing: Standing,
        secrets: Mapping[str, bytes] = MappingProxyType({}),
        gone: Collection[str] = (),
    ) -> Revision:
        """A new one, which is in force now; numbers are given here. All of it is in the file when this returns.

        `secrets`: what it holds, by names. `gone`: names whose secrets go from all revisions with the next `purge`.
        """
        with self._in_words("cannot be written"), all_or_nothing(self._base) as cursor:
            insert = "INSERT INTO revisions (at, who, origin, what, sealed) VALUES (?, ?, ?, ?, ?)"
            cursor.execute(insert, (revision.at, revision.who, revision.origin, revision.what, b""))
            number = cursor.lastrowid or 0
            sealed = self._seal.close(zlib.compress(content), _about(number))
            cursor.execute("UPDATE revisions SET sealed = ? WHERE number = ?", (sealed, number))
            for name, text in secrets.items():
                self._hold(cursor, number, name, text)
            cursor.executemany("INSERT OR IGNORE INTO condemned VALUES (?)", [(name,) for name in gone])
            now = Standing(number, standing.until, standing.back_to, standing.passed)
            self._stand(cursor, now)
            self._forget(cursor, now)
            return revision._replace(number=number)

    def stand(self, standing: Standing) -> None:
        """Confirmed, or passed over: no other configuration."""
        with self._in_words("cannot be written"), all_or_nothing(self._base) as cursor:
            self._stand(cursor, standing)

    def remove(self, number: int, standing: Standing) -> None:
        """It came into force for nobody: the core has refused it."""
        with self._in_words("cannot be written"), all_or_nothing(self._base) as cursor:
            cursor.execute("DELETE FROM revisions WHERE number = ?", (number,))
            self._stand(cursor, standing)

    def content(self, number: int) -> bytes | None:
        """What it says; None if it is not kept."""
        with self._in_words("cannot be read"):
            row = self._base.execute("SELECT sealed FROM revisions WHERE number = ?", (number,)).fetchone()
        return None if row is None else self._opened(f"revision {number}", row[0], _about(number))

    def secret(self, number: int, name: str, mark: bytes) -> bytes | None:
        """The text of this mark that a revision holds under this name; None: it has gone."""
        wanted = "SELECT sealed FROM secrets JOIN holds ON id = secret WHERE number = ? AND name = ? AND mark = ?"
        with self._in_words("cannot be read"):
            row = self._base.execute(wanted, (number, name, mark)).fetchone()
        return None if row is None else self._opened(f"secret {name}", row[0], _of_secret(name))

    def purge(self) -> None:
        """What is to go goes, from the disk too, unless it may come back: it is in force after all, or something waits
        for its confirmation."""
        with self._in_words("cannot be written"):
            if self._base.execute("SELECT 1 FROM condemned").fetchone() is None:
                return
            with all_or_nothing(self._base) as cursor:
                row = cursor.execute("SELECT head FROM standing WHERE until IS NULL").fetchone()
                if row is None:
                    return
                cursor.execute(_PURGE, row)
                cursor.execute("DELETE FROM condemned")
            # Nor is it to be found in the log of writes.
            self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def revisions(self, *, before: int | None, limit: int) -> list[Revision]:
        """Newest first."""
        wanted = "SELECT number, at, who, origin, what FROM revisions WHERE ?1 IS NULL OR number < ?1"
        with self._in_words("cannot be read"):
            found = self._base.execute(f"{wanted} ORDER BY number DESC LIMIT ?2", (before, limit))
            return [Revision(*row) for row in found]

    def mark(self, octets: bytes) -> bytes:
        """A name for a secret, which says nothing of it to who has not the key."""
        return self._seal.mark(octets)

    def close(self) -> None:
        """Let it go."""
        self._base.close()
        os.close(self._lock)

    def _stand(self, cursor: sqlite3.Cursor, standing: Standing) -> None:
        row = (standing.head, standing.until, standing.back_to, standing.passed)
        cursor.execute("INSERT OR REPLACE INTO standing VALUES (1, ?, ?, ?, ?)", row)

    def _hold(self, cursor: sqlite3.Cursor, number: int, name: str, text: bytes) -> None:
        mark = self._seal.mark(text)
        known = cursor.execute("SELECT id FROM secrets WHERE name = ? AND mark = ?", (name, mark)).fetchone()
        if known is None:
            sealed = self._seal.close(zlib.compress(text), _of_secret(name))
            cursor.execute("INSERT INTO secrets (name, mark, sealed) VALUES (?, ?, ?)", (name, mark, sealed))
        secret = cursor.lastrowid if known is None else known[0]
        cursor.execute("INSERT INTO holds VALUES (?, ?)", (number, secret))

    def _forget(self, cursor: sqlite3.Cursor, standing: Standing) -> None:
        """Beyond the limits, oldest first."""
        kept = {standing.head, standing.back_to}
        octets = count = 0
        for number, size in cursor.execute(
            "SELECT number, length(sealed) FROM revisions ORDER BY number DESC"
        ).fetchall():
            octets, count = octets + size, count + 1
            if number not in kept and (count > MOST_REVISIONS or octets > MOST_OCTETS):
                cursor.execute("DELETE FROM revisions WHERE number = ?", (number,))
        cursor.execute("DELETE FROM secrets WHERE id NOT IN (SELECT secret FROM holds)")

    def _opened(self, what: str, sealed: bytes, about: bytes) -> bytes:
        try:
            return zlib.decompress(self._seal.open(sealed, about))
        except (ValueError, zlib.error):
            fix = "put back the key, or move the database away to start with what the files say"
            raise StoreError(self._path, f"{what} was sealed under another key", fix) from None

    @contextmanager
    def _in_words(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as problem:
            fix = "let the daemon write there, or move it away"
            raise StoreError(self._path, f"{what}: {problem}", fix) from None


def _about(number: int) -> bytes:
    """What a sealed revision is bound to: its place, so that no other can be put there."""
    return f"revision {number}".encode()


def _of_secret(name: str) -> bytes:
    return f"secret {name}".encode()
