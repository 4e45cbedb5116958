"""What path probes see: one SA watches for all, a pair that fails is left at once, a gateway asks back in trouble."""

from dataclasses import replace

import pytest

from mobike.address import Nanos, Pair, Path, SaId
from mobike.commands import Move, Probe, Watch
from mobike.dataplane.operations import MoveSa
from mobike.events import IkeSaDown, IkeSaUp, PairSeen, PathSilent, Role
from mobike.policy.connection import ConnectionPolicy
from mobike.policy.links import LinkRule
from tests.fleet.host import GATEWAY, MS, SECOND, Host, path, up
from tests.policy.words import CELLULAR, OFFICE, OFFICE_B, WIFI

MANY = 10_000
SITE = ConnectionPolicy("office", initiates=True, remotes=(OFFICE, OFFICE_B))


def knows_probes(sa: int, role: Role = Role.INITIATOR, connection: str = "office") -> IkeSaUp:
    return replace(up(sa, role=role, connection=connection), extensions=("path-probes",))


def site(count: int, policy: ConnectionPolicy = SITE) -> Host:
    """Two links, a gateway with two addresses, and SAs that know path probes."""
    host = Host((policy,))
    for ip, link in ((WIFI, "wlan0"), (CELLULAR, "wwan0")):
        host.joins(ip, link)
    host.hears(*[knows_probes(n + 1) for n in range(count)])
    host.passes(SECOND)
    return host


def seen(
    on: Path, forward: bool = True, backward: bool = True, *, sa: int = 1, rtt: int = 20 * MS, loss: int = 0
) -> PairSeen:
    return PairSeen(SaId(sa), on, forward, backward, Nanos(rtt), loss)


def all_seen(host: Host) -> None:
    host.hears(*[seen(each) for each in watches(host)[-1].paths])
    host.passes(100 * MS)


def watches(host: Host) -> list[Watch]:
    return [each for each in host.commands if isinstance(each, Watch)]


def pairs(watch: Watch) -> set[Pair]:
    return {each.pair for each in watch.paths}


FOUR = {Pair(ip, remote) for ip in (WIFI, CELLULAR) for remote in (OFFICE, OFFICE_B)}


@pytest.mark.req("A5.4-1", "A5.3-3")
def test_one_sa_of_ten_thousand_watches_all_pairs_for_all() -> None:
    host = site(MANY)
    assert [(each.sa, pairs(each), each.interval) for each in watches(host)] == [(SaId(1), FOUR, SECOND)]
    # It goes: the next one has its turn.
    host.hears(IkeSaDown(SaId(1), "closed"))
    assert [(each.sa, pairs(each)) for each in watches(host)[1:]] == [(SaId(2), FOUR)]


@pytest.mark.req("A5.4-1")
def test_a_foreign_peer_is_not_watched_and_an_interval_of_zero_watches_nobody() -> None:
    host = Host((SITE,))
    host.joins(WIFI, "wlan0")
    host.hears(up(1))
    host.passes(SECOND)
    assert watches(host) == []
    assert watches(site(3, replace(SITE, probe_interval=0))) == []


def test_pairs_are_watched_while_they_can_be_used() -> None:
    host = site(1)
    host.leaves(CELLULAR, "wwan0")
    assert pairs(watches(host)[-1]) == {Pair(WIFI, OFFICE), Pair(WIFI, OFFICE_B)}
    before = len(watches(host))
    host.passes(60 * SECOND)
    assert len(watches(host)) == before, "nothing new, nothing said"
    host.joins(CELLULAR, "wwan0")
    assert pairs(watches(host)[-1]) == FOUR


def test_no_request_tests_a_spare_pair_that_is_watched() -> None:
    policy = replace(SITE, links=(LinkRule("wwan*", rank=1), LinkRule("wlan*", rank=2)))
    host = site(1, policy)
    host.hears(PathSilent(SaId(1), path(), host.answer_generation(SaId(1)), 3, Nanos(SECOND)))
    host.passes(300 * SECOND)
    assert not [each for each in host.commands if isinstance(each, Probe)]


@pytest.mark.req("A5.4-1", "D5.1-1")
def test_a_pair_that_fails_is_left_in_the_same_turn_for_one_that_is_heard() -> None:
    host = site(1)
    all_seen(host)
    host.hears(seen(path(CELLULAR, OFFICE), forward=False, backward=False))
    assert host.moves() == [], "that one is not in use"
    decided = host.hears(seen(path(), forward=False, backward=False))
    moves = [each for each in decided.commands if isinstance(each, Move)]
    assert [each.path.pair for each in moves] == [Pair(WIFI, OFFICE_B)]
    assert [each for each in decided.operations if isinstance(each, MoveSa)], "nothing is lost by leaving at once"
    row = host.fleet.explain(SaId(1))[0]
    assert (row.pair, row.measured and row.measured.rtt) == (Pair(WIFI, OFFICE_B), 20 * MS)
    assert "works both ways, round trip 20.0 ms" in row.why


