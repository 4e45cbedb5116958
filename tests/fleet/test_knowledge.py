"""What the fleet learns of addresses and pairs beyond their coming and going, and what it makes of that."""

from ipaddress import ip_address

import pytest

from mobike.address import Nanos, Pair, SaId
from mobike.commands import Probe
from mobike.events import (
    AddressAdded,
    Moved,
    Nat,
    OperatorAvoid,
    PathHeard,
    PathSilent,
    PeerAddresses,
    RouteAnswer,
    RoutesChanged,
)
from mobike.fleet import RouteQuestion
from mobike.policy.connection import ConnectionPolicy
from mobike.policy.knowledge import Reach
from mobike.policy.links import LinkRule
from tests.fleet.host import MS, PHONE, SECOND, Host, gateway, path, phone, up
from tests.policy.words import CELLULAR, OFFICE, OFFICE_B, ON_CELLULAR, ON_WIFI, WIFI, WIFI6

ONE, TWO = SaId(1), SaId(2)

# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.req("A5.1-1")
def test_each_change_of_the_operational_set_is_told_to_each_peer_once_and_nothing_else_is() -> None:
    host = gateway(clients=3)

    def told(*events: AddressAdded) -> int:
        before = len(host.announces())
        host.hears(*events)
        host.passes(2 * SECOND)
        return len(host.announces()) - before

    assert told(AddressAdded(WIFI6, "eth0")) == 3
    assert told(AddressAdded(WIFI6, "eth0")) == 0, "the same again is no news"
    assert told(AddressAdded(WIFI6, "eth0", deprecated=True)) == 0, "used less gladly, and there all the same"
    assert told(AddressAdded(WIFI6, "eth0")) == 0
    assert [each.addresses for each in host.announces()[:3]] == [(WIFI6, WIFI, CELLULAR)] * 3
    host.leaves(WIFI6, "eth0")
    host.passes(2 * SECOND)
    assert [each.addresses for each in host.announces()[3:]] == [(WIFI, CELLULAR)] * 3
    host.leaves(WIFI6, "eth0")
    host.passes(2 * SECOND)
    assert len(host.announces()) == 6


@pytest.mark.req("A5.1-1", "D2-1")
def test_an_sa_leaves_a_deprecated_address_for_another_of_the_same_link_and_the_view_says_so() -> None:
    other = WIFI + 1
    host = phone()
    host.joins(other, "wlan0")
    host.passes(SECOND)
    assert host.moves() == []
    host.hears(AddressAdded(WIFI, "wlan0", deprecated=True))
    assert host.moves() == [(ONE, Pair(other, OFFICE))]
    assert "192.0.2.7 is deprecated" in host.notes[-1].text
    assert {row.ip: row.standing for row in host.fleet.addresses()}[WIFI] == "deprecated"
    assert "address-changed" in host.kinds()


@pytest.mark.req("D2-1")
def test_an_optimistic_address_carries_an_sa_where_there_is_no_other_and_no_longer_than_that() -> None:
    host = phone(links=False)
    host.leaves(WIFI, "wlan0")
    host.hears(AddressAdded(CELLULAR, "wwan0", optimistic=True))
    assert host.moves()[-1] == (ONE, ON_CELLULAR)
    host.hears(host.answer(ONE))
    host.joins(WIFI, "lan9")
    host.passes(SECOND)
    assert host.moves()[-1] == (ONE, ON_WIFI), "an unranked link, and still better"
    host.hears(host.answer(ONE))
    count = len(host.moves())
    host.hears(AddressAdded(CELLULAR, "wwan0"))
    assert host.moves()[count:] == [(ONE, ON_CELLULAR)], "nobody has objected: now the operator's order counts"


