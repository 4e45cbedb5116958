"""What holds of every choice, whatever the situation."""

from dataclasses import replace
from ipaddress import ip_address
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobike.address import Ip, Pair, Transport
from mobike.policy.choose import Choice, Keep, NoPair, Pin, Situation, choose, rank
from mobike.policy.knowledge import NatCost, PairFact, Reach
from mobike.policy.links import Candidate
from mobike.policy.pairs import ANY_PAIR, objection

LOCALS = [
    ip_address(each)
    for each in ("192.0.2.1", "192.0.2.2", "10.0.0.1", "127.0.0.1", "169.254.0.1", "2001:db8::1", "fd00::1", "::1")
]
REMOTES = [
    ip_address(each) for each in ("203.0.113.1", "10.9.0.1", "127.0.2.1", "224.0.0.5", "2001:db8:9::1", "fe80::9")
]

candidates = st.builds(
    Candidate,
    ip=st.sampled_from(LOCALS),
    link=st.sampled_from(["eth0", "wlan0", "wwan0"]),
    rank=st.integers(0, 3),
    cost=st.integers(0, 2),
    allowed=st.booleans(),
    available=st.booleans(),
    settled=st.booleans(),
    deprecated=st.booleans(),
    tunnel=st.booleans(),
)
usually_fine = st.builds(Candidate, ip=st.sampled_from(LOCALS), link=st.just("eth0"), rank=st.integers(0, 3))
facts = st.builds(PairFact, st.sampled_from(Reach), st.sampled_from(NatCost))
pairs = st.builds(Pair, st.sampled_from(LOCALS), st.sampled_from(REMOTES), st.sampled_from(Transport))
halves: st.SearchStrategy[Ip | None] = st.none() | st.sampled_from(LOCALS)

situations = st.builds(
    Situation,
    candidates=st.lists(candidates | usually_fine, max_size=6, unique_by=lambda each: each.ip).map(tuple),
    remotes=st.lists(st.sampled_from(REMOTES), max_size=4, unique=True).map(tuple),
    knowledge=st.dictionaries(pairs, facts, max_size=12),
    current=st.none() | pairs,
    pin=st.none() | st.builds(Pin, halves, st.none() | st.sampled_from(REMOTES)),
    excluded=st.frozensets(pairs, max_size=3),
    transports=st.sampled_from([(Transport.UDP,), (Transport.TCP,), (Transport.UDP, Transport.TCP)]),
)


@given(situations)
def test_the_order_of_pairs_is_total(situation: Situation) -> None:
    scores = [each.score for each in rank(situation)]
    assert len(set(scores)) == len(scores)
    usable = [each.usable for each in rank(situation)]
    assert usable == sorted(usable, reverse=True)


@given(situations, st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_in_which_addresses_came(situation: Situation, random: Random) -> None:
    shuffled = list(situation.candidates)
    random.shuffle(shuffled)
    knowledge = dict(reversed(situation.knowledge.items()))  # type: ignore[call-overload]
    other = replace(
        situation,
        candidates=tuple(shuffled),
        knowledge=knowledge,
        transports=tuple(reversed(situation.transports)),
    )
    assert rank(situation) == rank(other)
    decision, other_decision = choose(situation), choose(other)
    assert type(decision) is type(other_decision)
    if isinstance(decision, Choice | Keep):
        assert decision == other_decision


@pytest.mark.req("D2-1", "A5.3-1")
@given(situations)
def test_only_a_legal_pair_of_present_addresses_with_a_route_is_chosen(situation: Situation) -> None:
    decision = choose(situation)
    if not isinstance(decision, Choice):
        return
    chosen = next(each for each in situation.candidates if each.ip == decision.pair.local)
    assert objection(chosen, decision.pair.remote, ANY_PAIR) is None
    assert chosen.available
    assert decision.pair.remote in situation.remotes
    assert decision.pair not in situation.excluded
    assert decision.pair.transport in situation.transports
    fact = situation.knowledge.get(decision.pair.in_udp, PairFact())
    assert fact.reach is not Reach.UNREACHABLE


@pytest.mark.req("D3-3")
@given(situations)
def test_a_working_pair_is_never_left_without_a_reason(situation: Situation) -> None:
    decision = choose(situation)
    by_pair = {each.pair: each for each in rank(situation)}
    current = None if situation.current is None else by_pair.get(situation.current)
    if not isinstance(decision, Choice) or current is None or not current.usable:
        return
    assert decision.pair != situation.current
    chosen = by_pair[decision.pair]
    better_known = current.score.reach.is_bad and chosen.score.reach < current.score.reach
    preferred = chosen.score.worth < current.score.worth and chosen.settled and not chosen.score.reach.is_bad
    assert better_known or preferred


@given(situations)
def test_a_choice_is_at_rest_a_second_look_keeps_it_once_it_is_proven(situation: Situation) -> None:
    decision = choose(situation)
    if not isinstance(decision, Choice):
        return
    knowledge = {**situation.knowledge, decision.pair: PairFact(Reach.VERIFIED)}
    proven = replace(situation, knowledge=knowledge, current=decision.pair)
    again = choose(proven)
    if isinstance(again, Choice):
        # Only an operator's preference that was not proven first can lead further, and then strictly upwards.
        worth = {each.pair: each.score.worth for each in rank(proven)}
        assert worth[again.pair] < worth[decision.pair]


@given(situations)
def test_there_is_a_choice_whenever_a_pair_is_usable_and_every_answer_says_why(situation: Situation) -> None:
    decision = choose(situation)
    assert decision.why
    assert isinstance(decision, NoPair) == (not any(each.usable for each in rank(situation)))
