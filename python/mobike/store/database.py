"""Sealed IKE SAs in SQLite. One process at a time; a row is given out once, and gone before anything is made of it.

Beside them, and in the clear: which peer had which inner address, and the accounts of those that RADIUS servers let
in; and what the daemon keeps by a name, sealed by itself. Nothing is lost if such a row is given out twice.
"""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

from mobike.address import Ip, SaId
from mobike.store.base import Kind, all_or_nothing, locked, opened
from mobike.store.trouble import StoreError

_SAS: Final = """
CREATE TABLE sas (
    sa      TEXT PRIMARY KEY,       -- the id of the IKE SA in hexadecimal, as the API shows it
    written REAL NOT NULL,          -- seconds since the epoch
    record  BLOB NOT NULL           -- sealed: see rust/io/src/park.rs
) WITHOUT ROWID;
CREATE TABLE starts (               -- who took the rows, and how many: a row is taken once
    epoch   INTEGER PRIMARY KEY AUTOINCREMENT,
    at      REAL NOT NULL,
    taken   INTEGER NOT NULL
);
"""
_LEASES: Final = """
CREATE TABLE leases (               -- who had which inner address
    connection TEXT NOT NULL,
    peer    TEXT NOT NULL,          -- who it proved to be
    family  INTEGER NOT NULL,       -- 4 or 6
    address TEXT NOT NULL,
    seen    REAL NOT NULL,          -- seconds since the epoch: it still had it then
    PRIMARY KEY (connection, peer, family)
) WITHOUT ROWID;
CREATE INDEX leases_by_age ON leases (seen);
"""
_ACCOUNTS: Final = """
CREATE TABLE accounts (             -- of peers that RADIUS servers let in
    sa      TEXT PRIMARY KEY,       -- as above
    account TEXT NOT NULL           -- see mobike.auth.radius.session
) WITHOUT ROWID;
"""
_KEPT: Final = """
CREATE TABLE kept (
    name    TEXT PRIMARY KEY,
    piece   BLOB NOT NULL           -- sealed: see mobike.gateway.tickets
) WITHOUT ROWID;
"""
_KIND: Final = Kind(0x6D626B73, (_SAS, _LEASES, _ACCOUNTS, _KEPT), "name another file in [store]", "without its SAs")
"""A store of ours ("mbks")."""
_MOST_LEASES: Final = 262_144
"""Peers that are remembered; those that are gone longest are forgotten first."""
_MOST_STARTS: Final = 1000
"""Starts that are remembered."""


class Row(NamedTuple):
    """One IKE SA."""

    sa: SaId
    written: float
    record: bytes


class Lease(NamedTuple):
    """A peer had an inner address."""

    connection: str
    peer: str
    address: Ip
    seen: float


class Account(NamedTuple):
    """What an IKE SA is charged for."""

    sa: SaId
    text: str


