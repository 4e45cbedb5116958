"""Which rules and routes make packets leave over the link of their address, and that none is left behind."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from mobike.address import Pair, Transport
from mobike.link.byways import Byways, Nexthop, WayChange, WayFact, WayRoute, WayRule

FIRST, SECOND, THIRD = (ip_address(f"192.0.2.{number}") for number in (1, 2, 3))
PEER, OTHER = ip_address("203.0.113.1"), ip_address("203.0.113.9")
GATEWAY, NEW_GATEWAY = ip_address("192.0.2.254"), ip_address("192.0.2.253")
PAIR = Pair(SECOND, PEER)


def up(*facts: WayFact) -> list[WayChange]:
    return [WayChange(fact, wanted=True) for fact in facts]


def down(*facts: WayFact) -> list[WayChange]:
    return [WayChange(fact, wanted=False) for fact in facts]


def test_who_leaves_by_its_own_link_needs_none() -> None:
    byways = Byways()
    assert not byways.is_needed(PAIR, [5], 5)
    assert not byways.is_needed(PAIR, [], 3), "an address that no link has is somebody's who knows what he does"
    assert byways.is_needed(PAIR, [5], 3)


def test_the_route_is_there_before_the_rule_and_goes_after_it() -> None:
    byways = Byways()
    route, rule = WayRoute(5, PEER, GATEWAY), WayRule(5, SECOND, PEER)
    assert byways.choose(PAIR, Nexthop(5, GATEWAY), holds=False) == up(route, rule)
    assert byways.is_needed(PAIR, [5], 5), "the way may have been lost, or another be better"
    assert byways.choose(PAIR, Nexthop(5, GATEWAY), holds=True) == []
    assert byways.choose(Pair(SECOND, PEER, Transport.TCP), Nexthop(5, GATEWAY), holds=True) == []
    assert byways.choose(PAIR, None, holds=True) == down(rule, route)
    assert byways.choose(PAIR, None, holds=False) == []
    assert byways.everything() == []


def test_a_link_that_was_down_has_lost_its_routes() -> None:
    byways = Byways()
    first = byways.choose(PAIR, Nexthop(5, GATEWAY), holds=False)
    assert byways.choose(PAIR, Nexthop(5, GATEWAY), holds=False) == first


def test_another_gateway_takes_the_place_of_the_old_and_another_link_that_of_all() -> None:
    byways = Byways()
    byways.choose(PAIR, Nexthop(5, GATEWAY), holds=False)
    rule = WayRule(5, SECOND, PEER)
    assert byways.choose(PAIR, Nexthop(5, NEW_GATEWAY), holds=True) == up(WayRoute(5, PEER, NEW_GATEWAY), rule)
    assert byways.choose(PAIR, Nexthop(6), holds=False) == [
        *down(rule, WayRoute(5, PEER, NEW_GATEWAY)),
        *up(WayRoute(6, PEER, None), WayRule(6, SECOND, PEER)),
    ]


def test_two_addresses_of_a_link_share_a_route_and_the_last_takes_it_away() -> None:
    byways = Byways()
    route = WayRoute(5, PEER, GATEWAY)
    for local in (SECOND, THIRD):
        assert byways.choose(Pair(local, PEER), Nexthop(5, GATEWAY), holds=False) == up(route, WayRule(5, local, PEER))
    assert byways.lose(FIRST) == []
    assert byways.lose(SECOND) == down(WayRule(5, SECOND, PEER))
    assert byways.lose(THIRD) == down(WayRule(5, THIRD, PEER), route)


def test_what_a_crash_left_is_taken_over_where_it_is_wanted_again_and_else_goes() -> None:
    kept, stale = WayRule(5, SECOND, PEER), WayRule(4, SECOND, PEER)
    forgotten = (WayRoute(7, OTHER, GATEWAY), WayRule(7, THIRD, OTHER))
    byways = Byways()
    byways.remember([*forgotten, kept, stale, WayRoute(5, PEER, NEW_GATEWAY)])
    assert byways.is_needed(PAIR, [5], 5), "it leaves by its link because of what was left"
    assert byways.choose(PAIR, Nexthop(5, GATEWAY), holds=True) == [
        *up(WayRoute(5, PEER, GATEWAY), kept),
        *down(stale),
    ]
    assert byways.settle() == down(forgotten[1], forgotten[0])
    assert byways.settle() == []
    assert byways.everything() == down(kept, WayRoute(5, PEER, GATEWAY))


def test_what_is_left_and_not_needed_any_more_goes_when_it_is_asked_for() -> None:
    byways = Byways()
    byways.remember([WayRule(5, SECOND, PEER), WayRoute(5, PEER, GATEWAY)])
    assert byways.choose(PAIR, None, holds=True) == []
    assert byways.settle() == down(WayRule(5, SECOND, PEER), WayRoute(5, PEER, GATEWAY))


_STEPS = st.lists(
    st.tuples(
        st.sampled_from([Pair(local, remote) for local in (FIRST, SECOND) for remote in (PEER, OTHER)]),
        st.sampled_from([None, Nexthop(5, GATEWAY), Nexthop(5, NEW_GATEWAY), Nexthop(6), Nexthop(6, GATEWAY)]),
        st.booleans(),
    ),
    max_size=30,
)


@given(_STEPS)
def test_whatever_is_chosen_the_kernel_has_what_is_wanted_and_in_the_end_nothing(
    steps: list[tuple[Pair, Nexthop | None, bool]],
) -> None:
    byways, wanted = Byways(), dict[Pair, Nexthop]()
    routes: dict[tuple[int, object], object] = {}
    rules: set[WayRule] = set()

    def carry_out(changes: list[WayChange]) -> None:
        for change in changes:
            match change.fact:
                case WayRoute(link, remote, gateway) if change.wanted:
                    routes[link, remote] = gateway
                case WayRoute(link, remote, _):
                    del routes[link, remote]
                case WayRule() as rule if change.wanted:
                    assert (rule.link, rule.remote) in routes
                    rules.add(rule)
                case WayRule() as rule:
                    rules.remove(rule)

    for pair, beside, lose in steps:
        if lose:
            carry_out(byways.lose(pair.local))
            wanted = {each: way for each, way in wanted.items() if each.local != pair.local}
        elif beside is None:
            carry_out(byways.choose(pair, None, holds=True))
            wanted.pop(pair, None)
        else:
            carry_out(byways.choose(pair, beside, holds=pair in wanted))
            wanted[pair] = beside
        assert rules == {WayRule(way.link, pair.local, pair.remote) for pair, way in wanted.items()}
        assert routes.keys() == {(way.link, pair.remote) for pair, way in wanted.items()}
    carry_out(byways.everything())
    assert (routes, rules) == ({}, set())
