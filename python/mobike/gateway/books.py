"""Who may do what over the API, and who did. The loop never waits for the disk: a thread writes."""

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

from mobike.facade import NotFound, Refused
from mobike.facade.books import BooksError, Deed, DeedPage, DeedView, Scope, TokenView
from mobike.store.ledger import DeedRow, Ledger, TokenRow
from mobike.store.trouble import StoreError

MOST_TOKENS: Final = 1000
_ID_OCTETS: Final = 6
_SECRET_OCTETS: Final = 32
_PREFIX: Final = "mobike_"
"""So that scanners for lost secrets know one when they see it."""
_NOBODY: Final = TokenRow("", "", Scope.METRICS.value, bytes(sha256().digest_size), 0, 0, "")

T = TypeVar("T")


class _Scribe:
    """Does one thing after another in a thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "books")

    async def do(self, what: Callable[[], T]) -> T:
        try:
            # Whoever asked may be cancelled; what was begun is finished.
            return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, what))
        except StoreError as problem:
            raise BooksError(str(problem)) from None

    def close(self) -> None:
        self._thread.shutdown(wait=True)


class Keyring:
    """Implements `mobike.facade.books.Access`."""

    def __init__(self, ledger: Ledger, scribe: _Scribe, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._scribe = scribe
        self._clock = clock
        self._rows = {row.id: row for row in ledger.tokens()}

    def holder(self, token: str) -> TokenView | None:
        id_, _, secret = token.removeprefix(_PREFIX).partition("_")
        row = self._rows.get(id_, _NOBODY)
        fits = hmac.compare_digest(_hash(secret), row.hash)
        return _token(row) if fits and row is not _NOBODY and self._clock() < row.expires else None

    def tokens(self) -> Sequence[TokenView]:
        return tuple(map(_token, sorted(self._rows.values(), key=lambda row: (row.made, row.id))))

    async def make_token(self, name: str, scope: Scope, lifetime_s: int, *, by: str) -> tuple[TokenView, str]:
        if len(self._rows) >= MOST_TOKENS:
            raise Refused(f"there are {MOST_TOKENS} tokens", hint="revoke those that nobody needs")
        now, id_, secret = self._clock(), secrets.token_hex(_ID_OCTETS), secrets.token_urlsafe(_SECRET_OCTETS)
        row = TokenRow(id_, name, scope.value, _hash(secret), now, now + lifetime_s, by)
        # Counted before it is written: who asks meanwhile must not find room that is gone.
        self._rows[id_] = row
        try:
            await self._scribe.do(lambda: self._ledger.add_token(row))
        except BooksError:
            del self._rows[id_]
            raise
        return _token(row), f"{_PREFIX}{id_}_{secret}"

    async def revoke_token(self, id_: str) -> None:
        row = self._rows.get(id_)
        if row is None:
            raise NotFound(f"there is no token {id_!r}")
        # It opens nothing from now on, also if the file cannot be written; then it stays in the list.
        self._rows[id_] = row._replace(expires=0)
        await self._scribe.do(lambda: self._ledger.remove_token(id_))
        self._rows.pop(id_, None)


class Register:
    """Implements `mobike.facade.books.Record`."""

    def __init__(self, ledger: Ledger, scribe: _Scribe) -> None:
        self._ledger = ledger
        self._scribe = scribe

    async def write(self, deed: Deed) -> None:
        row = DeedRow(
            deed.at, deed.caller, deed.address, deed.action, deed.target, deed.status, deed.problem, deed.said
        )
        await self._scribe.do(lambda: self._ledger.add_deed(row))

    async def page(self, *, before: int | None, limit: int, caller: str | None, action: str | None) -> DeedPage:
        rows = await self._scribe.do(
            lambda: self._ledger.deeds(before=before, limit=limit + 1, caller=caller, action=action)
        )
        items = tuple(DeedView(seq, Deed(*row)) for seq, row in rows[:limit])
        return DeedPage(items, items[-1].seq if len(rows) > limit else None)


class GatewayBooks:
    """Implements `mobike.facade.books.Books`, in a file; BooksError if it cannot be used."""

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time) -> None:
        try:
            self._ledger = Ledger(file)
            self._scribe = _Scribe()
            self.access = Keyring(self._ledger, self._scribe, clock)
        except StoreError as problem:
            raise BooksError(str(problem)) from None
        self.record = Register(self._ledger, self._scribe)

    def close(self) -> None:
        """Finish what was begun."""
        self._scribe.close()
        self._ledger.close()


def _hash(secret: str) -> bytes:
    return sha256(secret.encode(errors="replace")).digest()


def _token(row: TokenRow) -> TokenView:
    return TokenView(row.id, row.name, Scope(row.scope), row.made, row.expires, row.made_by)
