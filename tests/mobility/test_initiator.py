"""Stories of an initiator: a phone with Wi-Fi and a cellular link, and its office."""

from itertools import pairwise

import pytest

from mobike.address import Generation, Nanos, Pair
from mobike.commands import Move
from mobike.dataplane.operations import Behind, MoveSa
from mobike.events import (
    Moved,
    MoveRefused,
    Nat,
    NatChanged,
    OperatorMove,
    PathChecked,
    PathSilent,
    PeerAddresses,
    PlaneRefused,
)
from mobike.mobility.causes import LookAgain, TimeUp
from mobike.mobility.session import Session
from mobike.mobility.states import STABLE, Updating, Waiting
from mobike.mobility.surroundings import Said
from mobike.policy.connection import ConnectionPolicy, MovePolicy, OnRefusal, Switch
from mobike.policy.knowledge import NatCost, PairFact, Reach
from tests.mobility.stage import MS, SA, Stage, answer, older, path, refusal, session, silence
from tests.policy.words import CELLULAR, OFFICE, OFFICE_B, ON_CELLULAR, ON_WIFI, WIFI, cellular, wifi


def phone(**moves: object) -> Session:
    policy = MovePolicy(**moves)  # type: ignore[arg-type]
    return session(connection=ConnectionPolicy("office", initiates=True, moves=policy))


def on_cellular_for(stage: Stage, phone: Session) -> Updating:
    """The phone wants its better link back: make-before-break, the old pair works."""
    phone.path = path(CELLULAR)
    stage.knowledge[ON_CELLULAR] = PairFact(Reach.VERIFIED, NatCost.NONE)
    stage.happens(phone, LookAgain())
    assert isinstance(phone.state, Updating)
    return phone.state


@pytest.mark.req("M3.5-3", "D5.1-1", "D3-1")
def test_when_the_address_in_use_dies_the_update_and_the_traffic_leave_at_once_from_the_other() -> None:
    stage, it = Stage(), phone()
    stage.lose(it, WIFI)
    # UPDATE_SA_ADDRESSES from cellular -->; nothing can be lost by leaving a dead address, so traffic does not wait.
    assert stage.commands == [Move(SA, path(CELLULAR), Generation(1), (CELLULAR,))]
    assert stage.operations == [MoveSa(SA, path(CELLULAR), encap=False)]
    # <-- answered, 30 ms later
    stage.happens(it, answer(it), after_ms=30)
    assert it.state is STABLE
    assert it.path == path(CELLULAR)
    assert stage.operations == [MoveSa(SA, path(CELLULAR), encap=False)], "the plane was told already"
    assert it.moves == 1
    assert it.last_move is not None
    assert it.last_move.duration == 30 * MS
    assert "192.0.2.7 -> 203.0.113.1 cannot be used any more" in it.last_move.why


@pytest.mark.req("M3.5-3", "D3-1")
def test_a_pair_that_works_carries_traffic_until_the_new_one_has_answered() -> None:
    stage, it = Stage(), phone()
    on_cellular_for(stage, it)
    assert stage.moves() == [ON_WIFI]
    assert stage.operations == []
    assert it.path == path(CELLULAR), "the old pair is still in use"
    stage.happens(it, answer(it), after_ms=5)
    assert stage.operations == [MoveSa(SA, path(WIFI), encap=False, behind=Behind.LATE)]
    assert it.path == path(WIFI)
    assert stage.knowledge[ON_WIFI].reach is Reach.VERIFIED


@pytest.mark.req("M3.5-3")
def test_policy_may_send_traffic_ahead_of_the_answer() -> None:
    stage, it = Stage(), phone(switch=Switch.AT_ONCE)
    on_cellular_for(stage, it)
    assert stage.plane_path() == ON_WIFI
    # The peer sends to the old address until it has heard.
    assert stage.operations == [MoveSa(SA, path(WIFI), encap=False, behind=Behind.MORE)]


@pytest.mark.req("M3.5-3")
def test_when_the_old_address_dies_during_the_update_traffic_goes_ahead() -> None:
    stage, it = Stage(), phone()
    on_cellular_for(stage, it)
    stage.lose(it, CELLULAR)
    assert stage.moves() == [ON_WIFI], "the update in flight is still the right one"
    assert stage.operations == [MoveSa(SA, path(WIFI), encap=False, behind=Behind.NOTHING)]


@pytest.mark.req("M3.5-4")
def test_the_answer_to_an_older_update_changes_nothing() -> None:
    stage, it = Stage(), phone()
    stage.lose(it, WIFI)
    late = answer(it)
    stage.candidates = (wifi(), *stage.candidates)
    stage.happens(it, OperatorMove(SA, WIFI, None))
    assert stage.moves() == [ON_CELLULAR, ON_WIFI]
    before = list(stage.operations)
    stage.happens(it, late)
    assert isinstance(it.state, Updating)
    assert it.state.path == path(WIFI)
    assert stage.operations == before
    assert it.moves == 0
    # The same holds for late refusals, late silence, and for all of them when nothing is awaited.
    stage.happens(it, MoveRefused(SA, path(CELLULAR), late.generation))
    stage.happens(it, PathSilent(SA, path(CELLULAR), late.generation, 2, Nanos(MS)))
    assert stage.moves() == [ON_CELLULAR, ON_WIFI]
    stage.happens(it, answer(it))
    assert it.state is STABLE
    stage.happens(it, Moved(SA, path(CELLULAR), older(it.generation), Nat.NONE, Nanos(MS)))
    assert it.path == path(WIFI)


