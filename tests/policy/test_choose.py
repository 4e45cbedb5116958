"""Choices, told as stories."""

from dataclasses import fields, replace

import pytest

from mobike.address import Nanos, Pair
from mobike.policy.choose import Choice, Keep, NoPair, Pin, Situation, choose, rank
from mobike.policy.knowledge import Measured, NatCost, PairFact, Reach
from mobike.policy.links import UNRANKED, LinkRule, rule_for
from mobike.policy.score import Carrier, Family, Lifetime, Loss, PeerSide, Pinned, Scope, Score, Standing
from tests.policy.words import (
    CELLULAR,
    OFFICE,
    OFFICE6,
    OFFICE_B,
    ON_CELLULAR,
    ON_WIFI,
    WIFI,
    WIFI6,
    candidate,
    cellular,
    wifi,
)

SECOND = 1_000_000_000
VERIFIED = PairFact(Reach.VERIFIED)
SILENT = PairFact(Reach.SILENT)
REFUSED = PairFact(Reach.REFUSED)
NO_ROUTE = PairFact(Reach.UNREACHABLE)


@pytest.mark.req("D3-3")
def test_the_first_choice_is_the_link_that_the_operator_prefers() -> None:
    decision = choose(Situation((cellular(), wifi()), (OFFICE,)))
    assert decision == Choice(ON_WIFI, "192.0.2.7 (wlan0) is the best of 2 usable pairs: untried, link rank 1")


@pytest.mark.req("D5.1-1")
def test_when_the_address_in_use_is_gone_the_next_link_is_chosen_and_the_reason_names_both() -> None:
    situation = Situation((wifi(available=False), cellular()), (OFFICE, OFFICE_B), current=ON_WIFI)
    assert choose(situation) == Choice(
        ON_CELLULAR,
        "192.0.2.7 (wlan0) is gone; 198.51.100.2 (wwan0) -> 203.0.113.1 is the best of 2 usable pairs: "
        "untried, link rank 2",
    )


@pytest.mark.req("D3-3")
def test_a_working_pair_is_kept_when_another_is_only_as_good() -> None:
    situation = Situation((wifi(1), cellular(1)), (OFFICE,), {ON_CELLULAR: VERIFIED}, current=ON_CELLULAR)
    assert isinstance(choose(situation), Keep)
    # Also where the other has every advantage but the operator's word.
    situation = Situation(
        (wifi(1), cellular(1)), (OFFICE,), {ON_WIFI: PairFact(Reach.VERIFIED, NatCost.NONE)}, current=ON_CELLULAR
    )
    assert isinstance(choose(situation), Keep)


@pytest.mark.req("D3-3", "A5.2-3")
def test_a_preferred_link_that_came_back_is_taken_once_it_has_been_there_for_a_while() -> None:
    known = {ON_CELLULAR: VERIFIED}
    fresh = Situation((wifi(settled=False), cellular()), (OFFICE,), known, current=ON_CELLULAR)
    kept = choose(fresh)
    assert isinstance(kept, Keep)
    assert "kept until wlan0 has been there for a while" in kept.why
    settled = Situation((wifi(), cellular()), (OFFICE,), known, current=ON_CELLULAR)
    decision = choose(settled)
    assert isinstance(decision, Choice)
    assert decision.pair == ON_WIFI
    assert decision.why.startswith("wlan0 is preferred to wwan0; ")


def test_a_dead_pair_is_left_for_a_link_that_has_only_just_come() -> None:
    situation = Situation((wifi(available=False), cellular(settled=False)), (OFFICE,), current=ON_WIFI)
    assert isinstance(choose(situation), Choice)


@pytest.mark.req("D3-3")
def test_a_preferred_link_that_was_silent_is_no_reason_to_leave_a_working_one() -> None:
    known = {ON_CELLULAR: VERIFIED, ON_WIFI: SILENT}
    assert isinstance(choose(Situation((wifi(), cellular()), (OFFICE,), known, current=ON_CELLULAR)), Keep)


@pytest.mark.req("D5.1-1", "D3-2")
def test_a_silent_pair_is_left_for_another_address_of_the_peer() -> None:
    situation = Situation((wifi(),), (OFFICE, OFFICE_B), {ON_WIFI: SILENT}, current=ON_WIFI)
    decision = choose(situation)
    assert isinstance(decision, Choice)
    assert decision.pair == Pair(WIFI, OFFICE_B)
    assert decision.why.startswith("192.0.2.7 -> 203.0.113.1 is silent; ")


