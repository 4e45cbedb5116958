"""The initiator decides which pair is used (RFC 4555 section 3.5): choose, ask the peer, then follow with traffic.

    STABLE    nothing awaited
    UPDATING  UPDATE_SA_ADDRESSES was sent from the new pair; awaits Moved, MoveRefused or PathSilent of this generation
    WAITING   no pair can be used; awaits one
    AWAY      nobody expects us to be anywhere until we come back (docs/extensions/away.md)

What happens is turned into the events of `pair_machine` (`HEARD_AS`), whose table says whether a pair is tested and
what becomes of the state; policy says which pair is next or wanted, and `SearchRule` for how long it is tested: each
test has more time than the one before, and all together have a budget.

The old pair carries traffic until the new one has answered. Three exceptions, each named in `_switch_now`: the old
local address is known to be dead, or path probes say that nothing sent there arrives, so nothing can be lost by leaving
it; or the operator's policy says `at-once`. None holds for an address that only the peer's list names: it must have
answered first (section 3.7).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from mobike.address import Generation, Nanos, Pair, Path
from mobike.commands import Away as AskLeave
from mobike.commands import Close, Move
from mobike.dataplane.operations import Behind, MoveSa
from mobike.events import (
    AwayRefused,
    Moved,
    MoveRefused,
    NatChanged,
    OperatorMove,
    PathChecked,
    PathHeard,
    PathSilent,
    PeerAddresses,
    PlaneRefused,
    SaMoved,
    WentAway,
)
from mobike.mobility.away import decline_leave, decline_return, note_refusal, park
from mobike.mobility.causes import Cause, ComeBack, GoAway, LocalLost, LookAgain, TimeUp, Woken
from mobike.mobility.common import (
    Handler,
    announce_list,
    is_encapsulated,
    note_checked,
    note_heard,
    note_plane_refused,
    nothing,
    record_move,
    store_peer_list,
)
from mobike.mobility.pair_machine import PairEvent, PairState, Test, line
from mobike.mobility.session import MoveRecord, Session
from mobike.mobility.states import STABLE, Away, Stable, State, Updating, Waiting
from mobike.mobility.surroundings import NOTHING_TRIED, Current, Said, Surroundings
from mobike.policy.choose import Choice, Decision, Keep, NoPair, Pin
from mobike.policy.connection import OnRefusal, Switch
from mobike.policy.knowledge import Reach

# --- STABLE --------------------------------------------------------------------------------------------------------


def _leave_dead_pair(session: Session, cause: LocalLost, around: Surroundings) -> None:
    """A local failure is certain: act at once (RFC 4621 section 5.1)."""
    _search(session, around)


def leave_dead_pair_together(sessions: Sequence[Session], around: Surroundings) -> None:
    """As `_leave_dead_pair` for each. They share connection, path, state, pin and the peer's list."""
    first = sessions[0]
    match around.choose(first, current=Current.IN_USE):
        case Choice(pair, why) if _switch_now(first, around) and _is_trusted(first, around.path(first, pair)):
            _ask_together(sessions, around, around.path(first, pair), why)
        case Choice() | Keep() | NoPair():
            for session in sessions:
                _search(session, around)


def _ask_together(sessions: Sequence[Session], around: Surroundings, path: Path, why: str) -> None:
    """The loop that 100,000 SAs pass: two objects each. Traffic follows at once, for what it leaves is dead."""
    addresses, command, operate = around.addresses, around.command, around.operate
    known = around.is_translated(path)
    for session in sessions:
        encap = is_encapsulated(session.nat) if known is None else known
        session.generation = generation = Generation(session.generation + 1)
        command(Move(session.sa, path, generation, None if session.told == addresses else addresses))
        session.told = addresses
        operate(MoveSa(session.sa, path, encap))
        session.state = around.updating(path, why, encap)
    around.tell_all(Said.MOVING, sessions, why, path)


