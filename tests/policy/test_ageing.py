"""What was learned of a pair is worth less with time, and tests take their time."""

from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobike.address import Nanos, Pair
from mobike.policy.chance import Chance
from mobike.policy.choose import Choice, Keep, Situation, choose, rank
from mobike.policy.knowledge import REFUSED_FOR, SILENT_FOR, VERIFIED_FOR, PairFact, Reach
from mobike.policy.schedule import SECOND, SearchRule
from tests.policy.words import OFFICE, ON_CELLULAR, ON_WIFI, candidate, cellular, wifi

NOW = Nanos(10_000 * SECOND)


def ago(reach: Reach, seconds: int) -> PairFact:
    return PairFact(reach, at=Nanos(NOW - seconds * SECOND))


@pytest.mark.req("A5.3-2")
def test_a_fresh_success_comes_first_and_a_fresh_failure_last() -> None:
    order = [
        ago(Reach.VERIFIED, 1),
        ago(Reach.VERIFIED, VERIFIED_FOR // SECOND + 1),
        PairFact(),
        ago(Reach.SILENT, SILENT_FOR // SECOND + 9),
        ago(Reach.REFUSED, REFUSED_FOR // SECOND - 1),
        ago(Reach.REFUSED, 1),
    ]
    order[4:4] = [ago(Reach.SILENT, 20), ago(Reach.SILENT, 3), ago(Reach.SILENT, 1)]
    # The operator's order is the other way round, to show that results come first.
    locals_ = [candidate(OFFICE + 100 + n, f"eth{n}", len(order) - n) for n in range(len(order))]
    known = {Pair(each.ip, OFFICE): fact for each, fact in zip(locals_, order, strict=True)}
    ranked = rank(Situation(tuple(reversed(locals_)), (OFFICE,), known, now=NOW))
    assert [each.pair.local for each in ranked] == [each.ip for each in locals_]


@pytest.mark.req("A5.3-2", "D3-3")
def test_an_old_failure_of_the_preferred_link_is_no_reason_to_leave_one_that_works() -> None:
    known = {ON_WIFI: ago(Reach.SILENT, 10_000), ON_CELLULAR: ago(Reach.VERIFIED, 10_000)}
    situation = Situation((wifi(), cellular()), (OFFICE,), known, current=ON_CELLULAR, now=NOW)
    assert isinstance(choose(situation), Keep)
    # A test of it succeeds: now it is one.
    known[ON_WIFI] = ago(Reach.VERIFIED, 0)
    assert isinstance(choose(situation), Choice)


def test_a_silence_of_the_pair_in_use_that_was_not_told_again_is_over() -> None:
    both = (wifi(1), cellular(1))
    fresh = Situation(both, (OFFICE,), {ON_WIFI: ago(Reach.SILENT, 1)}, current=ON_WIFI, now=NOW)
    assert isinstance(choose(fresh), Choice)
    old = Situation(both, (OFFICE,), {ON_WIFI: ago(Reach.SILENT, 100)}, current=ON_WIFI, now=NOW)
    assert isinstance(choose(old), Keep)


@pytest.mark.req("A5.3-3")
@given(st.integers(0, 2**64 - 1))
def test_each_test_has_more_time_than_the_one_before_give_or_take_its_jitter(seed: int) -> None:
    rule, chance = SearchRule(), Chance(seed)
    shares = [rule.share(test, chance) for test in range(1, 40)]
    plain = [SearchRule(jitter_percent=0).share(test, chance) for test in range(1, 40)]
    assert all(first < second or second == rule.most for first, second in pairwise(plain))
    assert all(abs(share - exact) <= exact // 5 + 1 for share, exact in zip(shares, plain, strict=True))
    assert len(set(shares)) > 30, "jitter spreads them"


@pytest.mark.req("A5.3-3")
def test_sixteen_pairs_are_tested_two_orders_of_magnitude_sooner_than_by_doubling() -> None:
    doubling = SearchRule(first=SECOND // 10, factor_percent=200, most=10**15, jitter_percent=0)
    assert list(islice(doubling.starts(Chance(1)), 16))[-1] == 3276.7 * SECOND
    ours = SearchRule(first=SECOND // 10)
    latest = max(list(islice(ours.starts(Chance(seed)), 16))[-1] for seed in range(50))
    assert latest < 3276.7 * SECOND / 100
    assert max(list(islice(SearchRule().starts(Chance(seed)), 16))[-1] for seed in range(50)) < 3276.7 * SECOND / 100


def test_chance_is_the_same_for_the_same_seed_and_spread_evenly() -> None:
    chance, again = Chance(7), Chance(7)
    drawn = [chance.next() for _ in range(10_000)]
    assert drawn == [again.next() for _ in range(10_000)]
    assert all(0 <= each < 1 for each in drawn)
    tenths = [sum(int(each * 10) == tenth for each in drawn) for tenth in range(10)]
    assert min(tenths) > 850
    assert max(tenths) < 1150
