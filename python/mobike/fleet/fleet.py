"""The door of the fleet. It finds whom a fact concerns and steps them; what they then do is decided in `mobility`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappush
from itertools import islice
from typing import Any, Final, TypeAlias

from mobike.address import Ip, Nanos
from mobike.commands import SERVE_ALL, Command, TurnAway
from mobike.dataplane.operations import Operation
from mobike.events import (
    AddressAdded,
    AddressRemoved,
    AwayRefused,
    ChildDown,
    ChildFailed,
    ChildUp,
    ConnectFailed,
    Event,
    IkeSaDown,
    IkeSaRekeyed,
    IkeSaResumed,
    IkeSaUp,
    Moved,
    MoveRefused,
    NatChanged,
    Notice,
    OperatorAvoid,
    OperatorAway,
    OperatorBack,
    OperatorClose,
    OperatorCloseChild,
    OperatorDown,
    OperatorDrain,
    OperatorMove,
    OperatorOpenChild,
    OperatorProbe,
    OperatorReauth,
    OperatorRedirect,
    OperatorRekey,
    OperatorUnpin,
    OperatorUp,
    PairSeen,
    PathChecked,
    PathHeard,
    PathSilent,
    PeerAddresses,
    PeerAway,
    PeerMoved,
    PlaneRefused,
    Redirected,
    Role,
    RouteAnswer,
    RoutesChanged,
    SaMoved,
    TrafficWaits,
    WentAway,
)
from mobike.fleet.connects import Connects
from mobike.fleet.links import RouteQuestion
from mobike.fleet.notes import NO_DATA, Datum, Note
from mobike.fleet.turn import Turn
from mobike.mobility.causes import Cause, LookAgain
from mobike.mobility.common import traffic_of
from mobike.mobility.machine import NoSuchTransition, step
from mobike.mobility.session import Session
from mobike.mobility.states import Updating
from mobike.policy.connection import ConnectionPolicy

LOOKS_PER_TURN = 4_096
"""Sessions that look again in one turn because something came that they could use. What is lost is never paced."""

LOOK_INTERVAL = 20_000_000
"""Nanoseconds until the next of them: 200,000 a second at most, and other work in between."""

_OfOneSa: TypeAlias = (
    OperatorMove
    | Moved
    | MoveRefused
    | PathSilent
    | PathChecked
    | PathHeard
    | PeerMoved
    | PeerAddresses
    | NatChanged
    | WentAway
    | AwayRefused
    | PeerAway
    | SaMoved
    | PlaneRefused
)


@dataclass(frozen=True, slots=True)
class Decided:
    """All that one turn leads to. No part depends on another."""

    commands: Sequence[Command]
    operations: Sequence[Operation]
    notes: Sequence[Note]
    questions: Sequence[RouteQuestion]


class Fleet(Connects):
    """All sessions and all connections of this host."""

    def __init__(
        self,
        connections: Iterable[ConnectionPolicy],
        *,
        public: Iterable[Ip] = (),
        seed: int = 0,
        turn_away: TurnAway = SERVE_ALL,
    ) -> None:
        """`public`: addresses to announce though no link has them (RFC 4555 section 3.4: a static NAT before us).

        `turn_away`: who is sent on to another gateway; the core knows it already.

        `seed`: all chance comes from it; the same seed and the same events lead to the same decisions.
        """
        super().__init__(tuple(connections), tuple(public), seed, turn_away)

    # --- in ---

    def handle(self, events: Sequence[Event], now: Nanos) -> Decided:
        """Facts in, decisions out. Without events: a deadline has come."""
        self._now = now
        turn = Turn(now, self._addresses, self._facts, self._sessions, self._chance)
        self._reconfigure(turn)
        self._take_addresses(events, turn)
        for event in events:
            _HANDLERS[type(event)](self, event, turn)
        if self._told_core is not self._addresses.announced:  # an inner address came or went
            self._tell_core(turn)
            self._something_changed(turn)
        self._settle(turn)
        self._end_tests(turn)
        self._send_scouts(turn)
        self._follow(turn)
        self._wake(turn)
        self._look(turn)
        self._tell_planes_again(turn)
        self._retest(turn)
        self._watch(turn)
        self._send_on(turn)
        self._renew_sessions(turn)
        self._look_for_ways(turn)
        self._connect(turn)
        turn.finish()
        return Decided(turn.commands, turn.operations, turn.notes, self._questions())

    def is_wanted(self, connection: str) -> bool:
        """Shall it be up, by configuration or by order?"""
        upkeep = self._upkeeps.get(connection)
        return upkeep is not None and upkeep.wanted

    def poll_deadline(self) -> Nanos | None:
        """When to call `handle` again even if nothing happens."""
        deadline = self.deadline()
        return None if deadline is None else deadline[0]

    def deadline(self) -> tuple[Nanos, str] | None:
        """The same, with its reason."""
        named = (
            (self._look_at, "sessions look at what has changed"),
            (self._wake_at, "sessions look round after a restart"),
            (self._send_at, "peers are sent on to another gateway"),
            (self._renew_at, "sessions are renewed after their connection was changed"),
            (self._now if self._reconfigurations else None, "the configuration was changed"),
            (self._tests[0][0] if self._tests else None, "a test of a pair has had its time"),
            (self._scouts.next_due(), "one more SA looks for a way round a silent pair"),
            (self._refusals.next_due(), "a data plane that refused is told again"),
            (self._retest_at, "pairs that are not in use are tested"),
            (self._follow_at, "sessions leave a silent pair"),
            (self._now if self._to_ask else None, "routes are asked for"),
            (min(self._settles, default=None), "an address has been there long enough"),
            (self._facts.next_rested, "a pair has rested after it failed"),
            (self._upkeeps.next_retry(), "a connection is tried again"),
            (self._ways_at, "connections that come up look for other ways"),
        )
        return min(((at, why) for at, why in named if at is not None), default=None)

    # --- sessions ---

    def _concerns(self, event: _OfOneSa, turn: Turn) -> None:
        """An event of one SA. One that is gone meanwhile has no more say."""
        session = self._sessions.get(event.sa)
        if session is not None:
            self._step(session, event, turn)

    def _step(self, session: Session, cause: Cause, turn: Turn) -> None:
        path, state = session.path, session.state
        try:
            step(session, cause, turn)
        except NoSuchTransition as bug:
            turn.notes.append(Note("internal-error", str(bug), (), session.sa, session.connection.name))
        if session.path is not path or session.state is not state:
            self._sessions.moved(session, path, state)
            if session.role is Role.INITIATOR:
                self._watch_spares(session, turn)
            if isinstance(session.state, Updating) and session.state.due is not None:
                heappush(self._tests, (session.state.due, session.sa))

    # --- data planes ---

    def _plane_moved(self, event: SaMoved, turn: Turn) -> None:
        self._refusals.obeyed(event.sa)
        self._concerns(event, turn)

    def _plane_refused(self, event: PlaneRefused, turn: Turn) -> None:
        if self._sessions.get(event.sa) is not None:
            self._refusals.refused(event.sa, turn.now)
        self._concerns(event, turn)

    def _tell_planes_again(self, turn: Turn) -> None:
        for sa in self._refusals.take_due(turn.now):
            session = self._sessions.get(sa)
            if session is not None:
                turn.operate(traffic_of(session))

    # --- time ---

    def _look(self, turn: Turn) -> None:
        if self._look_at is None or self._look_at > turn.now:
            return
        look = LookAgain()
        for sa in list(islice(self._to_look, LOOKS_PER_TURN)):
            del self._to_look[sa]
            session = self._sessions.get(sa)
            if session is not None and sa not in self._sleeping:
                self._step(session, look, turn)
        self._look_at = Nanos(turn.now + LOOK_INTERVAL) if self._to_look else None

    # --- the rest ---

    def _notice(self, event: Notice, turn: Turn) -> None:
        session = None if event.sa is None else self._sessions.get(event.sa)
        name = None if session is None else session.connection.name
        data: Mapping[str, Datum] = NO_DATA if event.path is None else {"path": str(event.path)}
        turn.notes.append(Note(f"notice-{event.kind}", event.text, (), event.sa, name, data))

    def _nothing(self, event: Event, turn: Turn) -> None:
        """Addresses are taken before all else."""


_HANDLERS: Final[Mapping[type[Event], Callable[[Fleet, Any, Turn], None]]] = {
    AddressAdded: Fleet._nothing,
    AddressRemoved: Fleet._nothing,
    RouteAnswer: Fleet._route_answer,
    RoutesChanged: Fleet._routes_changed,
    IkeSaUp: Fleet._ike_sa_up,
    IkeSaResumed: Fleet._ike_sa_resumed,
    IkeSaDown: Fleet._ike_sa_down,
    IkeSaRekeyed: Fleet._ike_sa_rekeyed,
    Redirected: Fleet._redirected,
    ConnectFailed: Fleet._connect_failed,
    ChildUp: Fleet._child_up,
    ChildFailed: Fleet._child_failed,
    ChildDown: Fleet._child_down,
    Moved: Fleet._path_answers,
    MoveRefused: Fleet._concerns,
    PathSilent: Fleet._path_silent,
    PathChecked: Fleet._path_checked,
    PairSeen: Fleet._pair_seen,
    PathHeard: Fleet._path_heard,
    PeerMoved: Fleet._peer_moved,
    PeerAddresses: Fleet._peer_addresses,
    NatChanged: Fleet._concerns,
    WentAway: Fleet._leave_answered,
    AwayRefused: Fleet._leave_answered,
    PeerAway: Fleet._concerns,
    Notice: Fleet._notice,
    SaMoved: Fleet._plane_moved,
    TrafficWaits: Fleet._traffic_waits,
    PlaneRefused: Fleet._plane_refused,
    OperatorUp: Fleet._operator_up,
    OperatorDown: Fleet._operator_down,
    OperatorClose: Fleet._operator_close,
    OperatorMove: Fleet._concerns,
    OperatorProbe: Fleet._operator_probe,
    OperatorRekey: Fleet._operator_rekey,
    OperatorReauth: Fleet._operator_reauth,
    OperatorRedirect: Fleet._operator_redirect,
    OperatorDrain: Fleet._operator_drain,
    OperatorOpenChild: Fleet._operator_open_child,
    OperatorCloseChild: Fleet._operator_close_child,
    OperatorUnpin: Fleet._operator_unpin,
    OperatorAway: Fleet._operator_away,
    OperatorBack: Fleet._operator_back,
    OperatorAvoid: Fleet._operator_avoid,
}