def _consider(session: Session, cause: LookAgain, around: Surroundings) -> None:
    match around.choose(session, current=Current.IN_USE):
        case Choice() as wanted:
            _follow(session, around, PairEvent.POLICY_CHANGE, wanted)
        case Keep() as kept:
            _follow(session, around, PairEvent.ADD_PAIR, kept)
            announce_list(session, around)
        case NoPair() as none:
            _follow(session, around, PairEvent.DELETE_PAIR, none)


def _obey(session: Session, cause: OperatorMove, around: Surroundings) -> None:
    """The operator's pair is preferred from now on; policy still says whether it can be used."""
    session.pin = Pin(cause.local, cause.remote)
    around.retry(session, session.pin)
    target = session.state.path.pair if isinstance(session.state, Updating) else session.pair
    match around.choose(session, current=_current(session)):
        case Choice(pair, why) if session.pin.holds(pair):
            _follow(session, around, PairEvent.POLICY_CHANGE, Choice(pair, f"the operator moved it: {why}"))
        case Choice(pair, why):
            because = f"the operator's {session.pin} cannot be used now: {why}"
            _follow(session, around, PairEvent.POLICY_CHANGE, Choice(pair, because))
        case Keep(why) if session.pin.holds(target):
            around.tell(Said.KEPT, session, f"The operator's pair is the one in use: {why}")
        case Keep(why):
            around.tell(Said.ORDER_REFUSED, session, f"The operator's {session.pin} cannot be used now: {why}")
        case NoPair() as none:
            _follow(session, around, PairEvent.DELETE_PAIR, none)


def _leave_silent_pair(session: Session, cause: PathSilent, around: Surroundings) -> None:
    """Requests go unanswered though the local side is well: try the other pairs (RFC 4555 section 3.5)."""
    around.learn(cause.path.pair, Reach.SILENT)
    if cause.path.pair == session.pair:  # else it was a probe of another one
        _test_failed(session, around, PairEvent.TEST_FAIL, frozenset({session.pair}), _silence(cause))


def _update_after_restart(session: Session, cause: Woken, around: Surroundings) -> None:
    """NATs may have forgotten us, and a crash what the peer was told last: tell it where we are (section 3.8)."""
    why = "this host was restarted"
    match around.choose(session, current=Current.IN_USE):
        case Choice(pair, better):
            _ask(session, around, pair, f"{why}; {better}")
        case Keep():
            _ask(session, around, session.pair, why)
        case NoPair(none):
            _wait(session, around, none)


def _update_in_place(session: Session, cause: NatChanged, around: Surroundings) -> None:
    """A NAT forgot or renumbered us: the peer must learn the new mapping (RFC 4555 section 3.8)."""
    around.tell(Said.NAT_CHANGED, session, f"The peer sees us at another address than before on {cause.path}")
    same = Choice(session.pair, "the NAT on the way changed its mapping")
    _follow(session, around, PairEvent.ICMP, same)


# --- UPDATING ------------------------------------------------------------------------------------------------------


def _lost_while_updating(session: Session, cause: LocalLost, around: Surroundings) -> None:
    state = _updating(session)
    if around.is_dead(state.path):
        _search(session, around)
    elif state.told_plane is None and around.is_dead(session.path) and _is_trusted(session, state.path):
        encap = _follow_now(session, around, state.path)
        session.state = replace(state, told_plane=encap)


def _reconsider(session: Session, cause: LookAgain, around: Surroundings) -> None:
    """Is the pair we asked for still the right one? A newer decision overtakes the one in flight (section 3.5)."""
    state = _updating(session)
    excluded = state.tried - {state.path.pair}
    match around.choose(session, current=Current.ASKED_FOR, excluded=excluded):
        case Choice() as wanted:
            _follow(session, around, PairEvent.POLICY_CHANGE, wanted, tried=excluded)
        case Keep() as kept:
            _follow(session, around, PairEvent.ADD_PAIR, kept)  # a changed list is told when this update is answered
        case NoPair() as none:
            _follow(session, around, PairEvent.DELETE_PAIR, none)


