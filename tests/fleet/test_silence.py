"""A path dies under many SAs although no local address changed: a few look for a way, the others follow."""

from collections import Counter

import pytest

from mobike.address import Nanos, Pair, Path, SaId
from mobike.commands import Move
from mobike.events import AddressAdded, IkeSaDown, PathSilent
from mobike.fleet.paths import MOVES_PER_TURN
from mobike.fleet.scouts import REMEMBERED
from mobike.policy.connection import ConnectionPolicy
from tests.fleet.host import MS, SECOND, Host, path, phone, up
from tests.policy.words import CELLULAR, OFFICE, OFFICE_B, ON_CELLULAR, ON_WIFI, WIFI

MANY = 10_000
SITE = ConnectionPolicy("office", initiates=True, remotes=(OFFICE, OFFICE_B))


def silent(host: Host, sa: int, on: Path | None = None) -> PathSilent:
    session = host.fleet._sessions.get(SaId(sa))
    assert session is not None
    return PathSilent(SaId(sa), on or session.target or session.path, session.generation, 2, Nanos(400 * MS))


def site(count: int) -> Host:
    """A host with very many SAs to one gateway."""
    host = Host((SITE,))
    host.hears(AddressAdded(WIFI, "eth0"), AddressAdded(CELLULAR, "eth1"))
    host.hears(*[up(n + 1, token=None) for n in range(count)])
    host.passes(SECOND)
    assert host.moves() == []
    host.commands.clear()
    return host


def tell_all(host: Host, count: int) -> None:
    """Each engine finds out by itself, in any order."""
    for first in range(0, count, 1_000):
        host.hears(*[silent(host, n + 1) for n in range(first, first + 1_000)], after=5 * MS)


@pytest.mark.req("D5.1-2", "A5.3-3")
def test_ten_thousand_sas_behind_one_dead_path_cause_one_test_and_a_paced_move() -> None:
    host = site(MANY)
    tell_all(host, MANY)
    assert len(host.moves()) == 1, "the first one to hear the silence tests for all"
    (scout, found) = host.moves()[0]
    began = host.now
    host.hears(host.answer(scout), after=30 * MS)
    most = max(_moves_by_turn(host, until=2 * SECOND).values())
    assert most <= MOVES_PER_TURN
    assert host.now - began < 3 * SECOND
    moves = Counter(sa for sa, _ in host.moves())
    assert set(moves) == {SaId(n + 1) for n in range(MANY)}
    assert set(moves.values()) == {1}, "one update each, and it goes where the scout has been"
    assert {pair for _, pair in host.moves()} == {found}


def _moves_by_turn(host: Host, until: int) -> Counter[Nanos]:
    by_turn: Counter[Nanos] = Counter()
    end = host.now + until
    while (deadline := host.fleet.poll_deadline()) is not None and deadline <= end:
        host.now = Nanos(max(deadline, host.now))
        by_turn[host.now] += sum(isinstance(each, Move) for each in host.hears().commands)
    return by_turn


@pytest.mark.req("D5.1-2")
def test_those_who_noticed_nothing_yet_follow_too_and_those_who_notice_late_need_no_test() -> None:
    host = site(50)
    host.hears(silent(host, 1))
    host.hears(host.answer(SaId(1)))
    host.passes(100 * MS)
    assert len(host.moves()) == 50
    host.commands.clear()
    # One that came up on the dead path meanwhile.
    host.hears(up(99, token=None))
    host.hears(silent(host, 99))
    host.passes(100 * MS)
    assert [sa for sa, _ in host.moves()] == [99]


@pytest.mark.req("D5.1-2", "A5.3-3")
def test_if_nobody_finds_a_way_scouts_become_rare_and_tests_stay_few() -> None:
    host = site(1_000)
    tell_all(host, 1_000)
    host.passes(10 * SECOND)
    searching = {sa for sa, _ in host.moves()}
    assert 4 <= len(searching) <= 8, "after 0, 1/4, 3/4, 7/4, 15/4, 31/4 s"
    assert len(host.moves()) < 150
    per_sa = Counter(sa for sa, _ in host.moves())
    assert max(per_sa.values()) < 30