@pytest.mark.req("D2-1", "D2-2")
def test_a_pair_whose_route_leads_into_our_own_tunnel_is_left_and_not_used_until_the_kernel_says_otherwise() -> None:
    host = phone()
    host.questions.clear()
    host.hears(RoutesChanged())
    assert {ON_WIFI, ON_CELLULAR} == {each.pair for each in host.questions}
    assert RouteQuestion(ON_WIFI) in host.questions
    host.hears(RouteAnswer(ON_WIFI, reachable=False, into_tunnel=True))
    assert host.moves() == [(ONE, ON_CELLULAR)]
    host.hears(host.answer(ONE))
    row = next(each for each in host.fleet.explain(ONE) if each.pair == ON_WIFI)
    assert not row.usable
    assert row.why == "the route to 203.0.113.1 from 192.0.2.7 (wlan0) leads into one of our own tunnels"
    host.leaves(CELLULAR, "wwan0")
    host.passes(SECOND)
    assert [pair for _, pair in host.moves()] == [ON_CELLULAR], "rather none than one inside itself"
    host.hears(RouteAnswer(ON_WIFI, reachable=True))
    host.passes(SECOND)
    assert host.moves()[-1] == (ONE, ON_WIFI)


@pytest.mark.req("D2-1")
def test_an_inner_address_of_a_tunnel_is_no_way_for_another_sa_and_is_told_to_nobody() -> None:
    inner = ip_address("10.99.0.7")
    host = Host()
    host.joins(WIFI, "wlan0")
    host.hears(up(token=host.connects()[0].token, virtual_ips=(inner,)))
    host.joins(inner, "any0")
    host.passes(SECOND)
    assert all(inner not in told for told in host.lists())
    host.leaves(WIFI, "wlan0")
    host.passes(SECOND)
    assert host.moves() == []
    assert {each.pair: each.why for each in host.fleet.explain(ONE)}[Pair(inner, OFFICE)] == (
        "10.99.0.7 is inside one of our own tunnels"
    )


# --- the peer's list -------------------------------------------------------------------------------------------------


@pytest.mark.req("M3.5-2")
def test_a_list_without_the_address_in_use_makes_the_sa_ask_at_one_that_is_in_it() -> None:
    host = phone()
    host.hears(PeerAddresses(ONE, (), OFFICE_B))
    assert host.moves() == [(ONE, Pair(WIFI, OFFICE_B))]
    assert host.plane() == {}, "traffic waits for the proof"
    assert "the peer's list no longer has 203.0.113.1" in host.notes[-1].text
    host.hears(host.answer(ONE))
    host.passes(SECOND)
    assert host.plane() == {ONE: Pair(WIFI, OFFICE_B)}
    # A list that has it again, or comes from it, takes that back.
    host.hears(PeerAddresses(ONE, (OFFICE,), OFFICE_B))
    host.passes(SECOND)
    assert len(host.moves()) == 1


@pytest.mark.req("M3.5-2")
def test_a_list_that_has_the_address_in_use_or_comes_from_it_moves_nothing() -> None:
    host = phone()
    for event in (
        PeerAddresses(ONE, (), OFFICE),
        PeerAddresses(ONE, (OFFICE_B,), OFFICE),
        PeerAddresses(ONE, (OFFICE,), OFFICE_B),
    ):
        host.hears(event)
        host.passes(SECOND)
    assert host.moves() == []


# --- life that data tells of -----------------------------------------------------------------------------------------


@pytest.mark.req("A5.2-2")
def test_data_that_comes_back_proves_the_pair_and_ends_the_wait_for_a_scout() -> None:
    site = ConnectionPolicy("office", initiates=True, remotes=(OFFICE,))
    host = Host((site,))
    host.hears(AddressAdded(WIFI, "eth0"), AddressAdded(CELLULAR, "eth1"))
    host.hears(*[up(n + 1, token=None) for n in range(20)])
    host.passes(SECOND)
    silences = [PathSilent(SaId(n + 1), path(), host.answer_generation(SaId(n + 1)), 2, Nanos(MS)) for n in range(20)]
    host.hears(*silences)
    assert host.moves() == [(ONE, ON_CELLULAR)]
    assert host.fleet._facts.known[ON_WIFI].reach is Reach.SILENT
    host.hears(*[PathHeard(SaId(n + 1), path()) for n in range(1, 20)], after=10 * MS)
    assert host.fleet._facts.known[ON_WIFI].reach is Reach.VERIFIED
    assert host.fleet._facts.known[ON_WIFI].at == host.now, "its time begins anew"
    assert host.fleet._scouts.next_due() is None
    host.passes(60 * SECOND)
    assert {sa for sa, _ in host.moves()} == {ONE}, "nobody else goes looking"


