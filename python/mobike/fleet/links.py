"""Local addresses, links and routes: what is lost moves in the same turn, what is new makes sessions look."""

from abc import ABC
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from mobike.address import Ip, Nanos, Pair
from mobike.commands import SetLocalAddresses
from mobike.events import AddressAdded, AddressRemoved, Event, Role, RouteAnswer, RoutesChanged
from mobike.fleet.facts import Routes
from mobike.fleet.notes import Note
from mobike.fleet.probes import Probes
from mobike.fleet.turn import Turn, situation_key
from mobike.fleet.upkeep import Upkeep, pairs_of
from mobike.mobility.causes import LocalLost
from mobike.mobility.machine import can_step_together, lose_together
from mobike.mobility.session import Session
from mobike.policy.connection import ConnectionPolicy

QUESTIONS_PER_TURN = 256
"""Routes asked of the kernel in one turn: some 10 us each."""


@dataclass(frozen=True, slots=True)
class RouteQuestion:
    """Ask the kernel whether it has a route for this pair; the answer comes back as `RouteAnswer`."""

    pair: Pair


class Links(Probes, ABC):
    """The part of the fleet that follows what this host has."""

    def __init__(self, connections: tuple[ConnectionPolicy, ...], public: tuple[Ip, ...], seed: int) -> None:
        super().__init__(connections, public, seed)
        self._routes = Routes()
        self._calls_all = all(each.policy.initiates for each in self._upkeeps)
        """No peer comes to us by itself."""
        self._settles: set[Nanos] = set()
        self._to_ask: dict[Pair, None] = {}
        self._told_core: tuple[Ip, ...] = ()
        self._ways_changed = False
        """Who is not up yet may have other ways than before."""

    def _take_addresses(self, events: Sequence[Event], turn: Turn) -> None:
        """All address events of the turn at once: the core learns the list first, then those who lost theirs move."""
        news = False
        gone: dict[Ip, None] = {}
        for event in events:
            if isinstance(event, AddressAdded):
                news |= self._address_added(event, turn)
            elif isinstance(event, AddressRemoved) and self._addresses.remove(event.ip, event.link, turn.now):
                news = True
                gone[event.ip] = None
                turn.notes.append(_address_note("address-removed", event, f"{event.ip} ({event.link}) is gone"))
        self._tell_core(turn)
        if news:
            self._something_changed(turn)
        for ip in gone:
            if not self._addresses.is_available(ip):
                self._lose(self._sessions.users(ip), ip, turn)

    def _tell_core(self, turn: Turn) -> None:
        """What IKE_AUTH announces from now on. Sessions that are up tell their peers when they look."""
        if self._told_core is not self._addresses.announced:
            self._told_core = self._addresses.announced
            turn.command(SetLocalAddresses(self._told_core))

    def _address_added(self, event: AddressAdded, turn: Turn) -> bool:
        known = self._addresses.get(event.ip)
        news = self._addresses.add(
            event.ip, event.link, turn.now, deprecated=event.deprecated, optimistic=event.optimistic
        )
        if not news:
            return False
        if known is not None and known.available and known.link == event.link:
            text = f"{event.ip} ({event.link}) is {_standing(event)} now"
            turn.notes.append(_address_note("address-changed", event, text))
            return True
        self._facts.forget_local(event.ip)
        self._routes.forget(event.ip)
        self._settles.update(Nanos(turn.now + each.policy.moves.settle) for each in self._upkeeps)
        turn.notes.append(_address_note("address-added", event, f"{event.ip} ({event.link}) can be used"))
        return True

    def _something_changed(self, turn: Turn) -> None:
        turn.look_anew()
        self._to_watch.update(dict.fromkeys(self._watching))
        self._to_look = dict.fromkeys(self._sessions.ids())
        if self._look_at is None and self._to_look:
            self._look_at = turn.now
        self._upkeeps.something_changed(turn.now)
        self._ways_changed = True
        for upkeep in self._upkeeps:
            self._ask_routes(upkeep)

    def _lose(self, sessions: Iterable[Session], ip: Ip, turn: Turn) -> None:
        """Sessions in the same situation step together: what is said of a hundred thousand is worked out once."""
        lost = LocalLost(ip)
        groups: dict[tuple[object, ...], list[Session]] = {}
        for session in sessions:
            self._to_look.pop(session.sa, None)
            if not can_step_together(session):
                self._step(session, lost, turn)
                continue
            key = situation_key(session)
            group = groups.get(key)
            if group is None:
                groups[key] = [session]
            else:
                group.append(session)
        for group in groups.values():
            was = group[0].path.local
            lose_together(group, lost, turn)
            self._sessions.moved_together(group, was)

    def _route_answer(self, event: RouteAnswer, turn: Turn) -> None:
        self._note_operational(event, turn)
        if not self._facts.route(event.pair, reachable=event.reachable, into_tunnel=event.into_tunnel, now=turn.now):
            return
        turn.look_anew()
        self._ways_changed = True
        if not event.reachable:
            users = self._sessions.on_pair(event.pair)
            self._lose((each for each in users if each.role is Role.INITIATOR), event.pair.local, turn)
            return
        self._upkeeps.something_changed(turn.now)
        self._look_all(turn)

    def _note_operational(self, event: RouteAnswer, turn: Turn) -> None:
        """An address from which nobody can be reached is not announced. Where peers come to us, routes to the few that
        we call say nothing about the many that call us."""
        usable = self._routes.answer(event.pair, reachable=event.reachable)
        if self._calls_all:
            self._addresses.note_routes(event.pair.local, usable=usable)

    def _routes_changed(self, event: RoutesChanged, turn: Turn) -> None:
        for upkeep in self._upkeeps:
            self._ask_routes(upkeep)

    def _ask_routes(self, upkeep: Upkeep) -> None:
        """Per destination, and only for connections that we begin: a gateway's peers are too many to ask for."""
        if upkeep.policy.initiates:
            candidates = self._addresses.candidates(upkeep.policy, self._now)
            for pair in pairs_of(upkeep, candidates):
                self._to_ask[pair] = None
                self._routes.ask(pair)

    def _questions(self) -> tuple[RouteQuestion, ...]:
        pairs = list(islice(self._to_ask, QUESTIONS_PER_TURN))
        for pair in pairs:
            del self._to_ask[pair]
        return tuple(map(RouteQuestion, pairs))

    def _settle(self, turn: Turn) -> None:
        """What has been there long enough now, or has rested, may be preferred to a pair that works."""
        due = {at for at in self._settles if at <= turn.now}
        rested = self._facts.take_rested(turn.now)
        if due:
            self._settles -= due
            self._addresses.settle()
        if due or rested:
            self._something_changed(turn)


def _address_note(kind: str, event: AddressAdded | AddressRemoved, text: str) -> Note:
    return Note(kind, text, (), None, None, {"ip": str(event.ip), "link": event.link})


def _standing(event: AddressAdded) -> str:
    if event.optimistic:
        return "not yet proven to be ours alone"
    return "deprecated" if event.deprecated else "preferred"
