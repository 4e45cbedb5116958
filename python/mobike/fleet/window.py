"""The window of the fleet: looking in decides nothing and changes nothing."""

from dataclasses import replace
from itertools import islice

from mobike.address import Ip, Nanos, Pair, SaId
from mobike.events import Role
from mobike.fleet import views
from mobike.fleet.addresses import AddressBook
from mobike.fleet.facts import PairFacts
from mobike.fleet.sessions import Sessions
from mobike.fleet.turn import Turn
from mobike.fleet.upkeep import Upkeep, Upkeeps
from mobike.mobility.folded import ChildFacts
from mobike.mobility.states import Away, Waiting
from mobike.mobility.surroundings import Current
from mobike.policy.chance import Chance
from mobike.policy.choose import Choice, Keep, Pin
from mobike.policy.connection import ConnectionPolicy
from mobike.policy.knowledge import aged


class Window:
    """All that the fleet knows, and what may be seen of it."""

    def __init__(self, connections: tuple[ConnectionPolicy, ...], public: tuple[Ip, ...]) -> None:
        self._upkeeps = Upkeeps(connections)
        self._addresses = AddressBook(connections, public)
        self._facts = PairFacts()
        self._sessions = Sessions()
        self._now = Nanos(0)
        """Of the latest turn."""

    def view(self, sa: SaId) -> views.SessionDetail | None:
        """One session, with its pairs ranked as policy sees them now."""
        session = self._sessions.get(sa)
        if session is None:
            return None
        turn = self._silent_turn()
        current = Current.NONE if isinstance(session.state, Waiting) else Current.IN_USE
        ranked = session.connection.policy.rank(turn.situation(session, current=current))
        return views.SessionDetail(
            row=views.row(session),
            why=views.why_here(session, turn.choose(session, current=current)),
            pairs=views.pair_rows(ranked, session.pair),
            peer_addresses=session.peer_addresses,
            handout=session.unfold().handout,
            children=session.unfold_children(),
            last_move=views.move_row(session),
            pin=None if session.pin is None else str(session.pin),
        )

    def explain(self, sa: SaId) -> tuple[views.PairRow, ...]:
        """Which pairs this session has, ranked, and why; nothing for a session that is not there."""
        detail = self.view(sa)
        return () if detail is None else detail.pairs

    def suppose(self, sa: SaId, dies: str | None = None) -> views.Supposition | None:
        """What this session would do if a link (`eth0`) or an address (`192.0.2.1`) of ours died now; or as it is."""
        session = self._sessions.get(sa)
        if session is None:
            return None
        current = Current.NONE if isinstance(session.state, Waiting) else Current.IN_USE
        known = self._silent_turn().situation(session, current=current)
        candidates = tuple(
            replace(each, available=each.available and dies not in (each.link, str(each.ip)))
            for each in known.candidates
        )
        supposed = replace(known, candidates=candidates)
        decision = session.connection.policy.choose(supposed)
        return views.Supposition(
            moves_to=decision.pair if isinstance(decision, Choice) else None,
            stays=isinstance(decision, Keep),
            why=decision.why,
            pairs=views.pair_rows(session.connection.policy.rank(supposed), session.pair),
        )

    def row(self, sa: SaId) -> views.SessionRow | None:
        session = self._sessions.get(sa)
        return None if session is None else views.row(session)

    def switched(self, sa: SaId) -> tuple[str, Nanos | None] | None:
        """The connection of an SA, and how long the move took that was over in the latest turn; None: none was."""
        session = self._sessions.get(sa)
        if session is None:
            return None
        last = session.last_move
        return session.connection.name, last.duration if last is not None and last.at == self._now else None

    def page(self, after: SaId | None, limit: int, connection: str | None = None) -> views.SessionPage:
        found, more = self._sessions.page(after, limit, connection)
        total = len(self._sessions) if connection is None else self._sessions.count(connection)
        return views.SessionPage(tuple(views.row(each) for each in found), more, total)

    def children(
        self, after: SaId | None, limit: int, connection: str | None
    ) -> tuple[list[tuple[SaId, str, tuple[ChildFacts, ...]]], SaId | None]:
        """The Child SAs of at most `limit` sessions, with their connection; and where the next ones begin behind."""
        found, more = self._sessions.page(after, limit, connection)
        return [(each.sa, each.connection.name, each.unfold_children()) for each in found], more

    def facts(self, limit: int) -> tuple[views.FactRow, ...]:
        """What is known of pairs, the latest news first."""
        links = {each.ip: each.link for each in self._addresses.all()}
        latest = islice(reversed(self._facts.known), limit)
        return tuple(self._fact_row(pair, links.get(pair.local)) for pair in latest)

    def _fact_row(self, pair: Pair, link: str | None) -> views.FactRow:
        fact = self._facts.known[pair]
        reach, measured = aged(fact, self._now, in_use=False), fact.measured_lately(self._now)
        return views.FactRow(pair, link, reach, fact.nat, fact.at, fact.lapses.count, measured)

    def connections(self) -> tuple[views.ConnectionRow, ...]:
        return tuple(self._connection_row(each) for each in self._upkeeps)

    def addresses(self) -> tuple[views.AddressRow, ...]:
        return tuple(
            views.AddressRow(
                each.ip, each.link, each.available, self._addresses.standing(each), self._sessions.count_users(each.ip)
            )
            for each in self._addresses.all()
        )

    def is_ours(self, name: str) -> bool:
        """Is there a link, or an address of ours, of this name?"""
        return any(name in (each.link, str(each.ip)) for each in self._addresses.all())

    def objection_to_avoid(self, link: str, *, avoid: bool) -> str | None:
        """Why `OperatorAvoid` with these would change nothing, in a sentence; None if it would."""
        if avoid == self._addresses.is_avoided(link):
            return f"Link {link} is avoided already" if avoid else f"Link {link} is not avoided"
        if avoid and all(each.link != link for each in self._addresses.all()):
            return f"There is no link {link} here"
        return None

    def objection_to_open(self, sa: SaId, name: str) -> str | None:
        """Why `OperatorOpenChild` with these would do nothing, in a sentence; None if it would."""
        session = self._sessions.get(sa)
        if session is None:
            return "There is no such SA"
        names = session.connection.children or (session.connection.name,)
        if name not in names:
            return f"{session.connection.name} names no Child SA {name}; it names {', '.join(names)}"
        if any(child.name == name for child in session.unfold_children()):
            return f"Child SA {name} is up already"
        return None

    def objection_to_probe(self, sa: SaId) -> str | None:
        """Why `OperatorProbe` would do nothing, in a sentence; None if it would."""
        session = self._sessions.get(sa)
        if session is None:
            return "There is no such SA"
        return f"It is {session.state}: nobody is asked anything" if isinstance(session.state, Away) else None

    def objection_to_reauth(self, sa: SaId) -> str | None:
        """Why `OperatorReauth` would do nothing, in a sentence; None if it would."""
        session = self._sessions.get(sa)
        if session is None:
            return "There is no such SA"
        if session.role is not Role.INITIATOR:
            return "only the initiator of an IKE SA can reauthenticate"
        return None

    def objection_to_redirect(self, sa: SaId) -> str | None:
        """Why `OperatorRedirect` would do nothing, in a sentence; None if it would, if the peer follows."""
        session = self._sessions.get(sa)
        if session is None:
            return "There is no such SA"
        return None if session.role is Role.RESPONDER else "only a gateway sends its peers on"

    def objection_to_unpin(self, sa: SaId) -> str | None:
        """Why `OperatorUnpin` would change nothing, in a sentence; None if it would."""
        session = self._sessions.get(sa)
        if session is None:
            return "There is no such SA"
        return "No order to move holds for it" if session.pin is None else None

    def objection_to_move(self, sa: SaId, local: Ip | None, remote: Ip | None) -> str | None:
        """Why `OperatorMove` with these would not be obeyed, in a sentence; None if it would."""
        session = self._sessions.get(sa)
        if session is None:
            return "There is no such SA"
        if not session.mobike:
            return "The peer does not speak MOBIKE"
        if session.role is Role.RESPONDER:
            return "Only the initiator of an IKE SA can move it (RFC 4555 section 3.5)"
        pin = Pin(local, remote)
        situation = self._silent_turn().situation(session, current=Current.NONE)
        matching = [each for each in session.connection.policy.rank(situation) if pin.holds(each.pair)]
        if not matching:
            return f"{pin} is no pair of this SA: addresses here and at the peer do not match it"
        return None if matching[0].usable else matching[0].why

    def _silent_turn(self) -> Turn:
        """To ask policy without deciding anything."""
        return Turn(self._now, self._addresses, self._facts, self._sessions, Chance(0))

    def _connection_row(self, upkeep: Upkeep) -> views.ConnectionRow:
        policy, sas = upkeep.policy, self._sessions.count(upkeep.policy.name)
        if sas:
            state = "up"
        elif upkeep.waiting:
            state = "waiting-for-traffic"
        elif policy.initiates:
            state = "connecting" if upkeep.wanted or upkeep.token is not None else "down"
        else:
            state = "listening"
        role = Role.INITIATOR if policy.initiates else Role.RESPONDER
        children = policy.children or (policy.name,)
        return views.ConnectionRow(policy.name, role, state, sas, upkeep.last_error, children)
