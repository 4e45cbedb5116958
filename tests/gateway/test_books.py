"""Tokens and the record of changes outlive the daemon; nothing that would open anything is in the file."""

import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from mobike.facade import Refused
from mobike.facade.books import BooksError, Deed, Scope
from mobike.gateway import books as module
from mobike.gateway.books import GatewayBooks
from mobike.store.ledger import DeedRow, Ledger

DEED = Deed(1.0, "user 0", "unix", "bring_up", "POST /api/v1/connections/office/up", 202, None, "{}")


async def test_a_token_outlives_the_daemon_until_it_expires_or_is_revoked(tmp_path: Path) -> None:
    file, now = tmp_path / "state/api.db", 1000.0
    books = GatewayBooks(file, clock=lambda: now)
    short, short_text = await books.access.make_token("short", Scope.READ, 60, by="user 0")
    long, long_text = await books.access.make_token("long", Scope.ADMIN, 3600, by="user 0")
    books.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    books = GatewayBooks(file, clock=lambda: now)
    assert books.access.tokens() == tuple(sorted((short, long), key=lambda each: each.id))
    assert [books.access.holder(text) for text in (short_text, long_text)] == [short, long]
    now = 1060.0
    assert [books.access.holder(text) for text in (short_text, long_text)] == [None, long]
    await books.access.revoke_token(long.id)
    assert books.access.holder(long_text) is None
    books.close()
    books = GatewayBooks(file, clock=lambda: now)
    assert [each.name for each in books.access.tokens()] == ["short"]
    books.close()


async def test_nothing_in_the_file_opens_anything(tmp_path: Path) -> None:
    books = GatewayBooks(tmp_path / "api.db")
    _, text = await books.access.make_token("x", Scope.READ, 60, by="user 0")
    books.close()
    kept = _everything_in(tmp_path)
    secret = text.split("_", 2)[2].encode()  # which may have such a character itself, even as its first
    assert secret not in kept
    assert secret[: len(secret) // 2] not in kept


def _everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


NEARLY: list[Callable[[str], str]] = [lambda text: text + "x", lambda text: text[:-1], str.upper, lambda _: "mobike__"]


@pytest.mark.parametrize("change", NEARLY)
async def test_what_is_nearly_a_token_is_none(tmp_path: Path, change: Callable[[str], str]) -> None:
    books = GatewayBooks(tmp_path / "api.db")
    _, text = await books.access.make_token("x", Scope.READ, 60, by="user 0")
    assert books.access.holder(change(text)) is None
    books.close()


async def test_there_is_a_limit_for_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TOKENS", 2)
    books = GatewayBooks(tmp_path / "api.db")
    for _ in range(2):
        await books.access.make_token("x", Scope.READ, 60, by="user 0")
    with pytest.raises(Refused, match="2 tokens"):
        await books.access.make_token("x", Scope.READ, 60, by="user 0")
    books.close()


async def test_a_token_that_cannot_be_removed_from_the_file_opens_nothing_all_the_same(tmp_path: Path) -> None:
    books = GatewayBooks(tmp_path / "api.db")
    token, text = await books.access.make_token("x", Scope.READ, 60, by="user 0")
    with sqlite3.connect(tmp_path / "api.db") as other:
        other.execute("ALTER TABLE tokens RENAME TO gone")
    with pytest.raises(BooksError, match="cannot be written"):
        await books.access.revoke_token(token.id)
    assert books.access.holder(text) is None
    assert [each.id for each in books.access.tokens()] == [token.id]
    other.close()
    books.close()


async def test_the_record_outlives_the_daemon(tmp_path: Path) -> None:
    books = GatewayBooks(tmp_path / "api.db")
    await books.record.write(DEED)
    books.close()
    books = GatewayBooks(tmp_path / "api.db")
    page = await books.record.page(before=None, limit=10, caller=None, action=None)
    assert ([view.deed for view in page.items], page.before) == ([DEED], None)
    books.close()


def test_the_record_is_bounded_and_the_oldest_go_first(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "api.db", most_deeds=100)
    for number in range(700):
        ledger.add_deed(DeedRow(float(number), "user 0", "unix", "x", "x", 202, None, None))
    kept = ledger.deeds(before=None, limit=10_000, caller=None, action=None)
    assert 100 <= len(kept) < 100 + 256
    assert kept[0][0] == 700
    ledger.close()


@pytest.mark.parametrize("content", ["application_id = 1", "user_version = 9", "garbage"])
def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path, content: str) -> None:
    file = tmp_path / "api.db"
    if content == "garbage":
        file.write_bytes(b"this is no database" * 100)
    else:
        with sqlite3.connect(file) as base:
            base.execute(f"PRAGMA {content}")
        base.close()
    before = file.read_bytes()
    with pytest.raises(BooksError, match=r"api\.db"):
        GatewayBooks(file)
    assert file.read_bytes() == before