def _settle(session: Session, cause: Moved, around: Surroundings) -> None:
    """The peer is there: traffic follows now, unless it went ahead."""
    if cause.generation != session.generation:
        return
    state = _updating(session)
    encap = is_encapsulated(cause.nat)
    if state.told_plane is not encap:
        around.operate(MoveSa(session.sa, state.path, encap, Behind.LATE))
    around.learn(state.path.pair, Reach.VERIFIED, cause.nat)
    duration = Nanos(around.now - state.since)
    record_move(session, MoveRecord(around.now, session.path, state.path, state.why, duration))
    session.nat = cause.nat
    if session.left_out == session.path.remote.ip:
        session.left_out = None  # it answers there all the same
    session.state = STABLE
    around.tell(Said.MOVED, session, f"Moved in {duration / 1e6:.1f} ms: {state.why}")
    announce_list(session, around)


def _take_refusal(session: Session, cause: MoveRefused, around: Surroundings) -> None:
    """UNACCEPTABLE_ADDRESSES: the peer has not moved. Never a success; what follows is policy (section 3.5)."""
    if cause.generation != session.generation:
        return
    state = _updating(session)
    refused = state.path.pair
    around.learn(refused, Reach.REFUSED)
    around.tell(Said.MOVE_REFUSED, session, f"The peer does not accept {refused}", state.path)
    match session.connection.moves.on_refusal:
        case OnRefusal.TRY_NEXT:
            _try_untried(session, around, state.tried | {refused}, f"the peer refused {refused}")
        case OnRefusal.KEEP_OLD:
            _go_back(session, around, state.tried | {refused}, f"the peer refused {refused}")
        case OnRefusal.CLOSE:
            session.state = STABLE
            around.command(Close(session.sa, f"the peer refused {refused}, and policy says to close then"))


def _try_next(session: Session, cause: PathSilent, around: Surroundings) -> None:
    """The pair asked for does not answer either. The next one has its turn when the time of this one is up."""
    if cause.generation != session.generation:
        return
    state = _updating(session)
    silent = state.path.pair
    around.learn(silent, Reach.SILENT)
    if state.due is None or state.due <= around.now:
        _test_failed(session, around, PairEvent.TEST_FAIL, state.tried | {silent}, _silence(cause))


def _give_next_a_turn(session: Session, cause: TimeUp, around: Surroundings) -> None:
    """No answer in its time. That may be a long way and no silence, so the pair is not held to be silent for it."""
    state = _updating(session)
    asked = state.path.pair
    if state.due is not None and state.due <= around.now:
        if _is_last_new_one(session, state, around):
            # Better to wait as long again than to go back to one that has failed just now.
            due = around.test_ends(session, state.test)
            session.state = replace(state, tried=state.tried | {asked}, due=due)
            return
        because = f"{asked} has not answered in its time"
        _test_failed(session, around, PairEvent.TIMER, state.tried | {asked}, because)


# --- WAITING -------------------------------------------------------------------------------------------------------


def _leave_when_possible(session: Session, cause: LookAgain | TimeUp, around: Surroundings) -> None:
    match around.choose(session, current=Current.NONE):
        case Choice() as found:
            _follow(session, around, PairEvent.TIMER if isinstance(cause, TimeUp) else PairEvent.ADD_PAIR, found)
        case Keep() | NoPair():
            pass


# --- AWAY ----------------------------------------------------------------------------------------------------------


def _ask_leave(session: Session, cause: GoAway, around: Surroundings) -> None:
    """The core says what the peer answered. What comes between, a lost link for one, overtakes it."""
    around.command(AskLeave(session.sa, cause.span))


def _come_back(session: Session, cause: ComeBack, around: Surroundings) -> None:
    """One UPDATE_SA_ADDRESSES, from the best pair there is by now."""
    match around.choose(session, current=Current.NONE):
        case Choice(pair, why):
            _follow(session, around, PairEvent.CONNECT, Choice(pair, f"back from being away: {why}"))
        case Keep(why) | NoPair(why):
            _wait(session, around, why)


def _decline_move(session: Session, cause: OperatorMove, around: Surroundings) -> None:
    around.tell(Said.ORDER_REFUSED, session, "Cannot move: it is away; come back first")


# --- what the transitions are made of ------------------------------------------------------------------------------


