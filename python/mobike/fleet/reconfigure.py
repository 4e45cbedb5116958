"""Another configuration while sessions live: connections come, change and go, and sessions are renewed in turn.

A session whose connection stays as it is hears nothing of it. Standing orders went to the core already; this is what
the control plane keeps to, and which sessions are to be replaced. One that came up under older orders, told of late, is
found by their generation.
"""

from abc import ABC
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import islice
from typing import Final

from mobike.address import Ip, Nanos, SaId
from mobike.commands import SERVE_ALL, Close, Command, Reauth, RekeyChild, TurnAway
from mobike.events import IkeSaUp, Role
from mobike.fleet.redirects import Redirects
from mobike.fleet.turn import Turn
from mobike.mobility.session import Session
from mobike.policy.connection import ConnectionPolicy, Start

RENEWED_PER_TURN: Final = 40
"""Sessions renewed in one turn. Each is an exchange or several with its peer: 2,000 a second."""

RENEW_INTERVAL: Final = 20_000_000
"""Nanoseconds until the next of them."""

MOST_REMOVED: Final = 65_536
"""Connections that are gone and remembered. Callers of the API can make and remove as many as they like."""

MOST_EDITIONS: Final = 16
"""Changes of a connection that are remembered for sessions told of late."""


class Renewal(IntEnum):
    """What a session needs so that it is as its connection is now."""

    NOTHING = 0
    CHILDREN = 1
    """New keys for its Child SAs."""
    IKE = 2
    """Another IKE SA, made before it goes where we began it."""
    CLOSE = 3


@dataclass(frozen=True, slots=True)
class Edited:
    """A connection that goes on under other orders."""

    policy: ConnectionPolicy
    generation: int
    """Of its standing orders in the core."""
    renewal: Renewal = Renewal.NOTHING


@dataclass(frozen=True, slots=True)
class Reconfiguration:
    """What is another than before."""

    removed: tuple[str, ...] = ()
    added: tuple[ConnectionPolicy, ...] = ()
    changed: tuple[Edited, ...] = ()
    public: tuple[Ip, ...] = ()
    """All of them, as at the start."""
    turn_away: TurnAway = SERVE_ALL
    """The same."""


@dataclass(slots=True)
class _Editions:
    """Which orders of a connection came when, and what sessions under older ones need."""

    generation: int = 0
    renewals: dict[int, Renewal] = field(default_factory=dict)

    def add(self, generation: int, renewal: Renewal) -> None:
        self.generation = generation
        self.renewals[generation] = renewal
        for oldest in list(self.renewals)[:-MOST_EDITIONS]:
            del self.renewals[oldest]

    def since(self, generation: int) -> Renewal:
        return max((each for at, each in self.renewals.items() if at > generation), default=Renewal.NOTHING)


@dataclass(frozen=True, slots=True)
class _Edit:
    """What a session of the connection is to know."""

    was: ConnectionPolicy
    home: ConnectionPolicy
    detour: ConnectionPolicy
    """As `home`, unless its gateway has sent us on."""
    renewal: Renewal

    def policy_for(self, session: Session) -> ConnectionPolicy:
        at = session.connection.remotes
        if at == self.was.remotes:
            return self.home
        return self.detour if at == self.detour.remotes else replace(self.home, remotes=at)


