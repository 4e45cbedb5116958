"""Configurations that were in force: kept whole, sealed, in their place; an edit is there as a whole or not at all."""

import sqlite3
import zlib
from pathlib import Path

import pytest

from mobike.store import Archive, Revision, Standing, StoreError, archive


class Seal:
    """As plain as can be: what it is about, and the octets turned round."""

    def __init__(self, key: bytes = b"k") -> None:
        self._key = key
        self.breaks = False

    def close(self, octets: bytes, about: bytes) -> bytes:
        if self.breaks:
            raise KeyboardInterrupt
        return self._key + about + b"|" + octets[::-1]

    def open(self, sealed: bytes, about: bytes) -> bytes:
        head = self._key + about + b"|"
        if not sealed.startswith(head):
            raise ValueError("another key or place")
        return sealed[len(head) :][::-1]

    def mark(self, octets: bytes) -> bytes:
        return self._key + octets[:1]


def revision(what: str = "something") -> Revision:
    return Revision(0, 1.5, "ann", "api", what)


def add(house: Archive, content: bytes = b"text", **standing: object) -> int:
    return house.add(revision(), content, Standing(0, **standing)).number  # type: ignore[arg-type]


def test_what_was_in_force_is_there_again_and_only_for_us_to_read(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "config.db"
    house = Archive(file, Seal())
    assert house.standing() is None
    one, two = add(house, b"one", until=9.5, back_to=None), add(house, b"two", passed=b"digest")
    house.close()
    assert file.stat().st_mode & 0o077 == 0
    house = Archive(file, Seal())
    assert house.standing() == Standing(two, passed=b"digest")
    assert [house.content(number) for number in (one, two, 77)] == [b"one", b"two", None]
    assert [each.number for each in house.revisions(before=None, limit=9)] == [two, one]
    assert [each.number for each in house.revisions(before=two, limit=9)] == [one]
    house.remove(two, Standing(one))
    assert (house.standing(), house.content(two)) == (Standing(one), None)
    assert add(house) > two, "a number is given once"
    house.close()


def test_a_secret_is_kept_once_for_all_revisions_that_hold_it_and_goes_with_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_REVISIONS", 2)
    file, key = tmp_path / "config.db", {"annex": b"horse"}
    house = Archive(file, Seal())
    mark = house.mark(b"horse")
    first, second = (house.add(revision(), b"", Standing(0), key).number for _ in range(2))
    assert [house.secret(number, "annex", mark) for number in (first, second)] == [b"horse", b"horse"]
    assert house.secret(second, "other", mark) is None
    assert house.secret(second, "annex", b"another") is None
    with sqlite3.connect(file) as base:
        assert base.execute("SELECT count(*) FROM secrets").fetchone() == (1,)
        for _ in range(2):
            add(house)
        assert base.execute("SELECT count(*) FROM secrets").fetchone() == (0,)
    house.close()


def test_a_secret_that_was_deleted_goes_from_every_revision_and_from_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "config.db"
    sealed = Seal().close(zlib.compress(b"horse"), b"secret annex")
    house = Archive(file, Seal())
    first = house.add(revision(), b"", Standing(0), {"annex": b"horse", "kept": b"cow"}).number
    house.purge()
    assert house.secret(first, "annex", house.mark(b"horse")) == b"horse"
    house.add(revision(), b"", Standing(0), {"kept": b"cow"}, gone=["annex"])
    assert sealed in b"".join(each.read_bytes() for each in tmp_path.iterdir())
    house.purge()
    assert house.secret(first, "annex", house.mark(b"horse")) is None
    assert house.secret(first, "kept", house.mark(b"cow")) == b"cow"
    assert sealed not in b"".join(each.read_bytes() for each in tmp_path.iterdir())
    house.close()


def test_a_secret_that_may_come_back_stays(tmp_path: Path) -> None:
    house = Archive(tmp_path / "config.db", Seal())
    mark = house.mark(b"horse")
    first = house.add(revision(), b"", Standing(0), {"annex": b"horse"}).number
    waits = house.add(revision(), b"", Standing(0, until=9.5, back_to=first), gone=["annex"]).number
    house.purge()
    assert house.secret(first, "annex", mark) == b"horse"
    # It was not confirmed.
    house.add(revision(), b"", Standing(0), {"annex": b"horse"})
    house.purge()
    assert house.secret(first, "annex", mark) == b"horse"
    # The core refuses the next one.
    refused = house.add(revision(), b"", Standing(0), gone=["annex"]).number
    house.remove(refused, Standing(first))
    house.purge()
    assert house.secret(first, "annex", mark) == b"horse"
    # And one that is confirmed.
    waits = house.add(revision(), b"", Standing(0, until=9.5, back_to=first), gone=["annex"]).number
    house.stand(Standing(waits))
    house.purge()
    assert house.secret(first, "annex", mark) is None
    house.close()


def test_a_process_that_ends_within_an_edit_leaves_what_was_before(tmp_path: Path) -> None:
    seal = Seal()
    house = Archive(tmp_path / "config.db", seal)
    head = add(house, b"one")
    seal.breaks = True
    with pytest.raises(KeyboardInterrupt):
        add(house, b"two")
    house.close()
    house = Archive(tmp_path / "config.db", Seal())
    assert house.standing() == Standing(head)
    assert len(house.revisions(before=None, limit=9)) == 1
    house.close()


def test_the_oldest_go_but_never_what_is_in_force_or_may_be_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_REVISIONS", 3)
    house = Archive(tmp_path / "config.db", Seal())
    first = add(house)
    last = first
    for _ in range(10):
        last = add(house, until=9.0, back_to=first)
    left = [each.number for each in house.revisions(before=None, limit=99)]
    assert left == [last, last - 1, last - 2, first]
    monkeypatch.setattr(archive, "MOST_OCTETS", 1)
    last = add(house, until=9.0, back_to=first)
    assert [each.number for each in house.revisions(before=None, limit=99)] == [last, first]
    house.close()


def test_what_is_sealed_opens_in_its_place_and_under_its_key_alone(tmp_path: Path) -> None:
    file = tmp_path / "config.db"
    house = Archive(file, Seal())
    one, two = add(house, b"one"), add(house, b"two")
    house.close()
    with sqlite3.connect(file) as base:
        base.execute("UPDATE revisions SET sealed = (SELECT sealed FROM revisions WHERE number = ?)", (one,))
    base.close()
    house = Archive(file, Seal())
    assert house.content(one) == b"one"
    with pytest.raises(StoreError, match=f"revision {two} was sealed under another key; put back the key"):
        house.content(two)
    house.close()
    house = Archive(file, Seal(b"other"))
    with pytest.raises(StoreError, match="sealed under another key"):
        house.content(one)
    house.close()


def test_it_is_for_one_daemon_at_a_time_and_for_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "config.db"
    house = Archive(file, Seal())
    with pytest.raises(StoreError, match="another daemon uses it"):
        Archive(file, Seal())
    house.close()
    with sqlite3.connect(file) as base:
        base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(StoreError, match="has format"):
        Archive(file, Seal())
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as base:
        base.execute("CREATE TABLE something (x)")
    base.close()
    with pytest.raises(StoreError, match="is a database of something else"):
        Archive(other, Seal())
    (tmp_path / "no.db").write_bytes(b"no database at all" * 999)
    with pytest.raises(StoreError, match="cannot be opened"):
        Archive(tmp_path / "no.db", Seal())