@pytest.mark.req("M3.5-8", "M3.5-2")
def test_a_refused_pair_is_never_a_success_and_the_next_one_is_tried() -> None:
    stage, it = Stage(), phone()
    stage.happens(it, PeerAddresses(SA, (OFFICE_B,), OFFICE))
    stage.lose(it, WIFI)
    assert stage.moves() == [ON_CELLULAR]
    # <-- UNACCEPTABLE_ADDRESSES
    stage.happens(it, refusal(it))
    assert stage.moves() == [ON_CELLULAR, Pair(CELLULAR, OFFICE_B)]
    assert it.moves == 0
    assert stage.knowledge[ON_CELLULAR].reach is Reach.REFUSED


@pytest.mark.req("M3.5-8")
def test_when_the_peer_refuses_a_move_from_a_working_pair_the_sa_goes_back_to_it() -> None:
    stage, it = Stage(), phone(on_refusal=OnRefusal.KEEP_OLD)
    on_cellular_for(stage, it)
    stage.happens(it, refusal(it))
    assert stage.moves() == [ON_WIFI, ON_CELLULAR]
    stage.happens(it, answer(it))
    assert it.path == path(CELLULAR)
    assert it.state is STABLE
    # And it stays: a refused link is no reason to leave a working one, however much it is preferred.
    stage.happens(it, LookAgain())
    assert it.state is STABLE


@pytest.mark.req("M3.5-8")
def test_a_peer_that_refuses_everything_is_asked_about_each_pair_once_and_then_waited_for() -> None:
    stage, it = Stage(), phone()
    on_cellular_for(stage, it)
    for _ in range(5):
        if isinstance(it.state, Updating):
            stage.happens(it, refusal(it))
    assert isinstance(it.state, Waiting)
    assert stage.moves() == [ON_WIFI, ON_CELLULAR]


@pytest.mark.req("M3.5-8")
def test_policy_may_close_an_sa_whose_move_was_refused() -> None:
    stage, it = Stage(), phone(on_refusal=OnRefusal.CLOSE)
    stage.lose(it, WIFI)
    stage.happens(it, refusal(it))
    assert stage.closed() == [SA]


@pytest.mark.req("D5.1-1", "M3.5-2")
def test_a_pair_that_falls_silent_is_left_though_its_address_is_well() -> None:
    stage, it = Stage(), phone()
    stage.happens(it, silence(it))
    assert stage.moves() == [ON_CELLULAR]
    assert stage.operations == [], "silence is no proof: traffic stays until the new pair has answered"
    assert any("has not answered 2 requests in 1400 ms" in text for _, text in stage.said)


@pytest.mark.req("D5.1-1", "D5.1-2", "D5.1-3")
def test_while_all_pairs_are_silent_they_are_tried_in_turn_one_for_each_silence() -> None:
    stage, it = Stage(), phone()
    stage.happens(it, PeerAddresses(SA, (OFFICE_B,), OFFICE))
    for _ in range(12):
        stage.happens(it, silence(it))
        stage.happens(it, TimeUp(), after_ms=2_500)
    moves = stage.moves()
    assert len(moves) == 12, "one move for one silence: no storm"
    everywhere = {Pair(local, remote) for local in (WIFI, CELLULAR) for remote in (OFFICE, OFFICE_B)}
    assert set(moves[:4]) | {ON_WIFI} == everywhere
    assert set(moves[4:8]) == everywhere or set(moves[5:9]) == everywhere, "nobody is forgotten in later rounds"
    assert all(first != second for first, second in pairwise(moves))
    # The connection lives as long as one pair works.
    stage.happens(it, answer(it))
    assert it.state is STABLE


@pytest.mark.req("M3.5-1")
def test_silence_with_no_other_pair_moves_nothing() -> None:
    stage, it = Stage(candidates=(wifi(),), addresses=(WIFI,)), phone()
    stage.happens(it, silence(it))
    assert stage.commands == []
    assert it.state is STABLE
    assert stage.said[-1][0] is Said.SILENT


def test_silence_on_a_pair_that_is_not_in_use_any_more_is_about_the_past() -> None:
    stage, it = Stage(), phone()
    stage.happens(it, PathSilent(SA, path(CELLULAR), it.generation, 2, Nanos(MS)))
    assert stage.commands == []


@pytest.mark.req("D3-1")
def test_break_before_make_the_sa_waits_without_any_address_and_moves_when_one_comes() -> None:
    stage, it = Stage(candidates=(wifi(),), addresses=(WIFI,)), phone()
    stage.lose(it, WIFI)
    assert isinstance(it.state, Waiting)
    assert stage.commands == []
    assert stage.operations == []
    stage.candidates, stage.addresses = (cellular(settled=False),), (CELLULAR,)
    stage.happens(it, LookAgain())
    assert stage.moves() == [ON_CELLULAR]
    assert stage.plane_path() == ON_CELLULAR
    stage.happens(it, answer(it))
    assert it.path == path(CELLULAR)