def _follow(
    session: Session,
    around: Surroundings,
    event: PairEvent,
    found: Decision,
    *,
    tried: frozenset[Pair] = NOTHING_TRIED,
) -> None:
    """What the pair machine says of this event. `found` is policy's answer: the pair that is next, wanted or the same;
    where it has none, the chosen pair was the last."""
    planned = line(standing(session.state), event, last=isinstance(found, NoPair))
    match found:
        case Choice(pair, why) if planned.test is not Test.NONE:
            _ask(session, around, pair, why, tried=tried)
        case NoPair(why) if planned.after is PairState.NO_PRIMARY:
            _wait(session, around, why)
        case Choice() | Keep() | NoPair():
            pass


def _search(session: Session, around: Surroundings) -> None:
    """The pair asked for, or in use, cannot be used: take the best that can, or wait for one."""
    match around.choose(session, current=_current(session)):
        case Keep():
            announce_list(session, around)  # it was about another address of ours
        case Choice() | NoPair() as found:
            _follow(session, around, PairEvent.DELETE_PAIR, found)


def _test_failed(
    session: Session, around: Surroundings, event: PairEvent, tried: frozenset[Pair], because: str
) -> None:
    """The pair machine says whether to test another; the budget says for how long."""
    budget = session.connection.search.budget
    if isinstance(session.state, Updating) and around.now - session.state.since >= budget:
        why = f"no pair has answered in {budget / 1e9:.0f} s"
        around.tell(Said.MOVE_FAILED, session, f"Given up: {why}")
        session.state = STABLE
        around.command(Close(session.sa, why))
        return
    found = _untested(session, around, tried)
    match line(standing(session.state), event, last=found is None).test:
        case Test.NEXT if found is not None:
            pair, why, excluded = found
            _ask(session, around, pair, f"{because}; {why}", tried=excluded)
        case Test.NEXT | Test.SAME | Test.WANTED | Test.NONE:
            # Only this one is left: the core goes on repeating its request on it until it gives the SA up.
            around.tell(Said.SILENT, session, f"{because}, and there is no other pair")
            if isinstance(session.state, Updating) and session.state.due is not None:
                session.state = replace(session.state, due=around.test_ends(session, session.state.test))


def _is_last_new_one(session: Session, state: Updating, around: Surroundings) -> bool:
    """Has every other pair failed once in this search, and this one not yet?"""
    asked = state.path.pair
    if asked in state.tried or len(state.tried) != state.test:
        return False
    decision = around.choose(session, current=Current.NONE, excluded=state.tried | {asked})
    return not isinstance(decision, Choice)


def _untested(
    session: Session, around: Surroundings, tried: frozenset[Pair]
) -> tuple[Pair, str, frozenset[Pair]] | None:
    """The best pair not tried yet; when all were, the best but the last one. With what counts as tried then."""
    last = session.state.path.pair if isinstance(session.state, Updating) else session.pair
    for excluded in (tried, frozenset({last})):
        match around.choose(session, current=Current.NONE, excluded=excluded):
            case Choice(pair, why):
                return pair, why, excluded
            case Keep() | NoPair():
                continue
    return None


def _try_untried(session: Session, around: Surroundings, tried: frozenset[Pair], because: str) -> None:
    """As above, but never twice: refusals come at the speed of the network, and more rounds would be a storm."""
    match around.choose(session, current=Current.NONE, excluded=tried):
        case Choice(pair, why):
            _follow(session, around, PairEvent.TEST_FAIL, Choice(pair, f"{because}; {why}"), tried=tried)
        case Keep() | NoPair():
            _go_back(session, around, tried, because)


def _go_back(session: Session, around: Surroundings, tried: frozenset[Pair], because: str) -> None:
    """Put the IKE SA back where traffic still is; or, if that is dead or refused as well, wait."""
    found: Decision = Choice(session.pair, f"{because}; back to {session.pair}")
    if session.pair in tried or around.is_dead(session.path):
        found = NoPair(f"{because}, and no other pair is left")
    _follow(session, around, PairEvent.TEST_FAIL, found, tried=tried)