@pytest.mark.req("A5.2-2", "D5.1-2")
def test_data_to_one_sa_ends_no_other_ones_wait() -> None:
    site = ConnectionPolicy("office", initiates=True, remotes=(OFFICE,))
    host = Host((site,))
    host.hears(AddressAdded(WIFI, "eth0"), AddressAdded(CELLULAR, "eth1"))
    host.hears(*[up(n + 1, token=None) for n in range(3)])
    host.passes(SECOND)
    silences = [PathSilent(SaId(n + 1), path(), host.answer_generation(SaId(n + 1)), 2, Nanos(MS)) for n in range(3)]
    host.hears(*silences)
    host.hears(PathHeard(TWO, path()), after=10 * MS)
    assert host.moves() == [(ONE, ON_CELLULAR)]
    host.hears(host.answer(ONE))
    host.passes(SECOND)
    assert SaId(3) in {sa for sa, _ in host.moves()}, "it follows the scout"


# --- NATs ------------------------------------------------------------------------------------------------------------


@pytest.mark.req("A5.3-4")
def test_a_pair_behind_a_nat_is_tested_by_default_while_it_is_not_in_use_and_others_are_not() -> None:
    def probed(nat: Nat) -> list[Pair]:
        host = phone()
        host.leaves(WIFI, "wlan0")
        move = host.answer(ONE)
        host.hears(Moved(ONE, move.path, move.generation, nat, Nanos(MS)))
        host.joins(WIFI, "wlan0")
        host.passes(SECOND)
        host.hears(host.answer(ONE))
        host.passes(65 * SECOND)
        return [each.path.pair for each in host.commands if isinstance(each, Probe) and each.path is not None]

    assert probed(Nat.NONE) == []
    behind = probed(Nat.WE_ARE_BEHIND)
    assert set(behind) == {ON_CELLULAR}
    assert 2 <= len(behind) <= 3, "every 20 s, and an unanswered one has its whole time"


# --- several IKE SAs where one is not enough -------------------------------------------------------------------------


@pytest.mark.req("D5.3-1")
def test_who_wants_it_finer_has_several_ike_sas_with_link_sets_of_their_own() -> None:
    def only(name: str, link: str) -> ConnectionPolicy:
        rules = (LinkRule(link), LinkRule("*", allowed=False))
        return ConnectionPolicy(name, initiates=True, remotes=(OFFICE,), links=rules)

    host = Host((only("voice", "wlan*"), only("backup", "wwan*"), PHONE))
    host.hears(AddressAdded(WIFI, "wlan0"), AddressAdded(CELLULAR, "wwan0"))
    for n, (connect, local) in enumerate(zip(host.connects(), (WIFI, CELLULAR, WIFI), strict=True)):
        host.hears(up(n + 1, token=connect.token, connection=connect.connection, on=path(local)))
    host.passes(SECOND)
    paths = {each.connection: {one.local.ip for one in each.paths} for each in host.connects()}
    assert paths == {"voice": {WIFI}, "backup": {CELLULAR}, "office": {WIFI, CELLULAR}}
    host.leaves(WIFI, "wlan0")
    host.passes(SECOND)
    assert host.moves() == [(SaId(3), ON_CELLULAR)], "each follows its own links"
    assert host.plane() == {SaId(3): ON_CELLULAR}, "and with it all its IPsec SAs, as one"
    states = {each.connection: each.state for each in host.fleet.page(None, 10).items}
    assert states == {"voice": "waiting", "backup": "established", "office": "updating"}
    host.joins(WIFI, "wlan0")
    host.passes(SECOND)
    assert host.moves()[1] == (ONE, ON_WIFI)


@pytest.mark.req("A5.2-3")
def test_avoiding_a_link_moves_what_works_there_and_lifting_it_moves_it_back() -> None:
    host = phone()
    host.hears(OperatorAvoid("wlan0", avoid=True))
    assert host.moves() == [(ONE, ON_CELLULAR)]
    host.hears(host.answer(ONE))
    assert {row.ip: row.standing for row in host.fleet.addresses()} == {WIFI: "avoided", CELLULAR: "preferred"}
    host.hears(OperatorAvoid("wlan0", avoid=False))
    host.passes(SECOND)
    assert host.moves()[1:] == [(ONE, ON_WIFI)]