@pytest.mark.req("D5.1-2")
def test_a_scout_whose_own_sa_is_dead_does_not_keep_the_others_from_looking() -> None:
    host = site(3)
    host.hears(silent(host, 1), silent(host, 2))
    assert [sa for sa, _ in host.moves()] == [1]
    host.hears(IkeSaDown(SaId(1), "the peer forgot it"))
    host.passes(400 * MS)
    assert 2 in {sa for sa, _ in host.moves()}
    host.hears(host.answer(SaId(2)))
    host.passes(100 * MS)
    assert 3 in {sa for sa, _ in host.moves()}


@pytest.mark.req("D5.1-2", "D5.1-1")
def test_a_lost_local_address_waits_for_nobody() -> None:
    host = site(MANY)
    decided = host.leaves(WIFI, "eth0")
    assert sum(isinstance(each, Move) for each in decided.commands) == MANY


@pytest.mark.req("D5.1-2")
def test_where_all_moved_onto_a_silent_pair_one_looks_further_for_all() -> None:
    host = site(200)
    host.leaves(WIFI, "eth0")
    assert {pair for _, pair in host.moves()} == {ON_CELLULAR}
    host.commands.clear()
    host.hears(*[silent(host, n + 1) for n in range(200)], after=300 * MS)
    assert [pair for _, pair in host.moves()] == [Pair(CELLULAR, OFFICE_B)]
    host.hears(host.answer(host.moves()[0][0]))
    host.passes(200 * MS)
    assert Counter(pair for _, pair in host.moves()) == {Pair(CELLULAR, OFFICE_B): 200}


@pytest.mark.req("D5.1-2")
def test_a_single_sa_searches_at_once_every_time() -> None:
    host = phone()
    host.hears(silent(host, 1))
    assert host.moves() == [(SaId(1), ON_CELLULAR)]
    host.hears(host.answer(SaId(1)))
    # The way that was found dies as well; and then the first one again.
    host.hears(silent(host, 1), after=SECOND)
    assert host.moves()[-1] == (SaId(1), ON_WIFI)
    host.hears(host.answer(SaId(1)))
    host.hears(silent(host, 1), after=SECOND)
    assert host.moves()[-1] == (SaId(1), ON_CELLULAR)


@pytest.mark.req("A5.3-3")
def test_the_deadline_of_a_test_is_the_deadline_of_the_fleet() -> None:
    host = phone()
    host.hears(silent(host, 1))
    deadline = host.fleet.deadline()
    assert deadline is not None
    assert deadline[1] == "a test of a pair has had its time"
    assert 200 * MS <= deadline[0] - host.now <= 300 * MS
    host.passes(400 * MS)
    assert host.moves() == [(SaId(1), ON_CELLULAR)], "the only other pair has its time twice"
    host.passes(250 * MS)
    assert host.moves() == [(SaId(1), ON_CELLULAR), (SaId(1), ON_WIFI)]


@pytest.mark.req("A5.3-3", "D5.1-3")
def test_a_search_without_end_ends_with_the_sa_and_leaves_nothing_behind() -> None:
    host = phone()
    host.hears(silent(host, 1))
    host.passes(200 * SECOND)
    assert host.closes() == [SaId(1)]
    host.hears(IkeSaDown(SaId(1), "closed"))
    host.passes(REMEMBERED)
    assert host.fleet._tests == []
    assert host.fleet._to_follow == {}
    assert path() == path(WIFI)


@pytest.mark.req("D5.1-2")
def test_jitter_comes_from_the_seed() -> None:
    def searched(seed: int) -> list[Nanos]:
        host = Host((SITE,), seed=seed)
        host.hears(AddressAdded(WIFI, "eth0"), AddressAdded(CELLULAR, "eth1"), up(token=None))
        host.hears(silent(host, 1))
        return list(_moves_by_turn(host, until=10 * SECOND))

    assert searched(1) == searched(1)
    assert searched(1) != searched(2)
    assert len(searched(1)) > 5