@pytest.mark.req("A5.4-1")
@pytest.mark.parametrize(("forward", "backward"), [(True, False), (False, True)])
def test_a_pair_that_works_one_way_is_known_as_that_and_never_chosen(forward: bool, backward: bool) -> None:
    host = site(1)
    all_seen(host)
    host.hears(seen(path(WIFI, OFFICE_B), forward=forward, backward=backward))
    decided = host.hears(seen(path(), forward=forward, backward=backward))
    assert [each.path.pair for each in decided.commands if isinstance(each, Move)] == [Pair(CELLULAR, OFFICE)]
    # What still arrives is not cut off before the peer has answered.
    assert bool(decided.operations) is not forward
    host.hears(host.answer(SaId(1)))
    rows = {row.pair: row for row in host.fleet.explain(SaId(1))}
    assert rows[Pair(WIFI, OFFICE_B)].why.startswith("one way, link rank")
    # Nothing else is left: it stays where it is.
    host.commands.clear()
    host.hears(*[seen(path(CELLULAR, remote), forward=forward, backward=backward) for remote in (OFFICE, OFFICE_B)])
    host.passes(SECOND)
    assert host.moves() == []


@pytest.mark.req("A5.4-1", "A5.3-3")
def test_all_who_use_a_pair_that_fails_follow_in_portions_and_once() -> None:
    host = site(MANY)
    all_seen(host)
    first = host.hears(seen(path(), forward=False, backward=False))
    assert 0 < len([each for each in first.commands if isinstance(each, Move)]) <= 256
    host.passes(2 * SECOND)
    moves = host.moves()
    assert len(moves) == len({sa for sa, _ in moves}) == MANY
    assert {pair for _, pair in moves} == {Pair(CELLULAR, OFFICE)}


def test_a_pair_that_works_again_is_taken_if_the_operator_prefers_it() -> None:
    host = site(1, replace(SITE, links=(LinkRule("wlan*", rank=1), LinkRule("wwan*", rank=2))))
    all_seen(host)
    host.hears(*[seen(path(WIFI, remote), forward=False, backward=False) for remote in (OFFICE, OFFICE_B)])
    host.hears(host.answer(SaId(1)))
    assert host.moves()[-1][1].local == CELLULAR
    host.hears(seen(path()))
    host.passes(SECOND)
    assert host.moves()[-1][1].local == CELLULAR, "it failed just now"
    host.passes(2 * SECOND)
    assert host.moves()[-1] == (SaId(1), Pair(WIFI, OFFICE))


@pytest.mark.req("A5.3-2")
def test_a_pair_that_loses_much_is_left_for_one_that_does_not_and_not_for_a_trifle() -> None:
    host = site(1)
    all_seen(host)
    for loss in (50, 120, 240):
        host.hears(seen(path(), loss=loss))
    host.passes(SECOND)
    assert host.moves() == []
    host.hears(seen(path(), loss=300))
    host.hears(host.answer(SaId(1)))
    assert [pair for _, pair in host.moves()] == [Pair(CELLULAR, OFFICE)]
    # A little better is no reason to go back.
    host.hears(seen(path(), loss=30), seen(path(CELLULAR, OFFICE), loss=200))
    host.passes(SECOND)
    assert len(host.moves()) == 1


def test_where_a_choice_must_be_made_the_shorter_way_is_taken() -> None:
    host = site(1)
    all_seen(host)
    host.hears(seen(path(WIFI, OFFICE_B), rtt=180 * MS), seen(path(CELLULAR, OFFICE), rtt=40 * MS))
    host.passes(SECOND)
    assert host.moves() == [], "a working pair is not left for that"
    host.hears(
        seen(path(), forward=False, backward=False), seen(path(CELLULAR, OFFICE_B), forward=False, backward=False)
    )
    assert [pair for _, pair in host.moves()] == [Pair(CELLULAR, OFFICE)]


def test_what_nobody_watches_any_more_says_nothing() -> None:
    host = site(1)
    all_seen(host)
    host.hears(seen(path(), loss=600))
    host.commands.clear()
    host.hears(after=200 * SECOND)
    assert all(row.measured is None for row in host.fleet.explain(SaId(1)))


@pytest.mark.req("A5.4-1")
def test_a_gateway_asks_back_while_one_direction_fails_so_that_both_ends_learn() -> None:
    host = Host((GATEWAY,))
    for ip, link in ((WIFI, "eth0"), (CELLULAR, "eth1")):
        host.joins(ip, link)
    host.hears(knows_probes(1, Role.RESPONDER, "road"))
    host.passes(SECOND)
    assert watches(host) == []
    host.hears(seen(path(), forward=False))
    assert [(each.sa, pairs(each)) for each in watches(host)] == [(SaId(1), {path().pair, Pair(CELLULAR, OFFICE)})]
    host.hears(seen(path(CELLULAR), backward=False))
    host.hears(seen(path()))
    assert len(watches(host)) == 1, "the other one is still broken"
    host.hears(seen(path(CELLULAR)))
    assert watches(host)[-1] == Watch(SaId(1), (), 0)
    assert host.moves() == []
    assert host.kinds().count("pair-seen") == 3