@pytest.mark.req("D3-3")
def test_a_preferred_pair_that_failed_just_now_is_not_returned_to_before_it_has_rested() -> None:
    back = PairFact(Reach.VERIFIED).followed_by(Reach.SILENT, NatCost.NONE, Nanos(10 * SECOND), None)
    back = back.followed_by(Reach.VERIFIED, NatCost.NONE, Nanos(11 * SECOND), None)
    known = {ON_CELLULAR: VERIFIED, ON_WIFI: back}
    situation = Situation((wifi(), cellular()), (OFFICE,), known, current=ON_CELLULAR, now=Nanos(11 * SECOND))
    kept = choose(situation)
    assert isinstance(kept, Keep)
    assert "kept until wlan0 has rested after it failed" in kept.why
    assert isinstance(choose(replace(situation, now=Nanos(12 * SECOND))), Choice)
    # The operator's word of the moment is obeyed all the same.
    assert isinstance(choose(replace(situation, pin=Pin(WIFI, None))), Choice)
    assert isinstance(choose(replace(situation, candidates=(wifi(), cellular(avoided=True)))), Choice)
    # And if the pair in use dies, one that works is one that works.
    assert isinstance(choose(replace(situation, knowledge={**known, ON_CELLULAR: SILENT})), Choice)


