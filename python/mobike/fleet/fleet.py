"""The door of the fleet. It finds whom a fact concerns and steps them; what they then do is decided in `mobility`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappush
from itertools import islice
from typing import Any, Final, TypeAlias

from mobike.address import Ip, Nanos, Path, SaId, Transport
from mobike.commands import SERVE_ALL, Close, Command, TurnAway
from mobike.dataplane.operations import Operation, Park
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
from mobike.fleet.addresses import UNKNOWN_LINK
from mobike.fleet.demand import Demand
from mobike.fleet.links import RouteQuestion
from mobike.fleet.notes import NO_DATA, Datum, Note
from mobike.fleet.refusals import Refusals
from mobike.fleet.remembered import read_notes, write_notes
from mobike.fleet.turn import Turn
from mobike.fleet.upkeep import Upkeep, passed_over, situation_of
from mobike.mobility.causes import Cause, LocalLost, LookAgain, Woken
from mobike.mobility.common import MOST_PEER_ADDRESSES, traffic_of
from mobike.mobility.folded import fold_child, fold_session, rekeyed, unfold_session, without_child
from mobike.mobility.machine import NoSuchTransition, step
from mobike.mobility.session import Session
from mobike.mobility.states import Away, Updating
from mobike.policy.connection import ConnectionPolicy, Start
from mobike.policy.knowledge import Reach

LOOKS_PER_TURN = 4_096
"""Sessions that look again in one turn because something came that they could use. What is lost is never paced."""

WAKES_PER_TURN = 40
"""Sessions of an earlier process that look round in one turn. Each asks its peer something: 2,000 a second."""

WAKE_INTERVAL = 20_000_000
"""Nanoseconds until the next of them."""

WAKE_AFTER = 50_000_000
"""Nanoseconds until the first: by then all local addresses were told."""

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


class Fleet(Demand):
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
        self._refusals = Refusals()
        self._expected = 0
        """Sessions of an earlier process that the core has, and will tell of."""
        self._sleeping: dict[SaId, None] = {}
        """Those that were told, and have not looked round yet."""
        self._wake_at: Nanos | None = None

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
        )
        return min(((at, why) for at, why in named if at is not None), default=None)

    # --- sessions ---

    def _ike_sa_up(self, event: IkeSaUp, turn: Turn) -> None:
        if not self._came_up(event, turn):
            return
        upkeep = self._upkeeps.take_token(event.token) or self._upkeeps.get(event.connection)
        if upkeep is None:
            upkeep = self._upkeeps.add(ConnectionPolicy(event.connection, initiates=False))
            self._calls_all = False
        session = self._new_session(event, upkeep.policy, turn)
        self._sessions.add(session)
        up_on = (event.peer_id, session.path)
        turn.notes.append(Note("sa-up", "IKE SA with {} is up on {}", up_on, event.sa, event.connection))
        if event.role is Role.INITIATOR:
            self._initiated(session, event, upkeep, turn)
        self._send_if_draining(session, turn)
        local = self._addresses.get(event.path.local.ip)
        if local is None:
            self._addresses.add(event.path.local.ip, UNKNOWN_LINK, turn.now)
        elif not local.available:
            self._step(session, LocalLost(event.path.local.ip), turn)

    # --- sessions of an earlier process ---

    def expect(self, count: int) -> None:
        """So many `IkeSaResumed` come; until then nothing is connected that may be up already."""
        self._expected += count

    def remember(self, sas: Iterable[SaId] | None, now: Nanos) -> list[tuple[SaId, bytes]]:
        """Notes to be kept with these sessions, or with all."""
        sessions = self._sessions if sas is None else (self._sessions.get(sa) for sa in sas)
        return [(each.sa, write_notes(each, now)) for each in sessions if each is not None]

    def _ike_sa_resumed(self, event: IkeSaResumed, turn: Turn) -> None:
        self._expected = max(0, self._expected - 1)
        up, known = event.up, read_notes(event.notes)
        upkeep = self._upkeeps.get(up.connection)
        if upkeep is None:
            turn.command(Close(up.sa, "its connection is not configured any more"))
            return
        self._remember_detour(upkeep, up)
        session = self._new_session(up, upkeep.policy, turn)
        if not event.agreed and known.path is not None:
            session.path = self._on_our_end(known.path)
        session.told = () if known.told is None else known.told
        session.generation, session.pin, session.moves = known.generation, known.pin, known.moves
        session.facts = fold_session(up, Nanos(max(0, turn.now - known.age)))
        self._sessions.add(session)
        if known.away is not None:
            session.state = Away(turn.now, Nanos(turn.now + known.away))
            turn.operate(Park(up.sa))
        else:
            # It may go elsewhere: ahead of an answer, or because the process ended before the order was carried out.
            turn.operate(traffic_of(session))
        doubt = "" if event.sure else "; it is tested whether the peer still knows it"
        goes_on = (up.peer_id, session.path, doubt)
        turn.notes.append(
            Note("sa-resumed", "IKE SA with {} goes on after a restart, on {}{}", goes_on, up.sa, up.connection)
        )
        if up.role is Role.INITIATOR:
            if session.path.transport is Transport.TCP:
                turn.learn(session.pair.in_udp, Reach.SILENT)  # that is why it is in a stream
            self._addresses.add_inner(up.virtual_ips)
            self._upkeeps.settle(upkeep)
            upkeep.wanted = True
            self._note_peer_list(upkeep, session.peer_addresses)
        self._sleeping[up.sa] = None
        if self._wake_at is None:
            self._wake_at = Nanos(turn.now + WAKE_AFTER)

    def _wake(self, turn: Turn) -> None:
        """Sessions of an earlier process look round, one after the other: each has something to say."""
        if self._wake_at is None or self._wake_at > turn.now:
            return
        for sa in list(islice(self._sleeping, WAKES_PER_TURN)):
            del self._sleeping[sa]
            session = self._sessions.get(sa)
            if session is not None:
                here = session.path.local.ip
                self._step(session, Woken() if self._addresses.is_available(here) else LocalLost(here), turn)
        self._wake_at = Nanos(turn.now + WAKE_INTERVAL) if self._sleeping else None

    def _new_session(self, event: IkeSaUp, policy: ConnectionPolicy, turn: Turn) -> Session:
        ours = event.role is Role.INITIATOR
        return Session(
            sa=event.sa,
            connection=policy,
            role=event.role,
            mobike=event.mobike,
            path=self._sessions.share_path(event.path) if ours else self._on_our_end(event.path),
            nat=event.nat,
            peer_addresses=event.peer_addresses[:MOST_PEER_ADDRESSES],
            told=self._addresses.announced,
            suite=self._sessions.share_word(event.suite),
            facts=fold_session(event, turn.now),
            probes="path-probes" in event.extensions,
        )

    def _initiated(self, session: Session, event: IkeSaUp, upkeep: Upkeep, turn: Turn) -> None:
        """What only a session of an initiator brings: knowledge of its pair, and an inner address of our own."""
        turn.learn(session.pair, Reach.VERIFIED, event.nat)
        for pair in passed_over(upkeep, session.pair) if event.token is not None else ():
            turn.learn(pair, Reach.SILENT)
        self._addresses.add_inner(event.virtual_ips)
        if not upkeep.wanted and event.token is not None:
            turn.command(Close(event.sa, "the operator took the connection down while it was coming up"))
            return
        self._watch_spares(session, turn)
        self._upkeeps.settle(upkeep)
        if event.token is not None:
            self._arrived(upkeep, turn)
        self._note_peer_list(upkeep, session.peer_addresses)

    def _ike_sa_down(self, event: IkeSaDown, turn: Turn) -> None:
        session = self._sessions.remove(event.sa)
        if session is None:
            return
        self._to_look.pop(event.sa, None)
        self._sleeping.pop(event.sa, None)
        self._to_follow.pop(event.sa, None)
        self._refusals.obeyed(event.sa)
        self._leaving.pop(event.sa, None)
        self._asked.discard(event.sa)
        self._to_renew.pop(event.sa, None)
        self._watches_no_more(session)
        self._scouts.forget(event.sa, (session.target or session.path).pair)
        name = session.connection.name
        turn.notes.append(Note("sa-down", "IKE SA is down: {}", (event.why,), event.sa, name))
        if session.role is Role.INITIATOR:
            facts = unfold_session(session.facts)
            self._addresses.remove_inner(facts.virtual_ips)
            self._renew(session, event.why, Nanos(turn.now - facts.since), turn)

    def _ike_sa_rekeyed(self, event: IkeSaRekeyed, turn: Turn) -> None:
        session = self._sessions.get(event.sa)
        if session is None:
            return
        session.facts = rekeyed(session.facts, event)
        session.suite = self._sessions.share_word(event.suite)
        text = "IKE SA has new keys; we asked" if event.by_us else "IKE SA has new keys; the peer asked"
        turn.notes.append(Note("sa-rekeyed", text, (), event.sa, session.connection.name))

    def _renew(self, session: Session, why: str, lived: Nanos, turn: Turn) -> None:
        """A wanted connection comes back: at once if it had lived, else with patience."""
        upkeep = self._upkeeps.get(session.connection.name)
        if upkeep is None or upkeep.token is not None or self._sessions.count(upkeep.policy.name):
            return
        upkeep.go_home()
        if not upkeep.wanted:
            return
        upkeep.last_error = why
        if lived >= upkeep.policy.reconnect.initial:
            self._upkeeps.come_back(upkeep, turn.now)
        else:
            self._upkeeps.retry(upkeep, turn.now)

    def _child_up(self, event: ChildUp, turn: Turn) -> None:
        session = self._sessions.get(event.sa)
        if session is None:
            return
        session.children += fold_child(event, session.connection.name)
        named = (event.name, event.spi_in, event.spi_out)
        text = "Child SA {} {:08x}/{:08x} is up"
        data = {"child": event.name}
        turn.notes.append(Note("child-up", text, named, event.sa, session.connection.name, data))

    def _child_failed(self, event: ChildFailed, turn: Turn) -> None:
        session = self._sessions.get(event.sa)
        if session is None:
            return
        named = (event.name, event.why)
        text, data = "Child SA {} is not there: {}", {"child": event.name}
        turn.notes.append(Note("child-failed", text, named, event.sa, session.connection.name, data))

    def _child_down(self, event: ChildDown, turn: Turn) -> None:
        session = self._sessions.get(event.sa)
        if session is None:
            return
        session.children = without_child(session.children, event.child)
        why = (event.why,)
        turn.notes.append(Note("child-down", "Child SA is down: {}", why, event.sa, session.connection.name))

    def _peer_moved(self, event: PeerMoved, turn: Turn) -> None:
        path = self._on_our_end(event.path)
        self._concerns(PeerMoved(event.sa, path, event.nat, event.verified), turn)

    def _on_our_end(self, path: Path) -> Path:
        """The same path, with the one object for our end of it."""
        return Path(self._sessions.share_local(path.local), path.remote, path.transport)

    def _peer_addresses(self, event: PeerAddresses, turn: Turn) -> None:
        self._concerns(event, turn)
        session = self._sessions.get(event.sa)
        upkeep = None if session is None else self._upkeeps.get(session.connection.name)
        if session is not None and upkeep is not None and session.role is Role.INITIATOR:
            self._note_peer_list(upkeep, session.peer_addresses)

    def _note_peer_list(self, upkeep: Upkeep, addresses: tuple[Ip, ...]) -> None:
        news = [ip for ip in addresses if ip not in upkeep.peer_listed]
        if news and len(upkeep.peer_listed) < MOST_PEER_ADDRESSES:
            upkeep.peer_listed.update(dict.fromkeys(news))
            self._ask_routes(upkeep)

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

    # --- connections ---

    def _connect(self, turn: Turn) -> None:
        if self._expected:
            return
        for upkeep in self._upkeeps.due(turn.now):
            candidates = self._addresses.candidates(upkeep.policy, turn.now)
            situation = situation_of(upkeep, candidates, self._facts.known, turn.now)
            connect = self._upkeeps.connect(upkeep, upkeep.policy.policy.rank(situation))
            if connect is not None:
                turn.command(connect)
                others = len(connect.paths) - 1
                text = f"Connecting over {connect.paths[0]}" + (f", and {others} more in turn" if others else "")
                turn.notes.append(Note("connecting", text, (), None, upkeep.policy.name))
                self._ask_routes(upkeep)
                continue
            decision = upkeep.policy.policy.choose(situation)
            if upkeep.go_home() and not self._sessions.count(upkeep.policy.name):
                self._upkeeps.want(upkeep, turn.now)
            elif upkeep.policy.start is Start.TRAFFIC:
                self._upkeeps.retry(upkeep, turn.now)  # when something changes, there may be no packet any more
            upkeep.last_error = decision.why
            turn.notes.append(Note("connect-failed", "Cannot connect: {}", (decision.why,), None, upkeep.policy.name))

    def _connect_failed(self, event: ConnectFailed, turn: Turn) -> None:
        upkeep = self._upkeeps.take_token(event.token)
        if upkeep is None:
            return
        upkeep.last_error = event.why
        to = event.redirected_to
        if upkeep.wanted and to is not None and self._sent_on_while_connecting(upkeep, event, to, turn):
            return
        upkeep.go_home()
        again = ""
        if upkeep.wanted and not self._sessions.count(upkeep.policy.name):
            wait = self._upkeeps.retry(upkeep, turn.now) / 1e9
            again = f"; {'waiting for traffic' if upkeep.rests else 'trying again'} in {wait:.1f} s"
        text = f"Cannot connect: {event.why}{again}"
        turn.notes.append(Note("connect-failed", text, (), None, upkeep.policy.name, {"tried": len(event.tried)}))

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
