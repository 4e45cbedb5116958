"""Paths that fall silent, paths that answer, and tests of those that are not in use: shared by all sessions."""

from abc import ABC, abstractmethod
from heapq import heappop
from itertools import islice

from mobike.address import Ip, Nanos, Pair, SaId
from mobike.commands import Probe
from mobike.events import Moved, PathChecked, PathHeard, PathSilent, Role
from mobike.fleet.retests import INTERVAL, MOST_PROBED, PROBES_PER_LOOK, is_wanted, next_test
from mobike.fleet.scouts import JITTER_PERCENT, Scouts
from mobike.fleet.turn import Turn
from mobike.fleet.window import Window
from mobike.mobility.causes import Cause, LookAgain, TimeUp
from mobike.mobility.session import Session
from mobike.mobility.states import Away, Stable, Updating, Waiting
from mobike.mobility.surroundings import NOTHING_TRIED, Current
from mobike.policy.chance import Chance
from mobike.policy.connection import ConnectionPolicy
from mobike.policy.knowledge import UNTRIED, Reach

MOVES_PER_TURN = 256
"""Sessions that follow a scout in one turn, away from a pair that fell silent under them."""

MOVE_INTERVAL = 20_000_000
"""Nanoseconds until the next of them, give or take: 12,800 a second."""