class Reconfigures(Redirects, ABC):
    """The part of the fleet that takes another configuration."""

    def __init__(
        self, connections: tuple[ConnectionPolicy, ...], public: tuple[Ip, ...], seed: int, configured: TurnAway
    ) -> None:
        super().__init__(connections, public, seed, configured)
        self._reconfigurations: list[Reconfiguration] = []
        self._editions: dict[str, _Editions] = {}
        self._removed: dict[str, None] = {}
        """Connections that are gone, the newest last: IKE SAs of them may be told of late."""
        self._to_renew: dict[SaId, Renewal] = {}
        self._renew_at: Nanos | None = None

    def reconfigure(self, news: Reconfiguration) -> None:
        """Taken in by the next turn. The core has the standing orders already."""
        self._reconfigurations.append(news)

    def _reconfigure(self, turn: Turn) -> None:
        waiting, self._reconfigurations = self._reconfigurations, []
        for news in waiting:
            self._take_in(news, turn)

    def _take_in(self, news: Reconfiguration, turn: Turn) -> None:
        for name in news.removed:
            self._remove(name)
        for policy in news.added:
            self._add(policy, turn)
        edits = {each.policy.name: self._edit(each) for each in news.changed}
        gone = dict.fromkeys(news.removed)
        if edits or gone:
            for session in self._sessions:
                self._pass_on(session, edits, gone, turn)
        self._calls_all = all(each.policy.initiates for each in self._upkeeps)
        self._addresses.reconfigure((each.home for each in self._upkeeps), news.public)
        for name in edits:
            self._wants_again(name, turn)
        for name in (*edits, *(policy.name for policy in news.added)):
            upkeep = self._upkeeps.get(name)
            if upkeep is not None:
                self._ask_routes(upkeep)
        self._to_watch.update(dict.fromkeys(edits))
        if news.turn_away != self._configured:
            self._configured = news.turn_away
            if not self._draining:
                turn.command(news.turn_away)
        turn.look_anew()

    # --- connections ---

    def _remove(self, name: str) -> None:
        upkeep = self._upkeeps.remove(name)
        if upkeep is not None:
            self._removed[name] = None
            if len(self._removed) > MOST_REMOVED:
                del self._removed[next(iter(self._removed))]
            self._editions.pop(name, None)

    def _add(self, policy: ConnectionPolicy, turn: Turn) -> None:
        self._removed.pop(policy.name, None)
        upkeep = self._upkeeps.add(policy)
        self._upkeeps.begin(upkeep, turn.now)

    def _edit(self, edited: Edited) -> _Edit:
        name = edited.policy.name
        self._editions.setdefault(name, _Editions()).add(edited.generation, edited.renewal)
        upkeep = self._upkeeps.get(name) or self._upkeeps.add(edited.policy)
        was = upkeep.home
        upkeep.rehome(edited.policy)
        if not edited.policy.initiates:
            self._upkeeps.drop(upkeep)
        elif edited.policy.start is Start.NONE:
            if upkeep.waiting or upkeep.rests:
                self._upkeeps.drop(upkeep)  # nobody asked for it but its old start
        elif not (was.initiates and was.start is edited.policy.start):
            upkeep.wanted = True
        return _Edit(was, upkeep.home, upkeep.policy, edited.renewal)

    def _wants_again(self, name: str, turn: Turn) -> None:
        """It waits for its next try under orders that may have been wrong."""
        upkeep = self._upkeeps.get(name)
        if upkeep is not None and upkeep.wanted and upkeep.token is None and not self._sessions.count(name):
            upkeep.tries = 0
            self._upkeeps.come_back(upkeep, turn.now)

    # --- sessions ---

    def _pass_on(self, session: Session, edits: Mapping[str, _Edit], gone: Mapping[str, None], turn: Turn) -> None:
        name = session.connection.name
        if name in gone:
            self._renew_later(session.sa, Renewal.CLOSE, turn)
        elif (edit := edits.get(name)) is not None:
            session.connection = edit.policy_for(session)
            self._renew_later(session.sa, edit.renewal, turn)
            self._to_look[session.sa] = None
            if self._look_at is None:
                self._look_at = turn.now

    def _came_up(self, event: IkeSaUp, turn: Turn) -> bool:
        """Under orders that are still in force? If not, it is dealt with as the others were. False: it may not stay."""
        if event.connection in self._removed:
            turn.command(Close(event.sa, "its connection is not configured any more"))
            return False
        editions = self._editions.get(event.connection)
        if editions is not None and event.generation < editions.generation:
            self._renew_later(event.sa, editions.since(event.generation), turn)
        return True

    def _renew_later(self, sa: SaId, renewal: Renewal, turn: Turn) -> None:
        if renewal is Renewal.NOTHING:
            return
        self._to_renew[sa] = max(renewal, self._to_renew.get(sa, Renewal.NOTHING))
        if self._renew_at is None:
            self._renew_at = turn.now

    def _renew_sessions(self, turn: Turn) -> None:
        if self._renew_at is None or self._renew_at > turn.now:
            return
        for sa in list(islice(self._to_renew, RENEWED_PER_TURN)):
            renewal = self._to_renew.pop(sa)
            session = self._sessions.get(sa)
            if session is not None:
                for command in _commands(session, renewal):
                    turn.command(command)
        self._renew_at = Nanos(turn.now + RENEW_INTERVAL) if self._to_renew else None


def _commands(session: Session, renewal: Renewal) -> Iterable[Command]:
    match renewal:
        case Renewal.NOTHING:
            return ()
        case Renewal.CHILDREN:
            return [RekeyChild(child.child) for child in session.unfold_children()]
        case Renewal.IKE if session.role is Role.INITIATOR:
            return [Reauth(session.sa)]
        case Renewal.IKE | Renewal.CLOSE:
            return [Close(session.sa, "its connection was changed or removed")]
