"""The facade: what the API sees of the gateway, and where its orders go."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from importlib.metadata import version
from ipaddress import ip_address
from typing import NoReturn, Protocol

from mobike.address import ChildId, Ip, SaId
from mobike.config.fields import read_gateway
from mobike.events import (
    OperatorAvoid,
    OperatorAway,
    OperatorBack,
    OperatorClose,
    OperatorCloseChild,
    OperatorDown,
    OperatorDrain,
    OperatorEvent,
    OperatorMove,
    OperatorOpenChild,
    OperatorProbe,
    OperatorReauth,
    OperatorRedirect,
    OperatorRekey,
    OperatorUnpin,
    OperatorUp,
)
from mobike.exchange import Exchange
from mobike.facade import (
    AddressView,
    ConnectionView,
    EventPage,
    EventView,
    ExplanationView,
    Health,
    IkeSaDetail,
    NotFound,
    Page,
    Refused,
)
from mobike.facade.attempts import AttemptView
from mobike.facade.captures import Captures
from mobike.facade.configuration import Configurations
from mobike.facade.exchanges import ExchangeView
from mobike.facade.inventory import Inventory
from mobike.facade.lists import ChildRows, PathRow
from mobike.facade.loudness import LogLevels
from mobike.facade.readings import Reading
from mobike.fleet import Fleet, SessionDetail
from mobike.gateway import rows
from mobike.gateway.exchanges import shown
from mobike.gateway.journal import Journal

LONGEST_AWAY_S = 365 * 86_400
"""Far beyond any policy of a peer; its answer says what it grants."""

MOST_GATEWAYS = 8
"""Named in one order; one of each family is used."""

MOST_ROWS = 1000
"""Rows of one page: a few milliseconds of the gateway's loop."""


class CoreCounts(Protocol):
    """The part of the core that views need."""

    def counters(self) -> dict[str, int]: ...

    def exchanges(self, sa: SaId, /) -> tuple[Exchange, ...] | None: ...


class Plug(Protocol):
    """Puts the cable of a manual address in, or pulls it."""

    def __call__(self, ip: Ip, *, available: bool, announce: bool) -> None: ...


