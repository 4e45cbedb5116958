"""Orders and their answers: the newest decision wins, at both ends (RFC 4555 sections 3.5 and 3.6)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from mobike.address import Generation, Ip, Path, SaId, Transport
from mobike.commands import Announce, Command, Move, Probe
from mobike.dataplane.operations import Operation
from mobike.events import Event, IkeSaRekeyed, IkeSaResumed, IkeSaUp, Moved, MoveRefused, PathSilent, PeerMoved, Role
from mobike.sim.host import Host
from mobike.sim.rules.base import (
    CREATE_CHILD_SA,
    IKE_FOLLOWUP_KE,
    INFORMATIONAL,
    REMEMBERED,
    Broken,
    Life,
    Lives,
    Memory,
    Message,
    Rule,
)

_NONE: Final = Generation(-1)
_OTHERS: Final = frozenset((CREATE_CHILD_SA, IKE_FOLLOWUP_KE))
"""Exchanges of an IKE SA that is up, beside INFORMATIONAL."""


@dataclass(slots=True)
class _Orders:
    """What one end was ordered to do with one SA."""

    moves: dict[Generation, Path] = field(default_factory=dict)
    newest: Generation = _NONE
    settled: Generation = _NONE
    where: Path | None = None
    """Of the newest Move."""
    since: int = 0
    """The moment of the newest order."""
    at_once: dict[Path, None] = field(default_factory=dict)
    """Where all orders of that moment go: one turn may decide anew what it decided, and each order is obeyed."""
    also: dict[Path, None] = field(default_factory=dict)
    """Where else it may ask: probes and lists have paths of their own."""


class _OfOrders(Rule):
    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._orders = Memory(_Orders)

    def wrote_down(self, host: Host, sas: Sequence[SaId]) -> None:
        self._orders.wrote_down(host)

    def booted(self, host: Host) -> None:
        self._orders.booted(host)

    def ordered(self, host: Host, orders: Sequence[Command | Operation]) -> None:
        for each in orders:
            if isinstance(each, Move | Announce | Probe):
                self._take(host, self._orders.of(host, each.sa), each)

    def told(self, host: Host, event: Event) -> None:
        if isinstance(event, IkeSaUp):
            self._orders.pop(host, event.sa)
        elif isinstance(event, IkeSaResumed):
            # The core may have been ahead of what its control plane had written down.
            self._orders.of(host, event.up.sa).also[event.up.path] = None

    def _take(self, host: Host, orders: _Orders, each: Move | Announce | Probe) -> None:
        orders.newest = max(orders.newest, each.generation)
        if orders.since != host.world.now:
            orders.since, orders.at_once = host.world.now, {}
        life = self.lives.get(host, each.sa)
        if isinstance(each, Announce) and each.path is None and life is not None:
            # It goes where the SA is, before a move behind it is obeyed.
            orders.at_once[orders.where or life.up.path] = None
        if isinstance(each, Move):
            orders.moves[each.generation] = orders.where = each.path
            orders.at_once[each.path] = None
            while len(orders.moves) > REMEMBERED:
                del orders.moves[next(iter(orders.moves))]
        elif each.path is not None:
            orders.also.pop(each.path, None)
            orders.also[each.path] = None
            while len(orders.also) > REMEMBERED:
                del orders.also[next(iter(orders.also))]


class Answers(_OfOrders):
    """Generations grow; an answer names the path that was ordered with its generation; no older one comes after."""

    name: ClassVar[str] = "an answer fits its order"

    def told(self, host: Host, event: Event) -> None:
        super().told(host, event)
        if isinstance(event, Moved | MoveRefused):
            self._answered(host, self._orders.of(host, event.sa), event)
        elif isinstance(event, PathSilent):
            orders = self._orders.get(host, event.sa)
            if orders is not None and event.generation > orders.newest >= 0:
                self.broken(host, f"{event} is of a generation that was never ordered")

    def _answered(self, host: Host, orders: _Orders, event: Moved | MoveRefused) -> None:
        ordered = self._in_force(host, orders, event)
        if event.generation > max(orders.newest, 0) or ordered != event.path:
            self.broken(host, f"{event} does not fit the order of its generation: {ordered}")
        if event.generation < orders.settled:
            self.broken(host, f"{event} comes after an answer to generation {orders.settled}")
        orders.settled = max(orders.settled, event.generation)

    def _in_force(self, host: Host, orders: _Orders, event: Moved | MoveRefused) -> Path:
        """Where the newest move up to this generation sent it. To repair a mapping the engine asks without an order."""
        known = [generation for generation in orders.moves if generation <= event.generation]
        if known:
            return orders.moves[max(known)]
        life = self.lives.get(host, event.sa)
        return event.path if life is None else life.up.path

    def _take(self, host: Host, orders: _Orders, each: Move | Announce | Probe) -> None:
        if each.generation < orders.newest or (isinstance(each, Move) and each.generation == orders.newest):
            self.broken(host, f"{each} comes after generation {orders.newest}")
        super()._take(host, orders, each)


class Directions(_OfOrders):
    """No stale command is applied: an initiator asks where the newest order sent it, or where a probe is to go."""

    name: ClassVar[str] = "no stale command"

    def ike_sent(self, host: Host, path: Path, message: Message) -> None:
        if message.response or message.exchange != INFORMATIONAL:
            return
        life = self.lives.of_spi(host, message.spi)
        if life is None or life.up.role is not Role.INITIATOR:
            return
        orders = self._orders.get(host, life.up.sa)
        where = life.up.path if orders is None or orders.where is None else orders.where
        if orders is not None and (path in orders.also or (path in orders.at_once and orders.since == host.world.now)):
            return
        if path != where:
            self.broken(host, f"{message} goes over {path}, though the newest order is {where}")


@dataclass(slots=True)
class _Heard:
    """What one end has heard from a peer."""

    requests: dict[Path, list[int]] = field(default_factory=dict)
    """Ids of the requests that came over each path, in order: of those that may have been updates."""
    in_streams: dict[Path, list[int]] = field(default_factory=dict)
    """The same of all others that came over streams."""
    basis: int = 0
    """The oldest request by which the newest move can have come about."""
    newest: int = -1
    """The newest request, over whatever path."""
    answers: dict[Path, int] = field(default_factory=dict)
    """Over which answers have come since that move, the last one last, each with the newest request by then. A stalled
    control plane hears of moves later than of the packets behind them, of several at once."""
    before: "_Heard | None" = None
    """The same of the IKE SA that this one replaced: some of its requests may still be on their way."""


class OlderUpdate(Rule):
    """An older update never wins: each move of a peer has a request of its own that came from there, newer than the one
    behind the move before. Or, if a NAT on its way forgot it, it has answered from there.

    In a stream each new request is as good as an update, if the peer has come from that address before: it opens
    another one when it has lost one (RFC 9329 section 6.1), and nothing tells of that but what is in it.
    """

    name: ClassVar[str] = "the newest update wins"

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._heard = Memory(_Heard)

    def wrote_down(self, host: Host, sas: Sequence[SaId]) -> None:
        self._heard.wrote_down(host)

    def booted(self, host: Host) -> None:
        self._heard.booted(host)

    def ike_received(self, host: Host, path: Path, message: Message) -> None:
        if message.exchange == INFORMATIONAL:
            heard = self._heard.of(host, message.spi)
            if message.response:
                self._answered(heard, path)
            else:
                self._asked(heard, heard.requests, path, message.number)
        elif message.exchange in _OTHERS and path.transport is Transport.TCP and not message.response:
            heard = self._heard.of(host, message.spi)
            self._asked(heard, heard.in_streams, path, message.number)

    def _answered(self, heard: _Heard, path: Path) -> None:
        heard.answers.pop(path, None)
        heard.answers[path] = heard.newest
        while len(heard.answers) > REMEMBERED:
            del heard.answers[next(iter(heard.answers))]

    def _asked(self, heard: _Heard, requests: dict[Path, list[int]], path: Path, number: int) -> None:
        heard.newest = max(heard.newest, number)
        known = requests.setdefault(path, [])
        if not known or number > known[-1]:
            known.append(number)
            del known[:-REMEMBERED]
        while len(requests) > REMEMBERED:
            del requests[next(iter(requests))]

    def told(self, host: Host, event: Event) -> None:
        if isinstance(event, IkeSaRekeyed) and (life := self.lives.get(host, event.sa)) is not None:
            heard = self._heard.of(host, event.spi_i)
            # It may be heard for the first time after that: a crash made the peer forget that it was replaced.
            heard.before = self._heard.of(host, life.spi)
        life = self.lives.get(host, event.sa) if isinstance(event, PeerMoved) else None
        if isinstance(event, PeerMoved) and life is not None:
            self._moved(host, life, self._heard.of(host, life.spi), event)

    def _moved(self, host: Host, life: Life, heard: _Heard, event: PeerMoved) -> None:
        known = heard.requests.get(event.path, [])
        if self._came_from(life, heard, event.path.remote.ip):
            known = sorted({*known, *heard.in_streams.get(event.path, [])})
        if not known and not heard.basis and heard.before is not None and event.path not in heard.answers:
            # Nothing newer than the move before is lost: a mark on this IKE SA makes all of the old one older.
            self._moved(host, life, heard.before, event)
            return
        by = next((number for number in known if number >= heard.basis), None)
        if by is not None:
            heard.basis = by
            heard.answers = {path: newest for path, newest in heard.answers.items() if newest >= by}
        elif event.path in heard.answers and event.verified:
            later = list(heard.answers).index(event.path) + 1
            heard.answers = dict(list(heard.answers.items())[later:])
        elif known:
            self.broken(host, f"{event} by request {known[-1]} at best, after a move by request {heard.basis}")
        else:
            self.broken(host, f"{event}, but no request has come from there")

    def _came_from(self, life: Life, heard: _Heard, address: Ip) -> bool:
        """The SA was there once, or it has asked from there for what may have been an update."""
        before = () if heard.before is None else heard.before.requests
        return any(path.remote.ip == address for path in (life.up.path, *heard.requests, *before))