def _ask(
    session: Session, around: Surroundings, pair: Pair, why: str, *, tried: frozenset[Pair] = NOTHING_TRIED
) -> None:
    """Move: outstanding requests and UPDATE_SA_ADDRESSES go out from `pair` now (RFC 4555 section 3.5)."""
    path = around.path(session, pair)
    before = session.state if isinstance(session.state, Updating) else None
    addresses = None if session.told == around.addresses else around.addresses
    session.told = around.addresses
    around.command(Move(session.sa, path, session.next_generation(), addresses))
    went_ahead = before is not None and before.told_plane is not None
    goes_ahead = (went_ahead or _switch_now(session, around)) and _is_trusted(session, path)
    encap = _follow_now(session, around, path) if goes_ahead else None
    if before is None and not tried:
        session.state = around.updating(path, why, encap)
    else:
        test = (0 if before is None else before.test) + bool(tried)
        due = around.test_ends(session, test) if test else None
        since = around.now if before is None else before.since
        session.state = Updating(path, since, why, encap, tried, test, due)
    around.tell(Said.MOVING, session, why, path)


def _switch_now(session: Session, around: Surroundings) -> bool:
    """Rules by which traffic does not wait for the peer's answer (RFC 4555 section 3.5 leaves it to us)."""
    at_once = session.connection.moves.switch is Switch.AT_ONCE
    return at_once or around.is_dead(session.path) or around.is_deaf(session.path)


def _is_trusted(session: Session, path: Path) -> bool:
    """May traffic go there unproven? An address that only the peer's list names may be a victim's (section 3.7)."""
    return path.remote.ip == session.path.remote.ip or path.remote.ip in session.connection.remotes


def _follow_now(session: Session, around: Surroundings, path: Path) -> bool:
    """Send traffic to `path` before the answer; encapsulated as that pair was before, or as the pair in use is."""
    known = around.is_translated(path)
    encap = is_encapsulated(session.nat) if known is None else known
    behind = Behind.MORE if session.path.local.ip in around.addresses else Behind.NOTHING
    around.operate(MoveSa(session.sa, path, encap, behind))
    return encap


def _wait(session: Session, around: Surroundings, why: str) -> None:
    session.next_generation()
    session.state = Waiting(around.now, why)
    around.tell(Said.WAITING, session, f"Nothing to move to: {why}")


def standing(state: State) -> PairState:
    """A state of ours in the words of the pair machine."""
    match state:
        case Stable():
            return PairState.PRIMARY_OPERATIONAL
        case Updating():
            return PairState.TESTING_PRIMARY
        case Waiting() | Away():
            return PairState.NO_PRIMARY


def _current(session: Session) -> Current:
    match session.state:
        case Stable():
            return Current.IN_USE
        case Updating():
            return Current.ASKED_FOR
        case Waiting() | Away():
            return Current.NONE


def _updating(session: Session) -> Updating:
    assert isinstance(session.state, Updating)  # noqa: S101 - the table says so
    return session.state


def _silence(cause: PathSilent) -> str:
    return f"{cause.path.pair} has not answered {cause.tries} requests in {cause.unanswered_for / 1e6:.0f} ms"


HEARD_AS: Final[Mapping[type[Cause], tuple[PairEvent, ...]]] = {
    LocalLost: (PairEvent.DELETE_PAIR,),
    LookAgain: (PairEvent.ADD_PAIR, PairEvent.POLICY_CHANGE, PairEvent.DELETE_PAIR),
    TimeUp: (PairEvent.TIMER,),
    GoAway: (),
    ComeBack: (PairEvent.CONNECT,),
    Woken: (PairEvent.TIMER, PairEvent.POLICY_CHANGE, PairEvent.DELETE_PAIR),
    OperatorMove: (PairEvent.POLICY_CHANGE, PairEvent.DELETE_PAIR),
    Moved: (PairEvent.TEST_OK,),
    MoveRefused: (PairEvent.TEST_FAIL,),
    PathSilent: (PairEvent.TEST_FAIL,),
    PathChecked: (PairEvent.ULP_FEEDBACK,),
    PathHeard: (PairEvent.ULP_FEEDBACK,),
    PeerAddresses: (PairEvent.ADD_PAIR, PairEvent.POLICY_CHANGE, PairEvent.DELETE_PAIR),
    NatChanged: (PairEvent.ICMP,),
    WentAway: (),
    AwayRefused: (),
    SaMoved: (),
    PlaneRefused: (),
}
"""What is heard, as events of the pair machine. Where there are several, policy's answer says which: a pair that is
kept is an Add pair, one that is left for another a Policy change, and one that is left for none a Delete pair.

That the NAT on the way changed is the only hint of the draft's kind ICMP that comes as far as this: real ICMP, and
silence of the data, make the core send its own test earlier. A session begins with the Test OK of its first Connect."""