class Desk:
    """Implements `mobike.facade.Facade`."""

    def __init__(
        self,
        fleet: Fleet,
        core: CoreCounts,
        journal: Journal,
        *,
        carried: Callable[[ChildId], Mapping[str, int] | None],
        captures: Captures | None = None,
        log_levels: LogLevels | None = None,
        attempts: Callable[[str | None, int], tuple[AttemptView, ...]] = lambda _peer, _limit: (),
        hooks: Callable[[], dict[str, int]],
        readings: Callable[[], tuple[Reading, ...]],
        order: Callable[[OperatorEvent], None],
        catch_up: Callable[[], None] = lambda: None,
        plug: Plug | None,
        troubles: Callable[[], Sequence[str]],
        inventory: Inventory,
        configuration: Configurations | None = None,
    ) -> None:
        self._fleet = fleet
        self._core = core
        self._journal = journal
        self._carried = carried
        self._attempts = attempts
        self._captures = captures
        self._log_levels = log_levels
        self._hooks = hooks
        self._readings = readings
        self._order = order
        self.catch_up = catch_up
        self._plug = plug
        self._troubles = troubles
        self._inventory = inventory
        self._configuration = configuration
        self._began = time.monotonic()

    # --- seen ---

    def health(self) -> Health:
        reasons = tuple(self._troubles())
        return Health(True, not reasons, reasons, version("mobike"), time.monotonic() - self._began)

    def counters(self) -> dict[str, int]:
        return self._core.counters() | self._hooks()

    @property
    def configuration(self) -> Configurations:
        if self._configuration is None:
            raise Refused("this daemon runs without a configuration that could be changed")
        return self._configuration

    @property
    def inventory(self) -> Inventory:
        return self._inventory

    def readings(self) -> tuple[Reading, ...]:
        return self._readings()

    @property
    def log_levels(self) -> LogLevels:
        if self._log_levels is None:
            raise Refused("this daemon logs of all peers alike")
        return self._log_levels

    @property
    def captures(self) -> Captures:
        if self._captures is None:
            raise Refused("nothing can be captured here")
        return self._captures

    def connections(self) -> tuple[ConnectionView, ...]:
        return tuple(
            ConnectionView(each.name, each.role.value, each.state, each.sas, each.last_error, each.children)
            for each in self._fleet.connections()
        )

    def list_ike_sas(self, *, after: str | None = None, limit: int = 100, connection: str | None = None) -> Page:
        if not 1 <= limit <= MOST_ROWS:
            raise Refused(f"limit is {limit}", field="limit", hint=f"give 1 to {MOST_ROWS}")
        page = self._fleet.page(None if after is None else _sa_of_cursor(after), limit, connection)
        following = None if page.after is None else rows.id_of(page.after)
        return Page(tuple(map(rows.ike_sa, page.items)), following, page.total)

    def list_child_sas(self, *, after: str | None = None, limit: int = 100, connection: str | None = None) -> ChildRows:
        if not 1 <= limit <= MOST_ROWS:
            raise Refused(f"limit is {limit}", field="limit", hint=f"give 1 to {MOST_ROWS}")
        found, more = self._fleet.children(None if after is None else _sa_of_cursor(after), limit, connection)
        listed = (rows.child_row(sa, name, child) for sa, name, children in found for child in children)
        return ChildRows(tuple(listed), None if more is None else rows.id_of(more))

    def list_paths(self, *, limit: int = MOST_ROWS) -> tuple[PathRow, ...]:
        if not 1 <= limit <= MOST_ROWS:
            raise Refused(f"limit is {limit}", field="limit", hint=f"give 1 to {MOST_ROWS}")
        return tuple(map(rows.path_row, self._fleet.facts(limit)))

    def ike_sa(self, sa: str) -> IkeSaDetail:
        detail = self._detail(sa)
        return IkeSaDetail(
            sa=rows.ike_sa(detail.row),
            why=detail.why,
            pairs=tuple(map(rows.pair, detail.pairs)),
            peer_addresses=tuple(map(str, detail.peer_addresses)),
            children=tuple(rows.children(detail, self._carried)),
            last_move=None if detail.last_move is None else rows.move(detail.last_move),
            pin=detail.pin,
            dns=tuple(map(str, detail.handout.dns)),
            networks=detail.handout.networks,
            domains=detail.handout.domains,
        )

    def exchanges(self, sa: str) -> tuple[ExchangeView, ...]:
        kept = self._core.exchanges(self._known(sa))
        return () if kept is None else tuple(shown(each, rows.EPOCH) for each in kept)

    def explain(self, sa: str, *, without: str | None = None) -> ExplanationView:
        if without is not None and not self._fleet.is_ours(without):
            hint = "GET /api/v1/addresses lists addresses and their links"
            raise Refused(f"{without!r} is no link and no address of ours", field="without", hint=hint)
        number = _number(sa)
        supposed = None if number is None else self._fleet.suppose(number, without)
        row = None if number is None else self._fleet.row(number)
        if supposed is None or row is None:
            _no_sa(sa)
        pair = row.path.pair if supposed.stays else supposed.moves_to
        return ExplanationView(
            without=without,
            decision="stay" if supposed.stays else "wait" if pair is None else "move",
            local=None if pair is None else str(pair.local),
            remote=None if pair is None else str(pair.remote),
            why=supposed.why,
            pairs=tuple(map(rows.pair, supposed.pairs)),
        )

    def attempts(self, *, peer: str | None = None, limit: int = 20) -> tuple[AttemptView, ...]:
        if not 1 <= limit <= MOST_ROWS:
            raise Refused(f"limit is {limit}", field="limit", hint=f"give 1 to {MOST_ROWS}")
        return self._attempts(peer, limit)

    def addresses(self) -> tuple[AddressView, ...]:
        return tuple(
            AddressView(str(each.ip), each.link, each.available, each.standing, each.ike_sas)
            for each in self._fleet.addresses()
        )

    def events(self, after: int | None = None) -> AsyncIterator[EventView]:
        return self._journal.follow(after)

    def past_events(
        self,
        *,
        before: int | None = None,
        limit: int = 100,
        sa: str | None = None,
        connection: str | None = None,
        kinds: frozenset[str] = frozenset(),
    ) -> EventPage:
        if not 1 <= limit <= MOST_ROWS:
            raise Refused(f"limit is {limit}", field="limit", hint=f"give 1 to {MOST_ROWS}")
        number = None if sa is None else _number(sa)
        if sa is not None and number is None:
            return EventPage((), None)
        return self._journal.past(before, limit, sa=number, connection=connection, kinds=kinds)

    # --- ordered ---

    def up(self, connection: str) -> None:
        row = self._connection(connection)
        if row.role != "initiator":
            hint = "its peer begins it; look at `last_error` if it does not come up"
            raise Refused(f"{connection} waits for its peer", hint=hint)
        self._order(OperatorUp(connection))

    def down(self, connection: str) -> None:
        self._connection(connection)
        self._order(OperatorDown(connection))

    def away(self, connection: str, span_s: int) -> None:
        if not 1 <= span_s <= LONGEST_AWAY_S:
            raise Refused(f"span_s is {span_s}", field="span_s", hint=f"give 1 to {LONGEST_AWAY_S} seconds")
        self._initiated(connection, "away")
        self._order(OperatorAway(connection, span_s * 1_000_000_000))

    def back(self, connection: str) -> None:
        self._initiated(connection, "back")
        self._order(OperatorBack(connection))

    def close(self, sa: str) -> None:
        self._order(OperatorClose(self._known(sa)))

    def move(self, sa: str, *, local: str | None, remote: str | None) -> None:
        known = self._known(sa)
        pair = (_ip(local, "local"), _ip(remote, "remote"))
        objection = self._fleet.objection_to_move(known, *pair)
        if objection is not None:
            raise Refused(
                objection, hint=f"GET /api/v1/ike-sas/{sa} lists the pairs and why each can or cannot be used"
            )
        self._order(OperatorMove(known, *pair))

    def probe(self, sa: str) -> None:
        known = self._known(sa)
        objection = self._fleet.objection_to_probe(known)
        if objection is not None:
            raise Refused(objection)
        self._order(OperatorProbe(known))

    def rekey(self, sa: str, *, children: bool) -> None:
        self._order(OperatorRekey(self._known(sa), children))

    def reauth(self, sa: str) -> None:
        known = self._known(sa)
        objection = self._fleet.objection_to_reauth(known)
        if objection is not None:
            raise Refused(objection)
        self._order(OperatorReauth(known))

    def redirect(self, sa: str, to: Sequence[str]) -> None:
        known = self._known(sa)
        objection = self._fleet.objection_to_redirect(known)
        if objection is not None:
            raise Refused(objection, hint="order it at the gateway")
        if not to:
            raise Refused("nothing is said of where to", field="to", hint="give addresses or host names of gateways")
        self._order(OperatorRedirect(known, _gateways(to)))

    def drain(self, to: Sequence[str]) -> None:
        self._order(OperatorDrain(_gateways(to)))

    def open_child(self, sa: str, name: str) -> None:
        known = self._known(sa)
        objection = self._fleet.objection_to_open(known, name)
        if objection is not None:
            raise Refused(objection, field="name")
        self._order(OperatorOpenChild(known, name))

    def close_child(self, sa: str, child: str) -> None:
        known = self._known(sa)
        for each in self._detail(sa).children:
            if rows.id_of(each.child) == child:
                return self._order(OperatorCloseChild(known, each.child))
        raise NotFound(f"IKE SA {sa} has no Child SA {child!r}")

    def pin(self, sa: str) -> None:
        here = self._detail(sa).row.path.pair
        self.move(sa, local=str(here.local), remote=str(here.remote))

    def unpin(self, sa: str) -> None:
        known = self._known(sa)
        objection = self._fleet.objection_to_unpin(known)
        if objection is not None:
            raise Refused(objection)
        self._order(OperatorUnpin(known))

    def avoid(self, link: str, *, avoid: bool) -> None:
        objection = self._fleet.objection_to_avoid(link, avoid=avoid)
        if objection is not None:
            raise Refused(objection, hint="GET /api/v1/addresses lists addresses and their links")
        self._order(OperatorAvoid(link, avoid))

    def set_address(self, ip: str, *, available: bool, announce: bool = True) -> None:
        if self._plug is None:
            raise Refused(
                "the kernel says which addresses there are",
                hint='[links] source = "manual" makes them yours to plug; otherwise use ip(8)',
            )
        address = _ip(ip, "ip")
        try:
            self._plug(ip_address(ip) if address is None else address, available=available, announce=announce)
        except KeyError:
            raise NotFound(f"{ip} is not in links.manual") from None

    # --- helpers ---

    def _initiated(self, connection: str, order: str) -> None:
        row = self._connection(connection)
        if row.role != "initiator":
            hint = f"order `{order}` at the end that begins it"
            raise Refused(f"{connection} waits for its peer, and only who begins a connection can be away", hint=hint)
        if not row.ike_sas:
            raise Refused(f"{connection} has no IKE SA", hint=f"mobike up {connection}")

    def _known(self, sa: str) -> SaId:
        number = _number(sa)
        if number is None or self._fleet.row(number) is None:
            _no_sa(sa)
        return number

    def _detail(self, sa: str) -> SessionDetail:
        number = _number(sa)
        detail = None if number is None else self._fleet.view(number)
        return _no_sa(sa) if detail is None else detail

    def _connection(self, name: str) -> ConnectionView:
        for each in self.connections():
            if each.name == name:
                return each
        raise NotFound(f"there is no connection {name!r}")


def _number(sa: str) -> SaId | None:
    try:
        return SaId(int(sa, 16)) if len(sa) <= 16 else None
    except ValueError:
        return None


def _sa_of_cursor(after: str) -> SaId:
    number = _number(after)
    if number is None:
        raise Refused(f"{after!r} is no cursor", field="after", hint="use the `after` of the page before, as it is")
    return number


def _ip(text: str | None, field: str) -> Ip | None:
    if text is None:
        return None
    try:
        return ip_address(text)
    except ValueError:
        raise Refused(f"{text!r} is no IP address", field=field, hint="like 192.0.2.7 or 2001:db8::7") from None


def _gateways(to: Sequence[str]) -> tuple[str, ...]:
    if len(to) > MOST_GATEWAYS:
        raise Refused(f"{len(to)} gateways are named", field="to", hint=f"at most {MOST_GATEWAYS}")
    try:
        return tuple(map(read_gateway, to))
    except ValueError as problem:
        raise Refused(str(problem), field="to", hint="like 192.0.2.7 or gw2.example.net") from None


def _no_sa(sa: str) -> NoReturn:
    raise NotFound(f"there is no IKE SA {sa!r}")
