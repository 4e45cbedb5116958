"""How a database of ours is opened: a private file, ours and of a version that we know; what is deleted is gone."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mobike.store.trouble import InUse, StoreError

_BUSY_MS: Final = 2_000
"""How long another process that looks into it may hold us up."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is in such a file."""

    application: int
    """`PRAGMA application_id`: it is of this kind."""
    steps: tuple[str, ...]
    """What each version has that the one before has not."""
    elsewhere: str
    """What to do where something else has this name."""
    without: str
    """What it means to start without it."""

    @property
    def version(self) -> int:
        """That we write. Older ones are brought up to it, newer ones are left alone."""
        return len(self.steps)


def opened(path: Path, kind: Kind) -> sqlite3.Connection:
    """For any thread, one at a time. OSError, sqlite3.Error, or StoreError if it is not what it should be."""
    make_private(path)
    base = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _prepare(base, path, kind)
    except BaseException:
        base.close()
        raise
    return base


def make_private(path: Path) -> None:
    """The file, if it is not there. Nobody but us reads it, whatever the umask says."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def locked(path: Path, fix: str) -> int:
    """A descriptor; until it is closed no other daemon has this database. OSError, or InUse."""
    make_private(path)
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise InUse(path, "another daemon uses it", fix) from None
    return lock


@contextmanager
def all_or_nothing(base: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
    """One transaction."""
    with closing(base.cursor()) as cursor:
        cursor.execute("BEGIN IMMEDIATE")
        try:
            yield cursor
            cursor.execute("COMMIT")
        except BaseException:
            cursor.execute("ROLLBACK")
            raise


def _prepare(base: sqlite3.Connection, path: Path, kind: Kind) -> None:
    base.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    (version,) = base.execute("PRAGMA user_version").fetchone()
    (application,) = base.execute("PRAGMA application_id").fetchone()
    is_new = (application, version) == (0, 0) and not base.execute("SELECT 1 FROM sqlite_master").fetchone()
    if not is_new and application != kind.application:
        raise StoreError(path, "is a database of something else", kind.elsewhere)
    if version > kind.version:
        why = f"has format {version}, and this version of mobike reads format {kind.version}"
        raise StoreError(path, why, f"move it away to start {kind.without}")
    # What is gone must stay gone when the power fails, and is not to be found on the disk.
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA synchronous = FULL")
    base.execute("PRAGMA secure_delete = ON")
    if version < kind.version:
        steps = "".join(kind.steps[version:])
        marks = f"PRAGMA application_id = {kind.application}; PRAGMA user_version = {kind.version};"
        base.executescript(f"BEGIN; {steps} {marks} COMMIT;")
