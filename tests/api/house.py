"""A facade in memory: a handful of SAs, real rules, no network. The API cannot tell it from the gateway's."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final

from mobike.config.held import Held
from mobike.facade import (
    AddressView,
    ChildView,
    ConnectionView,
    EventPage,
    EventView,
    ExplanationView,
    Health,
    IkeSaDetail,
    IkeSaView,
    MoveView,
    NotFound,
    Page,
    PairView,
    Refused,
)
from mobike.facade.attempts import AttemptView
from mobike.facade.configuration import (
    Author,
    ChangeView,
    Configurations,
    CredentialStepView,
    CredentialView,
    Edit,
    FlawView,
    Invalid,
    PlanView,
    RevisionPage,
    RevisionView,
    StateView,
    StepView,
    TableView,
)
from mobike.facade.exchanges import ExchangeView
from mobike.facade.inventory import (
    CertificateView,
    ExpiryView,
    Inventory,
    LinkRuleView,
    PolicyView,
    PoolView,
    RangeView,
)
from mobike.facade.keys import KEYS, REQUIRED
from mobike.facade.lists import ChildRow, ChildRows, PathRow
from mobike.facade.readings import Reading, Spread
from mobike.gateway import vault
from mobike.gateway.attention import Attention
from tests.api.tapes import Tapes
from tests.api.tries import tries_of

BORN: Final = 1_790_000_000.0
RING: Final = 1000


def a_sa(number: int, connection: str = "office") -> IkeSaView:
    return IkeSaView(
        id=f"{number:x}",
        connection=connection,
        role="initiator",
        state="established",
        local="192.0.2.10:4500",
        remote="203.0.113.1:4500",
        peer_id="gw.example.net",
        mobike=True,
        nat="none",
        suite="aes128gcm16-prfsha256-x25519",
        spi_i=f"{number:016x}",
        spi_r=f"{number + 1:016x}",
        virtual_ips=("10.99.0.1",),
        since=BORN,
        moves=0,
    )


def a_child(sa: IkeSaView) -> ChildView:
    return ChildView(
        id=f"{sa.id}.1",
        name="office",
        spi_in="c0ffee01",
        spi_out="c0ffee02",
        suite="aes128gcm16",
        local_ts=("10.99.0.1/32",),
        remote_ts=("10.1.0.0/16",),
        encap=True,
        mode="tunnel",
        packets_in=1200,
        packets_out=1201,
        bytes_in=100_800,
        bytes_out=100_884,
    )


def a_child_row(sa: IkeSaView, name: str) -> ChildRow:
    child = a_child(sa)
    place = (child.spi_in, child.spi_out, child.suite, child.local_ts, child.remote_ts, child.encap)
    return ChildRow(f"{sa.id}.{name}", sa.id, sa.connection, name, *place)


@dataclass
class Chancery:
    """Implements `mobike.facade.configuration.Configurations`: there is one edit, applied when that is asked for."""

    revision: int = 1
    until: float | None = None
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    flaws: tuple[FlawView, ...] = ()
    held: dict[str, Held] = field(default_factory=dict)

    def credentials(self) -> Sequence[CredentialView]:
        return vault.views(self.held, self.stored)

    def state(self) -> StateView:
        return StateView(self.revision, BORN, self.until, (), tuple(sorted(self.stored)))

    def table(self, name: str) -> TableView:
        if name == "office":
            return TableView(name, "mobike.toml:7", False, {"role": "initiator"}, ("psk",))
        if name not in self.stored:
            raise NotFound(f"there is no connection {name!r}")
        return TableView(name, "the store", True, self.stored[name], ())

    async def confirm(self, by: Author) -> StateView:
        if self.until is None:
            raise Refused("nothing waits for a confirmation")
        self.until = None
        return self.state()

    async def rollback(self, revision: int, by: Author, *, keep: bool = False) -> PlanView:
        if not 1 <= revision <= self.revision:
            raise NotFound(f"there is no revision {revision}")
        self.until = None
        return await self.apply(Edit(), by, keep=keep)

    def revisions(self, *, before: int | None = None, limit: int = 50) -> RevisionPage:
        numbers = [each for each in range(self.revision, 0, -1) if before is None or each < before]
        items = tuple(
            RevisionView(each, BORN + each, "user 0", "api", "office changed", each == self.revision)
            for each in numbers[:limit]
        )
        return RevisionPage(items, items[-1].number if len(numbers) > limit else None)

    async def changes(self, revision: int, *, since: int | None = None) -> PlanView:
        for each in (revision, revision - 1 if since is None else since):
            if not 1 <= each <= self.revision:
                raise NotFound(f"there is no revision {each}")
        return PlanView((), (), (), ()) if since == revision else await self.plan(Edit())

    async def plan(self, edit: Edit, *, keep: bool = False) -> PlanView:
        if flaws := [*self.flaws, *_flaws(edit)]:
            raise Invalid(flaws)
        _, steps = self._credentials(edit)
        change = ChangeView("connections.office.ike", ["a"], ["b"], "ike", "mobike.toml:7")
        touch, words = ("next", "stay") if keep else ("reauthenticate", "are reauthenticated")
        return PlanView((StepView("office", "changed", touch, words, 1, (change,)),), (), (), (), tuple(steps))

    async def apply(self, edit: Edit, by: Author, *, keep: bool = False, confirm_s: int | None = None) -> PlanView:
        planned = await self.plan(edit, keep=keep)
        held, _ = self._credentials(edit)
        for name, table in edit.connections.items():
            if table is None and name not in self.stored:
                raise NotFound(f"there is no connection {name!r}")
            if table is None:
                del self.stored[name]
            else:
                self.stored[name] = dict(table)
        for name, patch in edit.patches.items():
            if name not in self.stored:
                raise NotFound(f"there is no connection {name!r}")
            self.stored[name] |= patch
        self.held = held
        self.revision += 1
        self.until = self.until if confirm_s is None else BORN + confirm_s
        return replace(planned, revision=self.revision, confirm_by=self.until)

    def _credentials(self, edit: Edit) -> tuple[dict[str, Held], list[CredentialStepView]]:
        """Any text will do."""
        held, steps = dict(self.held), []
        for name, new in edit.credentials.items():
            was = held.pop(name, None)
            if new is None and was is None:
                raise NotFound(f"there is no credential {name!r}")
            steps.append(CredentialStepView(name, "removed" if new is None else "changed" if was else "added"))
            if new is not None:
                mark = f"hmac-sha256:{sha256(new.content.encode(errors='replace')).hexdigest()}"
                held[name] = Held(new.kind, new.content, (mark,), None, BORN, BORN)
        vault.still_named(self.held, held, self.stored)
        return held, steps


def _flaws(edit: Edit) -> Iterator[FlawView]:
    """Of keys; any value will do."""
    whole = {name: table for name, table in edit.connections.items() if table is not None}
    for name, table in [*whole.items(), *edit.patches.items()]:
        for key in table.keys() - KEYS["connections.NAME"].keys():
            yield FlawView("there is no such key", key, None, name, (key,))
    for name, table in whole.items():
        for key in REQUIRED["connections.NAME"]:
            if key not in table:
                yield FlawView("is missing", key, None, name)


class Cellar:
    """Implements `mobike.facade.inventory.Inventory`."""

    def pools(self) -> tuple[PoolView, ...]:
        four, six = RangeView("10.99.0.1", "10.99.0.254", 254), RangeView("2001:db8:9::1", "2001:db8:9::ff", 255)
        return (
            PoolView("guests", ("lab",), (RangeView("10.98.0.0", "10.98.255.255", 65_536),), 3600.0),
            PoolView(None, ("office",), (four, six), 0.0),
        )

    def certificates(self) -> tuple[CertificateView, ...]:
        place = ("CN=gw.example.net", "CN=Example CA", "1f", ("DNS:gw.example.net",), BORN, BORN + 86_400)
        return (CertificateView("ab" * 32, "own", ("office",), *place, "ECDSA secp256r1"),)

    def expiries(self) -> tuple[ExpiryView, ...]:
        ends = (
            ("crl", "CN=Example CA", 3_600),
            ("own", "CN=me.example.net", 86_400),
            ("own", "CN=me.example.net", 99_999),
        )
        return tuple(ExpiryView(use, name, ("office",), BORN + left) for use, name, left in ends)

    def policies(self) -> tuple[PolicyView, ...]:
        rules = (LinkRuleView("wlan*", 1, 0, True),)
        ends = (("10.99.0.1/32",), ("10.1.0.0/16",))
        return (PolicyView("office", "initiator", "ordered", rules, ("udp", "tcp"), *ends, False),)


@dataclass
class House:
    """Implements `mobike.facade.Facade`."""

    sas: dict[str, IkeSaView] = field(default_factory=dict)
    known: dict[str, ConnectionView] = field(
        default_factory=lambda: {
            "office": ConnectionView("office", "initiator", "up", 1, None, ("office", "voice")),
            "lab": ConnectionView("lab", "initiator", "down", 0, "no answer from 203.0.113.9 (8 tries in 165 s)"),
            "roadwarriors": ConnectionView("roadwarriors", "responder", "listening", 0, None),
        }
    )
    local: dict[str, AddressView] = field(
        default_factory=lambda: {
            "192.0.2.10": AddressView("192.0.2.10", "wlan0", True),
            "198.51.100.20": AddressView("198.51.100.20", "wwan0", True),
        }
    )
    manual: bool = True
    ready: bool = True
    live: bool = True
    orders: list[str] = field(default_factory=list)
    last_moves: dict[str, MoveView] = field(default_factory=dict)
    said: dict[str, list[ExchangeView]] = field(default_factory=dict)
    ring: deque[EventView] = field(default_factory=lambda: deque(maxlen=RING))
    news: list[ConnectionView] = field(default_factory=list)
    """What has happened and nobody here knows yet."""
    seq: int = 0
    configurations: Chancery = field(default_factory=Chancery)
    captures: Tapes = field(default_factory=Tapes)
    log_levels: Attention = field(default_factory=lambda: Attention(lambda _: None, lambda _kind, _text: None))
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    open_streams: int = 0

    @property
    def configuration(self) -> Configurations:
        return self.configurations

    @property
    def inventory(self) -> Inventory:
        return Cellar()

    def health(self) -> Health:
        reasons = () if self.ready else ("no local address can be used",)
        return Health(self.live, self.ready, reasons, "0.1.0", 3725.0)

    def counters(self) -> dict[str, int]:
        return {"ike_received": 7, "ike_dropped_unknown_spi": 2}

    def readings(self) -> tuple[Reading, ...]:
        spread = Spread((0.01, 0.1), (3, 2, 1), 0.5)
        return (Reading("office", {"moved": 6, "sa-up": 1}, {"update": spread, "test": spread}, spread),)

    def connections(self) -> tuple[ConnectionView, ...]:
        return tuple(self.known.values())

    def list_ike_sas(self, *, after: str | None = None, limit: int = 100, connection: str | None = None) -> Page:
        assert 1 <= limit <= 1000
        ids = [sa.id for sa in self.sas.values() if connection in {None, sa.connection}]
        begin = 0
        if after is not None:
            if after not in ids:
                raise Refused(f"{after!r} is no cursor", field="after", hint="begin again without it")
            begin = ids.index(after) + 1
        chosen = ids[begin : begin + limit]
        more = begin + limit < len(ids)
        return Page(tuple(self.sas[sa] for sa in chosen), chosen[-1] if more else None, len(ids))

    def catch_up(self) -> None:
        self.known |= {each.name: each for each in self.news}
        self.news.clear()

    def list_child_sas(self, *, after: str | None = None, limit: int = 100, connection: str | None = None) -> ChildRows:
        page = self.list_ike_sas(after=after, limit=limit, connection=connection)
        return ChildRows(tuple(a_child_row(sa, each) for sa in page.items for each in ("data", "voice")), page.after)

    def list_paths(self, *, limit: int = 1000) -> tuple[PathRow, ...]:
        probed, silent = (True, False, 12.5, 0.25), (None, None, None, None)
        return (
            PathRow("192.0.2.10", "203.0.113.1", "udp", "wlan0", "verified", "none", BORN, 1, *probed),
            PathRow("198.51.100.20", "203.0.113.1", "tcp", None, "silent", "unknown", BORN, 0, *silent),
        )

    def attempts(self, *, peer: str | None = None, limit: int = 20) -> tuple[AttemptView, ...]:
        return tries_of(peer)[:limit]

    def ike_sa(self, sa: str) -> IkeSaDetail:
        view = self._sa(sa)
        here = view.local.rpartition(":")[0]
        pairs = tuple(
            PairView(
                rank=rank,
                local=address.ip,
                remote="203.0.113.1",
                link=address.link,
                current=address.ip == here,
                usable=address.available,
                score=f"verified, rank {rank}",
                why="in use" if address.ip == here else "ranks behind the one in use",
            )
            for rank, address in enumerate(self.local.values(), 1)
        )
        why = "wlan0 is the first of your links, and the peer answers there"
        return IkeSaDetail(view, why, pairs, ("203.0.113.2",), (a_child(view),), self.last_moves.get(sa))

    def explain(self, sa: str, *, without: str | None = None) -> ExplanationView:
        detail = self.ike_sa(sa)
        if without is not None and all(without not in (each.ip, each.link) for each in self.local.values()):
            raise Refused(f"{without!r} is no link and no address of ours", field="without")
        left = [pair for pair in detail.pairs if without not in (pair.link, pair.local)]
        if not left:
            return ExplanationView(without, "wait", None, None, "nothing is left", detail.pairs)
        stays = any(pair.current for pair in left)
        best = next((pair for pair in left if pair.current), left[0])
        why = detail.why if stays else f"{without} is gone"
        return ExplanationView(without, "stay" if stays else "move", best.local, best.remote, why, detail.pairs)

    def exchanges(self, sa: str) -> tuple[ExchangeView, ...]:
        return tuple(self.said.get(self._sa(sa).id, ()))

    def addresses(self) -> tuple[AddressView, ...]:
        return tuple(self.local.values())

    def up(self, connection: str) -> None:
        if self._connection(connection).role == "responder":
            raise Refused(f"{connection} is a responder: it listens", hint="bring it up from the other end")
        self.orders.append(f"up {connection}")

    def down(self, connection: str) -> None:
        self._connection(connection)
        self.orders.append(f"down {connection}")

    def away(self, connection: str, span_s: int) -> None:
        if not self._connection(connection).ike_sas:
            raise Refused(f"{connection} has no IKE SA", hint="bring it up first")
        self.orders.append(f"away {connection} {span_s}")

    def back(self, connection: str) -> None:
        if not self._connection(connection).ike_sas:
            raise Refused(f"{connection} has no IKE SA", hint="bring it up first")
        self.orders.append(f"back {connection}")

    def close(self, sa: str) -> None:
        del self.sas[self._sa(sa).id]
        self.orders.append(f"close {sa}")

    def move(self, sa: str, *, local: str | None, remote: str | None) -> None:
        view = self._sa(sa)
        if local is not None and local not in self.local:
            known = ", ".join(self.local)
            raise Refused(f"{local} is no address of ours", field="local", hint=f"ours are {known}")
        path = f"{local or '192.0.2.10'}:4500"
        self.sas[sa] = replace(view, local=path, moves=view.moves + 1)
        self.last_moves[sa] = MoveView(BORN + 60, view.local, path, "the operator said so", 12.5)
        self.orders.append(f"move {sa} {local} {remote}")
        self.tell("moved", f"{sa} moved to {path}", sa=sa)

    def probe(self, sa: str) -> None:
        self._sa(sa)
        self.orders.append(f"probe {sa}")

    def rekey(self, sa: str, *, children: bool) -> None:
        view = self._sa(sa)
        self.sas[sa] = replace(view, spi_i=f"{int(view.spi_i, 16) + 1:016x}")
        self.orders.append(f"rekey {sa} {'children' if children else 'ike'}")

    def reauth(self, sa: str) -> None:
        view = self._sa(sa)
        self.sas[f"{sa}0"] = replace(view, id=f"{sa}0")
        self.orders.append(f"reauth {sa}")

    def redirect(self, sa: str, to: Sequence[str]) -> None:
        self._sa(sa)
        self.orders.append(f"redirect {sa} {' '.join(to)}")

    def drain(self, to: Sequence[str]) -> None:
        self.orders.append(f"drain {' '.join(to)}")

    def open_child(self, sa: str, name: str) -> None:
        if name not in self.known[self._sa(sa).connection].children:
            raise Refused(f"no Child SA {name}", field="name")
        self.orders.append(f"open {sa} {name}")

    def close_child(self, sa: str, child: str) -> None:
        if child != a_child(self._sa(sa)).id:
            raise NotFound(f"no Child SA {child}")
        self.orders.append(f"close {sa} {child}")

    def pin(self, sa: str) -> None:
        self._sa(sa)
        self.orders.append(f"pin {sa}")

    def unpin(self, sa: str) -> None:
        if self._sa(sa).moves == 0:
            raise Refused("no order to move holds for it")
        self.orders.append(f"unpin {sa}")

    def avoid(self, link: str, *, avoid: bool) -> None:
        if all(link != each.link for each in self.local.values()):
            raise Refused(f"there is no link {link} here")
        self.orders.append(f"{'avoid' if avoid else 'lift'} {link}")

    def set_address(self, ip: str, *, available: bool, announce: bool = True) -> None:
        if not self.manual:
            raise Refused("addresses come from the kernel", hint='set [links] source = "manual" for tests')
        if ip not in self.local:
            raise NotFound(f"{ip} is no address of ours")
        self.local[ip] = replace(self.local[ip], available=available)
        self.orders.append(f"{'plug' if available else 'unplug'} {ip} announce={announce}")

    async def events(self, after: int | None = None) -> AsyncIterator[EventView]:
        self.open_streams += 1
        try:
            at = self.seq if after is None or after > self.seq else after
            while True:
                oldest = self.ring[0].seq if self.ring else self.seq + 1
                if at + 1 < oldest:
                    gone = oldest - at - 1
                    at = oldest - 1
                    yield EventView(at, BORN, "dropped", None, None, f"{gone} events are gone", {"count": gone})
                for event in [event for event in self.ring if event.seq > at]:
                    if event.seq < self.ring[0].seq:
                        break
                    at = event.seq
                    yield event
                if at == self.seq:
                    self.bell.clear()
                    await self.bell.wait()
        finally:
            self.open_streams -= 1

    def past_events(
        self,
        *,
        before: int | None = None,
        limit: int = 100,
        sa: str | None = None,
        connection: str | None = None,
        kinds: frozenset[str] = frozenset(),
    ) -> EventPage:
        fits = [
            event
            for event in reversed(self.ring)
            if (before is None or event.seq < before)
            and sa in {None, event.sa}
            and connection in {None, event.connection}
            and (not kinds or event.kind in kinds)
        ]
        more = len(fits) > limit
        return EventPage(tuple(fits[:limit]), fits[limit - 1].seq if more else None)

    def tell(self, kind: str, text: str, *, sa: str | None = None, data: dict[str, Any] | None = None) -> None:
        self.seq += 1
        self.ring.append(EventView(self.seq, BORN + self.seq, kind, sa, "office", text, data or {"n": self.seq}))
        self.bell.set()

    def _sa(self, sa: str) -> IkeSaView:
        if sa not in self.sas:
            raise NotFound(f"there is no IKE SA {sa}")
        return self.sas[sa]

    def _connection(self, name: str) -> ConnectionView:
        if name not in self.known:
            raise NotFound(f"there is no connection {name}")
        return self.known[name]


def a_house(count: int = 3) -> House:
    return House(sas={f"{number:x}": a_sa(number) for number in range(1, count + 1)})
