"""What is stored is there once more, and only once; and what is wrong is named with what to do."""

import multiprocessing
import os
import sqlite3
from pathlib import Path

import pytest

from mobike.address import SaId
from mobike.store import KEY_OCTETS, Account, Row, Store, StoreError, store_key

ONE, TWO = Row(SaId(0xFFFF_FFFF_0000_0001), 100.5, b"one"), Row(SaId(2), 101.0, b"\x00two")


@pytest.mark.req("M3.2-3")
def test_rows_outlive_the_process_and_are_taken_once(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "sas.db"
    store = Store(file)
    assert store.rows() == []
    store.write([ONE, TWO], [])
    store.write([TWO._replace(record=b"newer")], [ONE.sa])
    store.close()
    store = Store(file)
    assert store.take(1.0) == [TWO._replace(record=b"newer")]
    assert store.take(2.0) == []
    store.close()
    assert Store(file).rows() == []


@pytest.mark.req("M3.2-3")
def test_parked_rows_replace_all_others(tmp_path: Path) -> None:
    store = Store(tmp_path / "sas.db")
    store.write([ONE], [])
    store.park([TWO])
    assert store.rows() == [TWO]


@pytest.mark.parametrize("version", [2, 4])
def test_accounts_stay_until_they_are_over_and_an_older_store_learns_how(tmp_path: Path, version: int) -> None:
    store = Store(tmp_path / "sas.db")
    if version == 2:
        store._base.executescript("DROP TABLE accounts; DROP TABLE kept; PRAGMA user_version = 2;")
        store.close()
        store = Store(tmp_path / "sas.db")
    first, second = Account(ONE.sa, "first"), Account(TWO.sa, "second")
    store.write_accounts([first, second], [])
    store.write_accounts([first._replace(text="changed")], [second.sa, SaId(3)])
    store.take(1.0)
    store.close()
    assert Store(tmp_path / "sas.db").accounts() == [first._replace(text="changed")]


@pytest.mark.parametrize("version", [3, 4])
def test_what_is_kept_by_a_name_stays_and_the_newest_counts(tmp_path: Path, version: int) -> None:
    store = Store(tmp_path / "sas.db")
    if version == 3:
        store._base.executescript("DROP TABLE kept; PRAGMA user_version = 3;")
        store.close()
        store = Store(tmp_path / "sas.db")
    assert store.kept("keys") is None
    store.keep("keys", b"old")
    store.keep("keys", b"\x00new")
    store.take(1.0)
    store.close()
    assert Store(tmp_path / "sas.db").kept("keys") == b"\x00new"


def _take_and_die(file: Path) -> None:
    Store(file).take(1.0)
    os._exit(9)


@pytest.mark.req("M3.2-3")
def test_what_a_process_took_before_it_died_is_taken_by_nobody_else(tmp_path: Path) -> None:
    file = tmp_path / "sas.db"
    store = Store(file)
    store.park([ONE, TWO])
    store.close()
    process = multiprocessing.get_context("spawn").Process(target=_take_and_die, args=(file,))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert Store(file).rows() == []


def test_a_write_that_fails_leaves_what_was(tmp_path: Path) -> None:
    store = Store(tmp_path / "sas.db")
    store.park([ONE])
    with pytest.raises(sqlite3.Error):
        store.park([TWO, TWO._replace(written=None)])  # type: ignore[arg-type]
    assert store.rows() == [ONE]


def test_one_daemon_at_a_time(tmp_path: Path) -> None:
    first = Store(tmp_path / "sas.db")
    with pytest.raises(StoreError, match=r"sas\.db: another daemon uses it; end that one first"):
        Store(tmp_path / "sas.db")
    first.close()
    Store(tmp_path / "sas.db").close()


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    Store(tmp_path / "sas.db").write([ONE], [])
    assert {file.stat().st_mode & 0o077 for file in tmp_path.iterdir()} == {0}


@pytest.mark.req("M3.2-3")
def test_a_damaged_or_foreign_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database at all, but long enough to look like one" * 100)
    with pytest.raises(StoreError, match=r"damaged\.db: damaged: .*; move it away to start without its SAs"):
        Store(damaged)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as base:
        base.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreError, match="is a database of something else; name another file"):
        Store(foreign)
    newer = tmp_path / "newer.db"
    Store(newer).close()
    with sqlite3.connect(newer) as base:
        base.execute("PRAGMA user_version = 7")
    with pytest.raises(StoreError, match="has format 7, and this version of mobike reads format 4; move it away"):
        Store(newer)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be opened: "):
        Store(tmp_path / "file" / "sas.db")


@pytest.mark.req("M3.2-3")
def test_a_key_is_made_once_and_never_where_something_is_sealed_already(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "sas.db.key"
    key = store_key(file, given=None, stored=False)
    assert len(key) == KEY_OCTETS
    assert file.stat().st_mode & 0o777 == 0o600
    assert store_key(file, given=None, stored=True) == key
    file.unlink()
    with pytest.raises(StoreError, match="this key is gone, and SAs are stored under it; bring the key back"):
        store_key(file, given=None, stored=True)


def test_a_key_may_be_given_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    assert store_key(file, given="0x" + "ab" * 32, stored=True) == b"\xab" * 32
    assert store_key(file, given="0s" + "q" * 43 + "=", stored=True)[:2] == b"\xaa\xaa"
    for wrong in ("0x" + "ab" * 31, "secret words", "0s!", ""):
        with pytest.raises(StoreError, match="cannot be read; it must be 32 octets") as problem:
            store_key(file, given=wrong, stored=False)
        assert not wrong or wrong not in str(problem.value)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    store_key(file, given=None, stored=False)
    file.chmod(0o640)
    with pytest.raises(StoreError, match="others can read or change this key; chmod 600 it"):
        store_key(file, given=None, stored=False)