class Store:
    """The database, locked for as long as it is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._lock = locked(path, "end that one first")
        except OSError as problem:
            fix = "let the daemon write there, or name another file in [store]"
            raise StoreError(path, f"cannot be opened: {problem.strerror}", fix) from None
        try:
            # Written by one thread at a time, but not always the same one.
            self._base = opened(path, _KIND)
        except sqlite3.Error as problem:
            os.close(self._lock)
            raise self._unreadable(problem) from None
        except BaseException:
            os.close(self._lock)
            raise

    def rows(self) -> list[Row]:
        """All of them, in no order."""
        try:
            found = self._base.execute("SELECT sa, written, record FROM sas").fetchall()
            return [Row(SaId(int(sa, 16)), written, bytes(record)) for sa, written, record in found]
        except (sqlite3.Error, ValueError, TypeError) as problem:
            raise self._unreadable(problem) from None

    def take(self, now: float) -> list[Row]:
        """All of them, never again: when this returns they are gone from the disk."""
        self._base.execute("BEGIN IMMEDIATE")
        try:
            rows = self.rows()
            self._base.execute("DELETE FROM sas")
            self._base.execute("INSERT INTO starts (at, taken) VALUES (?, ?)", (now, len(rows)))
            self._base.execute("DELETE FROM starts WHERE epoch <= (SELECT max(epoch) FROM starts) - ?", (_MOST_STARTS,))
            self._base.execute("COMMIT")
        except BaseException:
            self._base.execute("ROLLBACK")
            raise
        return rows

    def write(self, rows: Iterable[Row], gone: Iterable[SaId]) -> None:
        """These are so now, and those are gone: all of it or nothing."""
        self._transaction(rows, gone, clear=False)

    def park(self, rows: Sequence[Row]) -> None:
        """These, and no others."""
        self._transaction(rows, (), clear=True)

    def leases(self, since: float) -> list[Lease]:
        """Those that were seen since then; older ones are forgotten, and so are those beyond a limit."""
        try:
            self._base.execute("DELETE FROM leases WHERE seen < ?", (since,))
            self._base.execute(
                "DELETE FROM leases WHERE seen < (SELECT seen FROM leases ORDER BY seen DESC LIMIT 1 OFFSET ?)",
                (_MOST_LEASES,),
            )
            found = self._base.execute("SELECT connection, peer, address, seen FROM leases").fetchall()
            return [Lease(connection, peer, ip_address(address), seen) for connection, peer, address, seen in found]
        except (sqlite3.Error, ValueError, TypeError) as problem:
            raise self._unreadable(problem) from None

    def write_leases(self, leases: Sequence[Lease]) -> None:
        """These are so now."""
        rows = ((each.connection, each.peer, each.address.version, str(each.address), each.seen) for each in leases)
        with all_or_nothing(self._base) as cursor:
            cursor.executemany("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?)", rows)

    def accounts(self) -> list[Account]:
        """All of them; they stay."""
        try:
            found = self._base.execute("SELECT sa, account FROM accounts").fetchall()
            return [Account(SaId(int(sa, 16)), text) for sa, text in found]
        except (sqlite3.Error, ValueError, TypeError) as problem:
            raise self._unreadable(problem) from None

    def write_accounts(self, accounts: Iterable[Account], gone: Iterable[SaId]) -> None:
        """These are so now, and those are gone."""
        with all_or_nothing(self._base) as cursor:
            cursor.executemany("DELETE FROM accounts WHERE sa = ?", ((f"{sa:016x}",) for sa in gone))
            rows = ((f"{each.sa:016x}", each.text) for each in accounts)
            cursor.executemany("INSERT OR REPLACE INTO accounts VALUES (?, ?)", rows)

    def kept(self, name: str) -> bytes | None:
        """What is kept by this name; it stays."""
        try:
            found = self._base.execute("SELECT piece FROM kept WHERE name = ?", (name,)).fetchone()
            return None if found is None else bytes(found[0])
        except (sqlite3.Error, TypeError) as problem:
            raise self._unreadable(problem) from None

    def keep(self, name: str, piece: bytes) -> None:
        """This, and nothing older."""
        with all_or_nothing(self._base) as cursor:
            cursor.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, piece))

    def close(self) -> None:
        """Let it go."""
        self._base.close()
        os.close(self._lock)

    def _transaction(self, rows: Iterable[Row], gone: Iterable[SaId], *, clear: bool) -> None:
        with all_or_nothing(self._base) as cursor:
            if clear:
                cursor.execute("DELETE FROM sas")
            cursor.executemany("DELETE FROM sas WHERE sa = ?", ((f"{sa:016x}",) for sa in gone))
            cursor.executemany(
                "INSERT OR REPLACE INTO sas VALUES (?, ?, ?)",
                ((f"{row.sa:016x}", row.written, row.record) for row in rows),
            )

    def _unreadable(self, problem: Exception) -> StoreError:
        return StoreError(self._path, f"damaged: {problem}", f"move it away to start {_KIND.without}")