def test_the_same_address_coming_back_is_told_to_the_peer_for_a_nat_may_have_forgotten_us() -> None:
    stage, it = Stage(candidates=(wifi(),), addresses=(WIFI,)), phone()
    stage.lose(it, WIFI)
    stage.candidates, stage.addresses = (wifi(),), (WIFI,)
    stage.happens(it, LookAgain())
    assert stage.moves() == [ON_WIFI]


@pytest.mark.req("M3.5-9", "D5.2-1")
@pytest.mark.parametrize("nat", [Nat.WE_ARE_BEHIND, Nat.PEER_IS_BEHIND, Nat.BOTH_ARE_BEHIND])
def test_encapsulation_follows_the_pair_behind_a_nat_and_out_again(nat: Nat) -> None:
    stage, it = Stage(), phone()
    stage.lose(it, WIFI)
    stage.happens(it, answer(it, nat))
    # The guess was "as before"; the answer knows better.
    first, then = MoveSa(SA, path(CELLULAR), encap=False), MoveSa(SA, path(CELLULAR), encap=True, behind=Behind.LATE)
    assert stage.operations == [first, then]
    assert it.nat is nat
    stage.candidates = (wifi(), cellular())
    stage.happens(it, LookAgain())
    stage.happens(it, answer(it, Nat.NONE))
    assert stage.operations[-1] == MoveSa(SA, path(WIFI), encap=False, behind=Behind.LATE)
    # Back again: what is known of a pair is used at once.
    stage.lose(it, WIFI)
    assert stage.operations[-1] == MoveSa(SA, path(CELLULAR), encap=True)


@pytest.mark.req("M3.8-2", "M3.5-2")
def test_a_nat_that_renumbered_us_is_told_to_the_peer_on_the_same_pair() -> None:
    stage, it = Stage(), phone()
    stage.happens(it, NatChanged(SA, path(), Nat.WE_ARE_BEHIND))
    assert stage.moves() == [ON_WIFI]
    stage.happens(it, answer(it, Nat.WE_ARE_BEHIND))
    assert stage.operations == [MoveSa(SA, path(), encap=True, behind=Behind.LATE)]


@pytest.mark.req("M3.10-1", "M3.5-1")
def test_an_answered_probe_proves_its_pair_and_moves_nothing() -> None:
    stage, it = Stage(), phone()
    stage.happens(it, PathChecked(SA, path(CELLULAR), it.generation, Nanos(MS)))
    assert stage.knowledge[ON_CELLULAR].reach is Reach.VERIFIED
    assert stage.commands == []
    assert it.state is STABLE


@pytest.mark.req("A5.1-1", "M3.6-5")
def test_a_changed_list_is_told_once_alone_or_with_the_move() -> None:
    stage, it = Stage(), phone()
    stage.addresses = (WIFI,)
    stage.happens(it, LookAgain())
    stage.happens(it, LookAgain())
    assert stage.announced() == [(WIFI,)]
    stage.addresses = (CELLULAR,)
    stage.lose(it, WIFI)
    assert isinstance(stage.commands[-1], Move)
    assert stage.commands[-1].addresses == (CELLULAR,)
    # A list that changes while the update is in flight is told when it is answered, not in between: one generation at
    # a time.
    stage.addresses = (CELLULAR, WIFI)
    stage.happens(it, LookAgain())
    assert stage.announced() == [(WIFI,)]
    stage.happens(it, answer(it))
    assert it.state is STABLE
    assert stage.announced() == [(WIFI,), (CELLULAR, WIFI)]


def test_the_operators_pair_is_asked_for_and_kept_against_preference() -> None:
    stage, it = Stage(), phone()
    stage.happens(it, OperatorMove(SA, CELLULAR, None))
    assert stage.moves() == [ON_CELLULAR]
    stage.happens(it, answer(it))
    stage.happens(it, LookAgain())
    assert it.path == path(CELLULAR)
    assert it.state is STABLE


def test_an_order_is_worth_a_try_even_where_the_pair_was_silent() -> None:
    stage, it = Stage(), phone()
    stage.knowledge[ON_CELLULAR] = PairFact(Reach.SILENT)
    stage.happens(it, OperatorMove(SA, CELLULAR, OFFICE))
    assert stage.moves() == [ON_CELLULAR]


def test_an_order_that_cannot_be_obeyed_is_refused_with_the_reason() -> None:
    stage, it = Stage(candidates=(wifi(), cellular(available=False))), phone()
    stage.happens(it, OperatorMove(SA, CELLULAR, None))
    assert stage.moves() == []
    assert stage.said[-1][0] is Said.ORDER_REFUSED


def test_a_failed_data_plane_is_told() -> None:
    stage, it = Stage(), phone()
    stage.happens(it, PlaneRefused(SA, "no memory"))
    assert stage.said == [(Said.PLANE_REFUSED, "The data plane refused: no memory")]
