"""Writes IKE SAs down while the daemon runs, takes them back when it starts, parks them when it ends.

start   look at all, take from the store for good, give to the core    `check`, `resume`
run     what changed, once in a while, off the turn                    `keep`
end     all of them, and nothing is sent after                         `park`
"""

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

import structlog

from mobike.address import Nanos, SaId
from mobike.auth.radius import Accounts, RadiusOrders
from mobike.commands import Remember
from mobike.config.settings import StoreSettings
from mobike.events import Event, IkeSaDown
from mobike.fleet import Fleet
from mobike.gateway.leases import Leases
from mobike.gateway.tickets import NAME, TicketKeys
from mobike.store import Account, Lease, Row, Store, StoreError

log = structlog.get_logger()

MOST_PER_BEAT: Final = 8_192
"""SAs written at a time. Where more change, each is written less often, those that wait longest first."""

FRESH_S: Final = 60.0
"""Parked for longer than this, an SA is in doubt: its peer may have given it up."""


class KeepsSas(Protocol):
    """The part of the core that this needs."""

    def submit(self, commands: Sequence[Remember], /) -> None: ...

    def examine(self, records: Sequence[bytes], /) -> list[SaId]: ...

    def resume(self, records: Sequence[tuple[bytes, bool]], /) -> list[tuple[SaId, str | None]]: ...

    def changed(self, limit: int, /) -> list[SaId]: ...

    def records(self, asked: Sequence[tuple[SaId, bytes]], /) -> list[tuple[SaId, bytes]]: ...

    def park(self, notes: Sequence[tuple[SaId, bytes]], /) -> list[tuple[SaId, bytes]]: ...


class Keeper:
    """Between core, fleet and store."""

    def __init__(
        self,
        core: KeepsSas,
        fleet: Fleet,
        store: Store,
        settings: StoreSettings,
        *,
        leases: Leases,
        accounts: Accounts,
        servers: Mapping[str, RadiusOrders],
        tickets: TicketKeys,
        key: bytes,
    ) -> None:
        """`servers`: who is told of accounts, by connection; `key`: what seals the keys of tickets."""
        self._core = core
        self._fleet = fleet
        self._store = store
        self._settings = settings
        self._leases = leases
        self._accounts = accounts
        self._servers = dict(servers)
        self._tickets = tickets
        self._key = key
        self._gone: set[SaId] = set()
        """Down since the last beat."""
        self._untold: set[SaId] = set()
        """Changed, and the fleet has not heard of them yet."""
        self._writing: asyncio.Future[None] | None = None

    def check(self) -> None:
        """StoreError: this daemon cannot use what is stored. Nothing is done."""
        try:
            self._core.examine([row.record for row in self._store.rows()])
        except ValueError as problem:
            fix = "put back what it needs, or move the file away to start without its SAs"
            raise StoreError(self._settings.file, str(problem), fix) from None

    def recall_tickets(self) -> None:
        """The keys of tickets that another process gave, before any is given."""
        self._tickets.recall(self._key, self._store.kept(NAME))

    def resume(self) -> None:
        """Take back all that is stored, for good."""
        now = time.time()
        try:
            rows = self._store.take(now)
        except sqlite3.Error as problem:
            why = f"cannot be written: {problem}"
            raise StoreError(self._settings.file, why, "let the daemon write there, or name another file") from None
        young = [row for row in rows if now - row.written <= self._settings.max_age / 1e9]
        # The core forgets those that are refused; each speaks in its turn, in this order.
        verdicts = self._core.resume([(row.record, now - row.written > FRESH_S) for row in young])
        refused = [(sa, why) for sa, why in verdicts if why is not None]
        self._recall({sa for sa, why in verdicts if why is None}, now)
        for sa, why in refused:
            log.warning("store.refused", sa=f"{sa:016x}", text=f"IKE SA {sa:016x} is not resumed: {why}")
        # Only now: what an SA holds is its own, and nobody's to be kept.
        self._core.submit(self._leases.reminders(self._store.leases(now - self._leases.longest_s), now))
        resumed = len(verdicts) - len(refused)
        self._fleet.expect(resumed)
        if rows:
            text = f"{resumed} IKE SAs go on; {len(rows) - len(young)} were too old, {len(refused)} were refused"
            log.info("store.resumed", text=text)

    def _recall(self, resumed: set[SaId], at: float) -> None:
        accounts = self._store.accounts()
        over = self._accounts.recall(accounts, resumed, self._servers, Nanos(time.monotonic_ns()), at)
        if over:
            self._store.write_accounts([], over)

    async def keep(self) -> None:
        """Write down what changes, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.every / 1e9)
            try:
                await self._beat()
            except sqlite3.Error as problem:
                log.error("store.failed", text=f"{self._settings.file} cannot be written: {problem}")

    def see(self, events: Sequence[Event]) -> None:
        """What a turn took."""
        self._gone.update(event.sa for event in events if isinstance(event, IkeSaDown))
        self._leases.see(events)

    async def _beat(self) -> None:
        changed = [*self._untold, *await asyncio.to_thread(self._core.changed, MOST_PER_BEAT)]
        asked = self._fleet.remember(changed, Nanos(time.monotonic_ns()))
        gone, self._gone = self._gone, set()
        # The core is ahead of the fleet by a turn at most.
        self._untold = set(changed).difference((sa for sa, _ in asked), self._untold, gone)
        leases = self._leases.changed(time.time())
        accounts = self._account_rows()
        tickets = self._tickets.changed(self._key)
        if not asked and not gone and not leases and not accounts and tickets is None:
            return
        self._writing = asyncio.ensure_future(asyncio.to_thread(self._write, asked, gone, leases, accounts, tickets))
        try:
            # Whoever is cancelled meanwhile must not leave a writer behind: see `park`.
            await asyncio.shield(self._writing)
        except sqlite3.Error:
            self._untold.update(sa for sa, _ in asked)
            self._gone |= gone
            self._leases.unwritten(leases)
            self._accounts.unwritten(each.sa for each in accounts)
            if tickets is not None:
                self._tickets.unwritten()
            raise

    def _account_rows(self, *, everything: bool = False) -> list[Account]:
        now = Nanos(time.monotonic_ns())
        return [Account(*each) for each in self._accounts.changed(now, time.time(), everything=everything)]

    def _write(
        self,
        asked: Sequence[tuple[SaId, bytes]],
        gone: Iterable[SaId],
        leases: Sequence[Lease],
        accounts: Sequence[Account],
        tickets: bytes | None,
    ) -> None:
        if tickets is not None:
            self._store.keep(NAME, tickets)
        records = self._core.records(asked)
        now = time.time()
        self._store.write((Row(sa, now, record) for sa, record in records), gone)
        self._store.write_leases(leases)
        self._store.write_accounts(accounts, gone)

    async def park(self) -> None:
        """The core stops; its SAs are in the store, and their peers heard nothing. Nothing may be written after it."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        records = self._core.park(self._fleet.remember(None, Nanos(time.monotonic_ns())))
        now = time.time()
        self._store.park([Row(sa, now, record) for sa, record in records])
        self._store.write_leases(self._leases.changed(now, everything=True))
        self._store.write_accounts(self._account_rows(everything=True), self._gone)
        tickets = self._tickets.changed(self._key)
        if tickets is not None:
            self._store.keep(NAME, tickets)
        log.info("store.parked", text=f"{len(records)} IKE SAs are parked in {self._settings.file}")

    def close(self) -> None:
        """Let the store go."""
        self._store.close()