class Paths(Window, ABC):
    """The part of the fleet that looks after paths; `Fleet` gives it the step of one session."""

    def __init__(self, connections: tuple[ConnectionPolicy, ...], public: tuple[Ip, ...], seed: int) -> None:
        super().__init__(connections, public)
        self._to_look: dict[SaId, None] = {}
        self._look_at: Nanos | None = None
        """When the next sessions look; None: none has to."""
        self._chance = Chance(seed)
        self._scouts = Scouts(self._chance)
        self._to_follow: dict[SaId, PathSilent | None] = {}
        """Who leaves a silent pair, now that a way is found; with its own silence, if it told of one."""
        self._follow_at: Nanos | None = None
        self._retest_at: Nanos | None = None
        """When pairs that are not in use are looked at; None: no connection asks for that, or none has a choice."""
        self._to_retest: dict[str, None] = {}
        """Connections, in the order in which they have their turn."""
        self._probed: dict[Pair, Nanos] = {}
        """Tests that were not answered yet: a lost one is not sent again in the next second."""
        self._to_watch: dict[str, None] = {}
        """Connections whose pairs may be others now, for who watches them."""
        self._tests: list[tuple[Nanos, SaId]] = []
        """A heap: when tests have had their time."""

    @abstractmethod
    def _step(self, session: Session, cause: Cause, turn: Turn) -> None: ...

    def _path_silent(self, event: PathSilent, turn: Turn) -> None:
        """The first to tell of a pair searches at once, and for all others who use it."""
        session = self._sessions.get(event.sa)
        if session is None:
            return
        pair = event.path.pair
        if not _would_search(session, event, pair):
            self._step(session, event, turn)
        elif self._scouts.is_left(pair):
            self._to_follow[event.sa] = event
            self._follow_at = self._follow_at or turn.now
        elif self._scouts.may_search(event, pair, turn.now):
            self._step(session, event, turn)

    def _path_answers(self, event: Moved | PathChecked, turn: Turn) -> None:
        """Proof of one pair. Where it was found by leaving a silent one, all who are still there follow."""
        session = self._sessions.get(event.sa)
        if session is None:
            return
        known = self._facts.known.get(event.path.pair, UNTRIED).reach
        before, tried = session.path, session.state.tried if isinstance(session.state, Updating) else NOTHING_TRIED
        self._step(session, event, turn)
        self._scouts.answers_again(event.path.pair)
        self._probed.pop(event.path.pair, None)
        if isinstance(event, PathChecked) and known is not Reach.VERIFIED:
            self._look_all(turn)  # a pair that was bad or unknown works: it may be the preferred one
        if session.path is before:
            return
        for pair in (before.pair, *sorted(tried - {before.pair}, key=str)):
            if pair != session.pair and self._scouts.found_a_way(pair):
                users = (each for each in self._sessions.on_pair(pair) if each.role is Role.INITIATOR)
                self._to_follow.update(dict.fromkeys(each.sa for each in users))
                self._follow_at = self._follow_at or turn.now

    def _path_heard(self, event: PathHeard, turn: Turn) -> None:
        """Data of this SA came back: it waits for no scout any more."""
        session = self._sessions.get(event.sa)
        if session is not None:
            self._to_follow.pop(event.sa, None)
            if self._scouts.heard(event.sa, event.path.pair):
                self._step(session, event, turn)

    def _follow(self, turn: Turn) -> None:
        if self._follow_at is None or self._follow_at > turn.now:
            return
        look = LookAgain()
        for sa in list(islice(self._to_follow, MOVES_PER_TURN)):
            silence = self._to_follow.pop(sa)
            session = self._sessions.get(sa)
            if session is None:
                continue
            path, state = session.path, session.state
            self._step(session, look, turn)
            if silence is not None and session.path is path and session.state is state:
                self._step(session, silence, turn)  # the way that was found is none for this one
        wait = self._chance.around(MOVE_INTERVAL, JITTER_PERCENT)
        self._follow_at = Nanos(turn.now + wait) if self._to_follow else None

    def _send_scouts(self, turn: Turn) -> None:
        for event in self._scouts.due(turn.now):
            session = self._sessions.get(event.sa)
            if session is not None:
                self._step(session, event, turn)

    def _end_tests(self, turn: Turn) -> None:
        up = TimeUp()
        while self._tests and self._tests[0][0] <= turn.now:
            due, sa = heappop(self._tests)
            session = self._sessions.get(sa)
            if session is not None and isinstance(session.state, Updating) and session.state.due == due:
                self._step(session, up, turn)

    def _retest(self, turn: Turn) -> None:
        """Spare pairs are tested while the one in use works, by policy and within a budget."""
        if self._retest_at is None or self._retest_at > turn.now:
            return
        soonest: Nanos | None = None
        left = PROBES_PER_LOOK
        for name in list(self._to_retest):
            session = self._sessions.an_initiator(name)
            if session is not None and session.probes:
                session = None  # path probes know more, and cost no request
            test = None if session is None else self._next_test(session, turn)
            if session is None or test is None or isinstance(session.state, Away):
                del self._to_retest[name]
                continue
            due, pair = test
            if due <= turn.now and left and isinstance(session.state, Stable):
                left -= 1
                self._note_probe(pair, turn.now)
                turn.command(Probe(session.sa, turn.path(session, pair), session.generation))
            soonest = due if soonest is None else min(due, soonest)
        pause = self._chance.around(INTERVAL, JITTER_PERCENT)
        self._retest_at = None if soonest is None else Nanos(max(soonest, turn.now + pause))

    def _next_test(self, session: Session, turn: Turn) -> tuple[Nanos, Pair] | None:
        ranked = session.connection.policy.rank(turn.situation(session, current=Current.IN_USE))
        return next_test(ranked, session.pair, self._facts.known, self._probed, session.connection.retest)

    def _note_probe(self, pair: Pair, now: Nanos) -> None:
        self._probed.pop(pair, None)
        self._probed[pair] = now
        if len(self._probed) > MOST_PROBED:
            del self._probed[next(iter(self._probed))]

    def _watch_spares(self, session: Session, turn: Turn) -> None:
        """Something about its pairs is new: perhaps one of them is to be tested."""
        if session.probes:
            self._to_watch[session.connection.name] = None
        elif session.mobike and is_wanted(session.connection.retest):
            self._to_retest[session.connection.name] = None
            soon = Nanos(turn.now + INTERVAL)
            self._retest_at = soon if self._retest_at is None else min(self._retest_at, soon)

    def _look_all(self, turn: Turn) -> None:
        """Something is known of a pair that may change the choice of those who choose."""
        self._to_look.update(dict.fromkeys(each.sa for each in self._sessions if each.role is Role.INITIATOR))
        self._look_at = self._look_at or turn.now


def _would_search(session: Session, event: PathSilent, pair: Pair) -> bool:
    """Would this silence make an initiator begin to search? One that searches already goes on by itself."""
    if session.role is not Role.INITIATOR or not session.mobike:
        return False
    match session.state:
        case Stable():
            return pair == session.pair
        case Updating(path=path, test=test):
            return test == 0 and pair == path.pair and event.generation == session.generation
        case Waiting() | Away():
            return False
