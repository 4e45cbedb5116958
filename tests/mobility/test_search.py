"""An initiator whose path died looks for another: one pair at a time, each with more time, and not for ever."""

from itertools import pairwise

import pytest

from mobike.address import Nanos, Pair
from mobike.events import Moved, Nat, OperatorMove, PathSilent
from mobike.mobility.causes import Cause, LocalLost, LookAgain, TimeUp
from mobike.mobility.initiator import standing
from mobike.mobility.pair_machine import PairEvent, PairState, line
from mobike.mobility.session import Session
from mobike.mobility.states import STABLE, State, Updating, Waiting
from mobike.policy.connection import ConnectionPolicy
from mobike.policy.knowledge import PairFact, Reach
from mobike.policy.schedule import SECOND, SearchRule
from tests.mobility.stage import MS, SA, Stage, answer, path, session, silence
from tests.policy.words import CELLULAR, OFFICE, OFFICE_B, ON_CELLULAR, ON_WIFI, WIFI

OFFICE_C = OFFICE_B + 1
EXACT = ConnectionPolicy(
    "office", initiates=True, remotes=(OFFICE, OFFICE_B, OFFICE_C), search=SearchRule(jitter_percent=0)
)


def let_its_time_pass(stage: Stage, it: Session) -> None:
    """Until the next pair has its turn."""
    moves = len(stage.moves())
    while len(stage.moves()) == moves:
        assert isinstance(it.state, Updating) and it.state.due is not None
        stage.now = it.state.due
        stage.happens(it, TimeUp())


@pytest.mark.req("A5.3-3", "D5.1-1", "D5.1-3")
def test_all_pairs_are_tested_one_after_the_other_each_with_more_time_than_the_one_before() -> None:
    stage, it = Stage(), session(connection=EXACT)
    stage.happens(it, silence(it))
    begun = [stage.now]
    for _ in range(8):
        assert isinstance(it.state, Updating)
        assert it.state.due is not None
        stage.happens(it, silence(it))
        assert len(stage.moves()) == len(begun), "it falls silent early; the next one still has to wait for its turn"
        let_its_time_pass(stage, it)
        begun.append(stage.now)
    shares = [after - before for before, after in pairwise(begun)]
    assert shares[:4] == [250 * MS, 312_500_000, 390_625_000, 488_281_250]
    everywhere = {Pair(local, remote) for local in (WIFI, CELLULAR) for remote in (OFFICE, OFFICE_B, OFFICE_C)}
    assert {ON_WIFI, *stage.moves()[:5]} == everywhere
    # It ends as soon as one answers.
    stage.happens(it, answer(it))
    assert it.state is STABLE


@pytest.mark.req("A5.3-3", "D5.1-1")
def test_the_last_pair_that_is_new_has_its_time_twice_before_the_search_goes_back_to_one_that_failed() -> None:
    two = ConnectionPolicy("office", initiates=True, remotes=(OFFICE,), search=SearchRule(jitter_percent=0))
    stage, it = Stage(), session(connection=two)
    stage.happens(it, silence(it))
    begun = [stage.now]
    for _ in range(3):
        let_its_time_pass(stage, it)
        begun.append(stage.now)
    assert stage.moves() == [ON_CELLULAR, ON_WIFI, ON_CELLULAR, ON_WIFI]
    shares = [after - before for before, after in pairwise(begun)]
    assert shares == [500 * MS, 312_500_000, 390_625_000]


@pytest.mark.req("A5.3-3")
def test_a_pair_that_did_not_answer_in_its_time_gives_way_and_is_not_held_to_be_silent() -> None:
    stage, it = Stage(), session(connection=EXACT)
    stage.happens(it, silence(it))
    (asked,) = stage.moves()
    stage.happens(it, TimeUp(), after_ms=100)
    assert len(stage.moves()) == 1, "not before its time"
    stage.happens(it, TimeUp(), after_ms=200)
    assert len(stage.moves()) == 2
    assert asked not in stage.knowledge


