"""Sessions and their Child SAs come, go on after a restart, and go; what that means for their connections."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import islice

from mobike.address import Ip, Nanos, Path, SaId, Transport
from mobike.commands import Close, TurnAway
from mobike.dataplane.operations import Park
from mobike.events import (
    ChildDown,
    ChildFailed,
    ChildUp,
    IkeSaDown,
    IkeSaRekeyed,
    IkeSaResumed,
    IkeSaUp,
    PeerAddresses,
    PeerMoved,
    Role,
)
from mobike.fleet.addresses import UNKNOWN_LINK
from mobike.fleet.demand import Demand
from mobike.fleet.notes import Note
from mobike.fleet.refusals import Refusals
from mobike.fleet.remembered import read_notes, write_notes
from mobike.fleet.turn import Turn
from mobike.fleet.upkeep import Upkeep, passed_over
from mobike.mobility.causes import LocalLost, Woken
from mobike.mobility.common import MOST_PEER_ADDRESSES, traffic_of
from mobike.mobility.folded import fold_child, fold_session, rekeyed, unfold_session, without_child
from mobike.mobility.session import Session
from mobike.mobility.states import Away
from mobike.policy.connection import ConnectionPolicy
from mobike.policy.knowledge import Reach

WAKES_PER_TURN = 40
"""Sessions of an earlier process that look round in one turn. Each asks its peer something: 2,000 a second."""

WAKE_INTERVAL = 20_000_000
"""Nanoseconds until the next of them."""

WAKE_AFTER = 50_000_000
"""Nanoseconds until the first: by then all local addresses were told."""


class Comings(Demand, ABC):
    """The part of the fleet that keeps the list of sessions."""

    def __init__(
        self, connections: tuple[ConnectionPolicy, ...], public: tuple[Ip, ...], seed: int, configured: TurnAway
    ) -> None:
        super().__init__(connections, public, seed, configured)
        self._refusals = Refusals()
        self._expected = 0
        """Sessions of an earlier process that the core has, and will tell of."""
        self._sleeping: dict[SaId, None] = {}
        """Those that were told, and have not looked round yet."""
        self._wake_at: Nanos | None = None

    @abstractmethod
    def _concerns(self, event: PeerMoved | PeerAddresses, turn: Turn) -> None: ...

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
