"""Whatever happens to an initiator, its state is where the table of the pair machine says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobike.address import Nanos, Pair
from mobike.commands import Move
from mobike.events import (
    Moved,
    MoveRefused,
    Nat,
    NatChanged,
    OperatorMove,
    PathChecked,
    PathHeard,
    PathSilent,
    PeerAddresses,
    PlaneRefused,
    SaMoved,
)
from mobike.mobility.causes import CAUSES, Cause, LocalLost, LookAgain, TimeUp
from mobike.mobility.initiator import HEARD_AS, TABLE, standing
from mobike.mobility.pair_machine import PairEvent, PairState, Test, line
from mobike.mobility.session import Session
from mobike.mobility.states import Updating
from mobike.policy.connection import ConnectionPolicy, OnRefusal
from tests.mobility.stage import MS, SA, Stage, path, session
from tests.policy.words import CELLULAR, OFFICE, OFFICE_B, WIFI, cellular, wifi

NO, TESTING, WORKING = PairState
REMOTES = (OFFICE, OFFICE_B)

STEPS = (
    "wifi goes",
    "cellular goes",
    "wifi comes",
    "cellular comes",
    "looks again",
    "time is up",
    "ordered to cellular",
    "ordered to wifi",
    "answered",
    "an old answer",
    "refused",
    "silent",
    "a probe was silent",
    "a probe was answered",
    "data came back",
    "a list",
    "a list without the address in use",
    "the nat changed",
    "the plane moved",
    "the plane refused",
)


def cause_of(step: str, stage: Stage, it: Session) -> Cause:
    target = it.target or it.path
    match step:
        case "wifi goes" | "cellular goes":
            gone = WIFI if step.startswith("wifi") else CELLULAR
            stage.candidates = tuple(each for each in stage.candidates if each.ip != gone)
            return LocalLost(gone)
        case "wifi comes" | "cellular comes":
            there = {each.ip: each for each in (*stage.candidates, wifi() if step.startswith("wifi") else cellular())}
            stage.candidates = tuple(there.values())
            return LookAgain()
        case "time is up":
            if isinstance(it.state, Updating) and it.state.due is not None:
                stage.now = Nanos(max(stage.now, it.state.due))
            return TimeUp()
        case "ordered to cellular":
            return OperatorMove(SA, CELLULAR, None)
        case "ordered to wifi":
            return OperatorMove(SA, WIFI, None)
        case "answered":
            return Moved(SA, target, it.generation, Nat.NONE, Nanos(MS))
        case "an old answer":
            return Moved(SA, target, type(it.generation)(it.generation - 1), Nat.NONE, Nanos(MS))
        case "refused":
            return MoveRefused(SA, target, it.generation)
        case "silent":
            return PathSilent(SA, target, it.generation, 2, Nanos(MS))
        case "a probe was silent":
            return PathSilent(SA, path(CELLULAR, OFFICE_B + 9), it.generation, 2, Nanos(MS))
        case "a probe was answered":
            return PathChecked(SA, path(CELLULAR), it.generation, Nanos(MS))
        case "data came back":
            return PathHeard(SA, it.path)
        case "a list":
            return PeerAddresses(SA, (OFFICE_B,), OFFICE)
        case "a list without the address in use":
            return PeerAddresses(SA, (), OFFICE_B if it.path.remote.ip == OFFICE else OFFICE)
        case "the nat changed":
            return NatChanged(SA, it.path, Nat.WE_ARE_BEHIND)
        case "the plane moved":
            return SaMoved(SA, it.path)
        case "the plane refused":
            return PlaneRefused(SA, "no memory")
        case _:
            return LookAgain()


def may_be(before: PairState, event: PairEvent) -> set[tuple[PairState, bool]]:
    """Where this event may lead, and whether a test is sent then."""
    lines = {line(before, event, last=last) for last in (False, True)}
    after = {(each.after, each.test is not Test.NONE) for each in lines}
    if event in (PairEvent.TEST_FAIL, PairEvent.TIMER) and before is not NO:
        # The last pair: the core goes on with its request there, which is the timed test of the draft's NO PRIMARY.
        after.add((before, False))
    return after


@pytest.mark.req("A5.2-1", "A5.2-3")
@given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=25), st.sampled_from(OnRefusal))
def test_every_step_of_an_initiator_is_a_line_of_the_pair_machine(story: list[str], on_refusal: OnRefusal) -> None:
    moves = ConnectionPolicy("office", initiates=True).moves
    policy = ConnectionPolicy(
        "office",
        initiates=True,
        remotes=REMOTES,
        moves=type(moves)(moves.switch, on_refusal, moves.settle),
    )
    stage, it = Stage(), session(connection=policy)
    for step in story:
        before, sent = standing(it.state), len(stage.commands)
        cause = cause_of(step, stage, it)
        stage.happens(it, cause, after_ms=1)
        if stage.closed():
            return  # given up, or closed by policy: the end of the machine
        tests = any(isinstance(each, Move) for each in stage.commands[sent:])
        allowed = {(before, False)}  # an older answer, another pair, nothing new
        for event in HEARD_AS[type(cause)]:
            allowed |= may_be(before, event)
        assert (standing(it.state), tests) in allowed, f"{step} in {before}"
        if standing(it.state) is TESTING and before is not TESTING:
            assert tests, "what is being tested was sent"


def test_everything_that_is_heard_has_its_event_and_every_event_is_heard() -> None:
    assert set(HEARD_AS) == {cause for _, cause in TABLE}
    assert set(CAUSES) - set(HEARD_AS) == {cause for cause in CAUSES if cause.__name__ in ("PeerMoved", "PeerAway")}
    heard = {event for events in HEARD_AS.values() for event in events}
    assert heard == set(PairEvent)


@pytest.mark.req("A5.2-3", "A5.2-1")
def test_an_added_pair_is_used_only_where_none_is_operational_and_a_change_of_policy_leaves_one_that_is() -> None:
    equal = ConnectionPolicy("office", initiates=True, remotes=(OFFICE,))
    stage, it = Stage(candidates=(cellular(1),)), session(connection=equal)
    it.path = path(CELLULAR)
    stage.candidates = (cellular(1), wifi(1))
    stage.happens(it, LookAgain())
    assert stage.moves() == [], "as good is no reason"
    stage.candidates = ()
    stage.happens(it, LocalLost(CELLULAR))
    assert standing(it.state) is NO
    stage.candidates = (wifi(1),)
    stage.happens(it, LookAgain())
    assert stage.moves() == [Pair(WIFI, OFFICE)], "no primary: it is tested at once"
    stage.happens(it, Moved(SA, path(WIFI), it.generation, Nat.NONE, Nanos(MS)))
    assert standing(it.state) is WORKING
    stage.candidates = (wifi(2), cellular(1))
    stage.happens(it, LookAgain())
    assert stage.moves()[1:] == [Pair(CELLULAR, OFFICE)], "the operator likes the other link better now"
