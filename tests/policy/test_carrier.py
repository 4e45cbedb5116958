"""Datagrams or a stream: TCP (RFC 9329) is for where UDP does not pass."""

from dataclasses import replace

from mobike.address import Nanos, Pair, Transport
from mobike.policy.choose import Choice, Keep, NoPair, Pin, Situation, choose, rank
from mobike.policy.knowledge import REST, SILENT_FOR, Lapses, PairFact, Reach
from tests.policy.words import OFFICE, ON_CELLULAR, ON_WIFI, WIFI, candidate, cellular, wifi

VERIFIED = PairFact(Reach.VERIFIED)
SILENT = PairFact(Reach.SILENT)
EITHER = (Transport.UDP, Transport.TCP)
WIFI_TCP, CELLULAR_TCP = (replace(pair, transport=Transport.TCP) for pair in (ON_WIFI, ON_CELLULAR))
AUTO = Situation((wifi(), cellular()), (OFFICE,), transports=EITHER)


def order(situation: Situation) -> list[Pair]:
    return [each.pair for each in rank(situation) if each.usable]


def test_the_operators_order_of_links_stands_above_and_all_else_below() -> None:
    assert order(AUTO) == [ON_WIFI, WIFI_TCP, ON_CELLULAR, CELLULAR_TCP]
    alike = replace(AUTO, candidates=(wifi(1, cost=9), cellular(1)))
    assert order(alike) == [ON_CELLULAR, ON_WIFI, CELLULAR_TCP, WIFI_TCP]


def test_a_connection_of_one_kind_has_no_pairs_of_the_other() -> None:
    assert order(replace(AUTO, transports=(Transport.TCP,))) == [WIFI_TCP, CELLULAR_TCP]
    assert order(replace(AUTO, transports=(Transport.UDP,))) == [ON_WIFI, ON_CELLULAR]
    only = choose(replace(AUTO, candidates=(wifi(),), transports=(Transport.TCP,)))
    assert isinstance(only, Choice)
    assert only.why.endswith("only usable pair: untried, link rank 1, in TCP, for where UDP does not pass")


def test_a_silent_pair_is_left_for_the_stream_between_the_same_addresses() -> None:
    decision = choose(replace(AUTO, candidates=(wifi(),), knowledge={ON_WIFI: SILENT}, current=ON_WIFI))
    assert isinstance(decision, Choice)
    assert decision.pair == WIFI_TCP
    assert decision.why.startswith("192.0.2.7 -> 203.0.113.1 is silent; ")


def test_a_stream_is_kept_while_no_datagram_passes_and_left_when_one_does() -> None:
    there = replace(AUTO, candidates=(wifi(),), current=WIFI_TCP)
    for known in (SILENT, PairFact(Reach.REFUSED)):
        assert isinstance(choose(replace(there, knowledge={WIFI_TCP: VERIFIED, ON_WIFI: known})), Keep)
    old = replace(there, knowledge={WIFI_TCP: VERIFIED, ON_WIFI: SILENT}, now=Nanos(2 * SILENT_FOR))
    assert isinstance(choose(old), Keep), "a silence of long ago is no proof that it is over"
    home = choose(replace(there, knowledge={WIFI_TCP: VERIFIED, ON_WIFI: VERIFIED}))
    assert isinstance(home, Choice)
    assert home.pair == ON_WIFI
    assert home.why.startswith("192.0.2.7 -> 203.0.113.1 needs no TCP; ")


def test_a_pair_that_comes_and_goes_must_rest_before_a_stream_is_left_for_it() -> None:
    flaps = PairFact(Reach.VERIFIED, lapses=Lapses(3, Nanos(0)))
    there = replace(AUTO, candidates=(wifi(),), knowledge={WIFI_TCP: VERIFIED, ON_WIFI: flaps}, current=WIFI_TCP)
    kept = choose(replace(there, now=Nanos(REST)))
    assert isinstance(kept, Keep)
    assert "rested" in kept.why
    assert isinstance(choose(replace(there, now=Nanos(4 * REST))), Choice)


def test_no_route_and_no_address_hold_for_streams_as_well() -> None:
    known = {ON_WIFI: PairFact(Reach.UNREACHABLE), ON_CELLULAR: PairFact(Reach.INTO_TUNNEL)}
    none = choose(replace(AUTO, knowledge=known))
    assert isinstance(none, NoPair)
    assert isinstance(choose(replace(AUTO, candidates=(wifi(available=False),), current=WIFI_TCP)), NoPair)


def test_a_pin_names_addresses_and_leaves_what_carries_them_to_policy() -> None:
    pinned = replace(AUTO, pin=Pin(ON_CELLULAR.local, None), knowledge={ON_CELLULAR: SILENT}, current=ON_CELLULAR)
    decision = choose(pinned)
    assert isinstance(decision, Choice)
    assert decision.pair == CELLULAR_TCP


def test_what_worked_comes_first_when_a_choice_must_be_made() -> None:
    known = {ON_WIFI: SILENT, WIFI_TCP: VERIFIED}
    assert order(replace(AUTO, knowledge=known))[0] == WIFI_TCP
    assert order(replace(AUTO, knowledge=known))[-1] == ON_WIFI
    far = replace(AUTO, candidates=(candidate(WIFI, "wlan0", 3), cellular(1)), knowledge=known, current=WIFI_TCP)
    decision = choose(far)
    assert isinstance(decision, Choice)
    assert decision.pair == ON_CELLULAR, "the operator's link is worth a try even so"