@pytest.mark.req("A5.3-3")
def test_when_the_budget_is_spent_the_sa_is_given_up() -> None:
    stage, it = Stage(), session(connection=EXACT)
    stage.happens(it, silence(it))
    while isinstance(it.state, Updating):
        assert it.state.due is not None
        stage.now = it.state.due
        stage.happens(it, TimeUp())
    assert stage.closed() == [SA]
    assert EXACT.search.budget <= stage.now <= EXACT.search.budget + EXACT.search.most
    assert len(stage.moves()) < 60, "tests of the last minutes are seconds apart"
    assert stage.said[-1][1] == "Given up: no pair has answered in 165 s"


@pytest.mark.req("M3.10-1")
def test_silence_of_a_probe_is_remembered_and_moves_nothing() -> None:
    stage, it = Stage(), session()
    stage.happens(it, PathSilent(SA, path(CELLULAR), it.generation, 2, Nanos(SECOND)))
    assert stage.knowledge[ON_CELLULAR].reach is Reach.SILENT
    assert stage.commands == []
    assert it.state is STABLE


def updating() -> State:
    return Updating(path(CELLULAR), Nanos(0), "a test", None, frozenset({ON_WIFI}), 1, Nanos(0))


@pytest.mark.req("A5.2-1", "A5.2-3")
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    ("start", "event", "cause"),
    [
        (STABLE, PairEvent.ADD_PAIR, LookAgain()),
        (STABLE, PairEvent.DELETE_PAIR, LocalLost(WIFI)),
        (STABLE, PairEvent.POLICY_CHANGE, OperatorMove(SA, CELLULAR, None)),
        (STABLE, PairEvent.TEST_OK, Moved(SA, path(), session().generation, Nat.NONE, Nanos(MS))),
        (STABLE, PairEvent.TEST_FAIL, silence(session())),
        (updating(), PairEvent.ADD_PAIR, LookAgain()),
        (updating(), PairEvent.DELETE_PAIR, LocalLost(CELLULAR)),
        (updating(), PairEvent.POLICY_CHANGE, OperatorMove(SA, WIFI, None)),
        (updating(), PairEvent.TEST_OK, Moved(SA, path(CELLULAR), session().generation, Nat.NONE, Nanos(MS))),
        (updating(), PairEvent.TEST_FAIL, PathSilent(SA, path(CELLULAR), session().generation, 2, Nanos(MS))),
        (updating(), PairEvent.TIMER, TimeUp()),
        (Waiting(Nanos(0), "a test"), PairEvent.ADD_PAIR, LookAgain()),
        (Waiting(Nanos(0), "a test"), PairEvent.TIMER, TimeUp()),
        (Waiting(Nanos(0), "a test"), PairEvent.POLICY_CHANGE, OperatorMove(SA, CELLULAR, None)),
        (Waiting(Nanos(0), "a test"), PairEvent.TEST_FAIL, silence(session())),
    ],
)
def test_the_initiator_is_the_pair_machine_in_the_words_of_mobike(
    start: State, event: PairEvent, cause: Cause, last: bool
) -> None:
    stage, it = Stage(), session(state=start)
    chosen = it.target.local.ip if it.target else WIFI
    stage.knowledge[ON_WIFI] = PairFact(Reach.VERIFIED)
    if last and not isinstance(start, Waiting) and event is not PairEvent.POLICY_CHANGE:
        stage.candidates = tuple(each for each in stage.candidates if each.ip == chosen)
    if isinstance(cause, LocalLost):
        stage.lose(it, cause.ip)
    else:
        stage.happens(it, cause)
    expected = line(standing(start), event, last=last).after
    if last and event in (PairEvent.TEST_FAIL, PairEvent.TIMER) and not isinstance(start, Waiting):
        # With a single pair there is nothing to choose: the core repeats its request there, which is the timed test
        # of the draft's NO PRIMARY, and ends it in its own time. So we keep waiting for the answer.
        assert expected is PairState.NO_PRIMARY
        assert standing(it.state) is standing(start)
        return
    assert standing(it.state) is expected