@pytest.mark.req("D3-3")
def test_a_pair_rests_longer_each_time_it_fails_and_is_forgiven_with_time() -> None:
    fact, rests = PairFact(Reach.VERIFIED), []
    for nth in range(8):
        at = Nanos((nth + 1) * SECOND)
        fact = fact.followed_by(Reach.SILENT, NatCost.NONE, at, None)
        rests.append((fact.lapses.rests_until - at) // SECOND)
        # The same silence told again is no other failure.
        assert fact.followed_by(Reach.SILENT, NatCost.NONE, at, None).lapses == fact.lapses
        fact = fact.followed_by(Reach.VERIFIED, NatCost.NONE, at, None)
    assert rests == [2, 4, 8, 16, 32, 64, 64, 64]
    later = fact.followed_by(Reach.SILENT, NatCost.NONE, Nanos((8 + 6 * 30) * SECOND), None)
    assert later.lapses.rests_until - later.at == 2 * SECOND


@pytest.mark.req("D3-3")
def test_the_order_of_links_is_one_of_links_that_work() -> None:
    lossy = PairFact(Reach.VERIFIED, measured=Measured(Nanos(0), True, True, Nanos(1), 330))
    clean = PairFact(Reach.VERIFIED, measured=Measured(Nanos(0), True, True, Nanos(1), 0))
    situation = Situation((wifi(), cellular()), (OFFICE,), {ON_WIFI: lossy, ON_CELLULAR: clean}, current=ON_WIFI)
    decision = choose(situation)
    assert isinstance(decision, Choice)
    assert decision.pair == ON_CELLULAR
    assert decision.why.startswith("192.0.2.7 -> 203.0.113.1 loses much, and 198.51.100.2 -> 203.0.113.1 does not; ")
    assert isinstance(choose(replace(situation, current=ON_CELLULAR)), Keep), "and it is not returned to"


def test_when_all_are_silent_nothing_is_gained_by_moving() -> None:
    known = {ON_WIFI: SILENT, ON_CELLULAR: SILENT}
    decision = choose(Situation((wifi(), cellular()), (OFFICE,), known, current=ON_WIFI))
    assert isinstance(decision, Keep)
    assert "none of 2 usable pairs is known to be better" in decision.why


@pytest.mark.req("A5.3-2")
def test_a_pair_that_works_beats_one_that_may_and_failures_come_last() -> None:
    order = [VERIFIED, PairFact(), SILENT, REFUSED]
    locals_ = [candidate(WIFI + n, f"eth{n}", 4 - n) for n in range(4)]
    known = {Pair(each.ip, OFFICE): fact for each, fact in zip(locals_, order, strict=True)}
    ranked = rank(Situation(tuple(reversed(locals_)), (OFFICE,), known))
    assert [each.pair.local for each in ranked] == [each.ip for each in locals_]


@pytest.mark.req("D2-2")
def test_a_pair_without_a_route_is_not_usable_and_the_reason_says_so() -> None:
    decision = choose(Situation((wifi(),), (OFFICE,), {ON_WIFI: NO_ROUTE}, current=ON_WIFI))
    assert decision == NoPair("no usable pair: no route to 203.0.113.1 from 192.0.2.7 (wlan0)")


@pytest.mark.req("D2-2")
def test_a_route_that_vanishes_is_a_reason_to_leave() -> None:
    decision = choose(Situation((wifi(), cellular()), (OFFICE,), {ON_WIFI: NO_ROUTE}, current=ON_WIFI))
    assert isinstance(decision, Choice)
    assert decision.pair == ON_CELLULAR
    assert decision.why.startswith("no route to 203.0.113.1 from 192.0.2.7 (wlan0); ")


def test_a_pinned_pair_is_taken_at_once_and_left_only_when_it_fails() -> None:
    pin = Pin(CELLULAR, None)
    both = (wifi(), cellular(settled=False))
    ordered = choose(Situation(both, (OFFICE,), current=ON_WIFI, pin=pin))
    assert isinstance(ordered, Choice)
    assert ordered.pair == ON_CELLULAR
    assert "the operator pinned another pair" in ordered.why
    assert isinstance(choose(Situation(both, (OFFICE,), current=ON_CELLULAR, pin=pin)), Keep)
    silent = Situation(both, (OFFICE,), {ON_CELLULAR: SILENT}, current=ON_CELLULAR, pin=pin)
    assert isinstance(choose(silent), Choice)


@pytest.mark.req("A5.3-1", "A5.1-1")
def test_deprecated_addresses_are_used_last_among_links_that_the_operator_likes_as_well() -> None:
    same = Situation((wifi(1, deprecated=True), cellular(1)), (OFFICE,))
    assert [each.pair for each in rank(same)] == [ON_CELLULAR, ON_WIFI]
    preferred = Situation((wifi(1, deprecated=True), cellular(9)), (OFFICE,))
    assert [each.pair for each in rank(preferred)] == [ON_WIFI, ON_CELLULAR], "the operator's order comes first"
    decision = choose(Situation((wifi(1, deprecated=True), cellular(1)), (OFFICE,), {ON_WIFI: VERIFIED}, ON_WIFI))
    assert isinstance(decision, Choice)
    assert decision.why.startswith("192.0.2.7 is deprecated; ")


@pytest.mark.req("D2-1")
def test_an_optimistic_address_is_used_where_there_is_no_other_and_left_as_soon_as_there_is() -> None:
    both = (wifi(1, optimistic=True), cellular(9, deprecated=True))
    assert [each.pair for each in rank(Situation(both, (OFFICE,)))] == [ON_CELLULAR, ON_WIFI]
    alone = choose(Situation(both[:1], (OFFICE,)))
    assert isinstance(alone, Choice)
    assert "address not yet proven unique" in alone.why
    decision = choose(Situation(both, (OFFICE,), {ON_WIFI: VERIFIED}, ON_WIFI))
    assert isinstance(decision, Choice)
    assert decision.why.startswith("192.0.2.7 is not yet proven to be ours alone; ")


@pytest.mark.req("D2-1")
def test_a_pair_whose_route_leads_into_our_own_tunnel_is_never_used() -> None:
    inside = {ON_WIFI: PairFact(Reach.INTO_TUNNEL)}
    decision = choose(Situation((wifi(),), (OFFICE,), inside, current=ON_WIFI))
    assert isinstance(decision, NoPair)
    assert "the route to 203.0.113.1 from 192.0.2.7 (wlan0) leads into one of our own tunnels" in decision.why
    other = choose(Situation((wifi(), cellular()), (OFFICE,), inside, current=ON_WIFI))
    assert isinstance(other, Choice)
    assert other.pair == ON_CELLULAR


@pytest.mark.req("M3.5-2")
def test_an_address_that_the_peers_list_leaves_out_is_left_for_one_that_it_has() -> None:
    both = (OFFICE, OFFICE_B)
    decision = choose(Situation((wifi(),), both, {ON_WIFI: VERIFIED}, ON_WIFI, left_out=OFFICE))
    assert isinstance(decision, Choice)
    assert decision.pair == Pair(WIFI, OFFICE_B)
    assert decision.why.startswith("the peer's list no longer has 203.0.113.1; ")
    # Nothing else to go to: it is still better than nothing.
    known = {Pair(WIFI, OFFICE_B): SILENT}
    for situation in (
        Situation((wifi(),), (OFFICE,), current=ON_WIFI, left_out=OFFICE),
        Situation((wifi(),), both, known, ON_WIFI, left_out=OFFICE),
    ):
        kept = choose(situation)
        assert isinstance(kept, Keep)
        assert "the peer's list no longer has" in kept.why
    # From elsewhere a better link is no reason to go there.
    there = Pair(CELLULAR, OFFICE_B)
    away = Situation((wifi(1), cellular(2, settled=False)), both, {there: VERIFIED}, there, left_out=OFFICE)
    moved = choose(away)
    assert isinstance(moved, Choice)
    assert moved.pair == Pair(WIFI, OFFICE_B)


def field_of(name: str) -> int:
    return [each.name for each in fields(Score)].index(name)


@pytest.mark.req("A5.3-1")
def test_the_order_is_what_works_then_the_operator_then_rfc_6724_then_the_peer() -> None:
    operator = ["standing", "pinned", "loss", "rank", "carrier", "cost"]
    probed = ["delay"]
    rfc6724 = ["peer_side", "scope", "lifetime", "family", "nat", "distance"]
    assert [each.name for each in fields(Score)] == [
        "reach",
        "failed_at",
        *operator,
        *probed,
        *rfc6724,
        "peer_order",
        "tie",
    ]


PLAIN = Score(
    Reach.UNTRIED, Nanos(0), Standing.PLAIN, Pinned.YES, Loss.LITTLE, 1, Carrier.UDP, 1, 1, PeerSide.IN_USE,
    Scope.MATCHING, Lifetime.PREFERRED, Family.V6, NatCost.NONE, 1, 1, (1, 1),
)  # fmt: skip
WORSE: dict[str, object] = {
    "reach": Reach.SILENT, "failed_at": Nanos(9), "standing": Standing.OPTIMISTIC, "pinned": Pinned.NO,
    "loss": Loss.MUCH, "rank": 2, "carrier": Carrier.TCP, "cost": 2, "delay": 2, "peer_side": PeerSide.OTHER,
    "scope": Scope.MIXED, "lifetime": Lifetime.DEPRECATED, "family": Family.V4, "nat": NatCost.TRANSLATED,
    "distance": 2, "peer_order": 2, "tie": (2, 2),
}  # fmt: skip


@pytest.mark.req("A5.3-1", "D2-1")
@pytest.mark.parametrize("name", WORSE)
def test_each_field_outweighs_all_behind_it(name: str) -> None:
    behind = list(WORSE)[field_of(name) + 1 :]
    one_worse = replace(PLAIN, **{name: WORSE[name]})  # type: ignore[arg-type]
    all_behind_worse = replace(PLAIN, **{each: WORSE[each] for each in behind})  # type: ignore[arg-type]
    assert all_behind_worse < one_worse


@pytest.mark.req("A5.3-1")
def test_what_is_illegal_is_behind_everything_however_much_is_in_its_favour() -> None:
    best = candidate(WIFI, "eth0", 0, allowed=False)
    ranked = rank(
        Situation((best, cellular(9)), (OFFICE,), {ON_WIFI: VERIFIED, ON_CELLULAR: SILENT}, pin=Pin(WIFI, None))
    )
    assert [(each.pair, each.usable) for each in ranked] == [(ON_CELLULAR, True), (ON_WIFI, False)]


@pytest.mark.req("A5.3-1")
def test_among_equals_the_cheaper_link_then_the_closer_address_then_the_peers_order() -> None:
    cheap = rank(Situation((candidate(WIFI, "a", 1, cost=5), candidate(CELLULAR, "b", 1, cost=2)), (OFFICE,)))
    assert cheap[0].pair.local == CELLULAR
    same_remote = rank(Situation((wifi(),), (OFFICE_B, OFFICE), current=Pair(CELLULAR, OFFICE)))
    assert same_remote[0].pair.remote == OFFICE, "the peer is known to be alive there"
    six = rank(Situation((candidate(WIFI, "a", 1), candidate(WIFI6, "a", 1)), (OFFICE, OFFICE6)))
    assert six[0].pair == Pair(WIFI6, OFFICE6)


def test_pairs_tried_just_now_are_left_out() -> None:
    situation = Situation((wifi(), cellular()), (OFFICE,), excluded=frozenset({ON_WIFI}))
    decision = choose(situation)
    assert isinstance(decision, Choice)
    assert decision.pair == ON_CELLULAR


@pytest.mark.parametrize(
    ("situation", "why"),
    [
        (Situation((), (OFFICE,)), "this host has no address"),
        (Situation((wifi(),), ()), "no address of the peer is known"),
        (Situation((wifi(),), (OFFICE6,)), "no address family in common"),
        (Situation((wifi(available=False),), (OFFICE,)), "192.0.2.7 (wlan0) is gone"),
    ],
)
def test_where_nothing_can_be_used_the_sentence_says_why(situation: Situation, why: str) -> None:
    decision = choose(situation)
    assert isinstance(decision, NoPair)
    assert why in decision.why


def test_the_first_rule_that_matches_a_link_speaks_for_it() -> None:
    rules = (LinkRule("wlan0", rank=1), LinkRule("wlan*", rank=2), LinkRule("wwan*", rank=3, allowed=False))
    assert rule_for("wlan0", rules).rank == 1
    assert rule_for("wlan1", rules).rank == 2
    assert not rule_for("wwan0", rules).allowed
    assert rule_for("eth0", rules) is UNRANKED