# --- the table -----------------------------------------------------------------------------------------------------


def _store_peer_list(session: Session, cause: PeerAddresses, around: Surroundings) -> None:
    """The list replaces the old one (RFC 4555 section 3.6), and is a reason to look again (section 3.5)."""
    store_peer_list(session, cause, around)
    TABLE[type(session.state), LookAgain](session, LookAgain(), around)


_SAME_EVERYWHERE: Final[Mapping[type[Cause], Handler]] = {
    PathChecked: note_checked,
    PathHeard: note_heard,
    PeerAddresses: _store_peer_list,
    AwayRefused: note_refusal,
    SaMoved: nothing,
    PlaneRefused: note_plane_refused,
}

_STATES: Final = (Stable, Updating, Waiting, Away)

TABLE: Final[Mapping[tuple[type[State], type[Cause]], Handler]] = {
    **{(state, cause): handler for state in _STATES for cause, handler in _SAME_EVERYWHERE.items()},
    (Stable, LocalLost): _leave_dead_pair,
    (Stable, LookAgain): _consider,
    (Stable, TimeUp): nothing,
    (Stable, OperatorMove): _obey,
    (Stable, GoAway): _ask_leave,
    (Stable, ComeBack): decline_return,
    (Stable, WentAway): park,
    (Stable, Woken): _update_after_restart,
    (Stable, PathSilent): _leave_silent_pair,
    (Stable, NatChanged): _update_in_place,
    (Stable, Moved): nothing,  # an answer to an older update (RFC 4555 section 3.5)
    (Stable, MoveRefused): nothing,
    (Updating, LocalLost): _lost_while_updating,
    (Updating, LookAgain): _reconsider,
    (Updating, TimeUp): _give_next_a_turn,
    (Updating, OperatorMove): _obey,
    (Updating, GoAway): decline_leave,
    (Updating, ComeBack): decline_return,
    (Updating, WentAway): nothing,  # the update in flight ends it
    (Updating, Woken): nothing,
    (Updating, Moved): _settle,
    (Updating, MoveRefused): _take_refusal,
    (Updating, PathSilent): _try_next,
    (Updating, NatChanged): nothing,  # the update in flight tells the peer
    (Waiting, LocalLost): nothing,
    (Waiting, LookAgain): _leave_when_possible,
    (Waiting, TimeUp): _leave_when_possible,
    (Waiting, OperatorMove): _obey,
    (Waiting, GoAway): decline_leave,
    (Waiting, ComeBack): decline_return,
    (Waiting, WentAway): park,  # the last address went right behind our request
    (Waiting, Woken): nothing,
    (Waiting, Moved): nothing,  # from before the pair was lost
    (Waiting, MoveRefused): nothing,
    (Waiting, PathSilent): nothing,
    (Waiting, NatChanged): nothing,
    (Away, LocalLost): nothing,  # addresses come and go while a host sleeps and wakes
    (Away, LookAgain): nothing,
    (Away, TimeUp): nothing,
    (Away, Woken): nothing,
    (Away, OperatorMove): _decline_move,
    (Away, GoAway): decline_leave,
    (Away, ComeBack): _come_back,
    (Away, WentAway): park,
    (Away, Moved): nothing,  # from before
    (Away, MoveRefused): nothing,
    (Away, PathSilent): nothing,
    (Away, NatChanged): nothing,
}
"""PeerMoved and PeerAway stand nowhere: only the initiator moves an SA (RFC 4555 section 3.5), or leaves it."""
