"""What is logged of single peers for a while: more than of others, or less.

With `debug`, each event of the core about that peer and each order to it is a line of its own (`seen.*`, `ordered.*`),
beside what is told of everybody. A peer is known by its address, its identity, its connection, or an IKE SA.
"""

import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from ipaddress import ip_address
from typing import Final

import structlog

from mobike.address import Path, SaId
from mobike.commands import Command, Connect
from mobike.events import Comparison, ConnectFailed, Event, IkeSaDown, IkeSaResumed
from mobike.facade import NotFound, Refused
from mobike.facade.loudness import LogRuleView
from mobike.fleet import Note
from mobike.fleet.views import SessionRow
from mobike.gateway import logs

MOST_RULES: Final = 32
MOST_KNOWN: Final = 4096
"""IKE SAs of such peers whose names are remembered until they end."""
LEVELS: Final = ("debug", "info", "warning", "error")
_SA: Final = re.compile(r"[0-9a-f]{1,16}")
_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")
Names = frozenset[str]


@dataclass(frozen=True, slots=True)
class _Rule:
    view: LogRuleView
    names: Names
    """Any of these is the peer."""
    level: int


class Attention:
    """Implements `mobike.facade.loudness.LogLevels`; sees every turn. While there are no rules that costs nothing."""

    def __init__(
        self,
        row: Callable[[SaId], SessionRow | None],
        tell: Callable[[str, str], None],
        *,
        clock: Callable[[], float] = time.time,
        origin: Callable[[Event], str | None] = lambda _: None,
    ) -> None:
        """`tell`: a kind and a line, for log and events. `origin`: the exchange that an event came of."""
        self._row = row
        self._tell = tell
        self._clock = clock
        self._origin = origin
        self._rules: dict[str, _Rule] = {}
        self._known: dict[SaId, Names] = {}
        self._log = structlog.get_logger().bind()

    # --- asked ---

    def general(self) -> str:
        return logs.level_in_force()

    def rules(self) -> tuple[LogRuleView, ...]:
        self._let_go()
        return tuple(rule.view for rule in self._rules.values())

    def set_rule(self, peer: str, level: str, seconds: int, *, by: str) -> LogRuleView:
        self._let_go()
        names, now = _meant(peer), self._clock()
        same = next((id_ for id_, rule in self._rules.items() if rule.names == names), None)
        if same is None and len(self._rules) >= MOST_RULES:
            raise Refused(f"{MOST_RULES} peers have a level of their own", hint="end one that nobody needs")
        view = LogRuleView(same or secrets.token_hex(8), peer, level, by, now, now + seconds)
        self._rules[view.id] = _Rule(view, names, logging.getLevelNamesMapping()[level.upper()])
        self._tell("log-level", f"{by}: {level} of {peer} for {seconds} s")
        return view

    def end_rule(self, id_: str) -> None:
        self._let_go()
        if id_ not in self._rules:
            raise NotFound(f"there is no level {id_!r}")
        self._end(id_, "by order")

    # --- sees ---

    def see(self, events: Iterable[Event], commands: Sequence[Command]) -> None:
        """One turn."""
        if not self._rules:
            return
        self._let_go()
        for event in events:
            self._write("seen", event, self._origin(event))
            if isinstance(event, IkeSaDown):
                self._known.pop(event.sa, None)
        for command in commands:
            self._write("ordered", command, None)

    def level(self, note: Note) -> int | None:
        """From which level on a note is logged; None: as all others."""
        if not self._rules:
            return None
        told = [str(each) for each in (note.connection, *note.data.values()) if each is not None]
        return self._least(frozenset(told) | self._of_sa(note.sa))

    def _write(self, what: str, fact: Event | Command, exchange: str | None) -> None:
        whole = fact.up if isinstance(fact, IkeSaResumed) else fact
        sa: SaId | None = getattr(whole, "sa", None)
        names = frozenset(_named(whole)) | self._of_sa(sa)
        level = self._least(names)
        if level is None or level > logging.DEBUG:
            return
        if sa is not None and len(self._known) < MOST_KNOWN:
            self._known.setdefault(sa, names)
        kind = _WORD.sub("-", type(fact).__name__).lower()
        told = dict(_told(whole))
        about = {} if exchange is None else {"exchange": exchange}
        name = None if sa is None else f"{sa:016x}"
        self._log.debug(f"{what}.{kind}", **{logs.WANTED: True}, sa=name, **about, facts=told)

    def _of_sa(self, sa: SaId | None) -> Names:
        if sa is None:
            return frozenset()
        known, row = self._known.get(sa, frozenset()), self._row(sa)
        if row is None:
            return known | {f"{sa:016x}"}
        return known | {f"{sa:016x}", row.connection, row.peer_id, str(row.path.remote.ip)}

    def _least(self, names: Names) -> int | None:
        return min((rule.level for rule in self._rules.values() if rule.names & names), default=None)

    def _let_go(self) -> None:
        now = self._clock()
        for id_ in [id_ for id_, rule in self._rules.items() if rule.view.until <= now]:
            self._end(id_, "its time is over")

    def _end(self, id_: str, why: str) -> None:
        view = self._rules.pop(id_).view
        if not self._rules:
            self._known.clear()
        self._tell("log-level", f"{view.peer} is logged like all others again: {why}")


def _meant(peer: str) -> Names:
    """What may be meant by it, as `_named` writes it."""
    try:
        return frozenset({str(ip_address(peer))})
    except ValueError:
        pass
    return frozenset({peer, peer.rjust(16, "0")}) if _SA.fullmatch(peer) else frozenset({peer})


def _named(fact: object) -> Iterator[str]:
    """Whom it is about, as far as it says so itself."""
    for key in ("connection", "peer_id"):
        if isinstance(value := getattr(fact, key, None), str):
            yield value
    if isinstance(path := getattr(fact, "path", None), Path):
        yield str(path.remote.ip)
    match getattr(fact, "compared", None):
        case Comparison() as compared:
            yield from (each for each in (compared.connection, compared.peer_id) if each is not None)
        case _:
            pass
    match fact:
        case ConnectFailed():
            yield from (str(path.remote.ip) for path in fact.tried)
        case Connect():
            yield from (str(path.remote.ip) for path in fact.paths)
        case _:
            pass


def _told(fact: object) -> Iterator[tuple[str, object]]:
    """Its fields. Octets are counted, not shown: a proof may be in them."""
    if is_dataclass(fact):
        for each in fields(fact):
            if each.repr:
                yield each.name, _plain(getattr(fact, each.name))


def _plain(value: object) -> object:
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | str():
            return value
        case bytes():
            return f"{len(value)} octets"
        case tuple() | list() | frozenset():
            return [_plain(each) for each in value]
        case _ if is_dataclass(value) and type(value).__str__ is object.__str__:
            return dict(_told(value))
        case _:
            return str(value)
