"""Pairs that are not in use are tested while the one in use works: as policy says, and no more than that."""

import pytest

from mobike.address import Nanos, Pair, SaId
from mobike.commands import Probe
from mobike.events import AddressAdded, Moved, Nat, PathChecked, PathSilent
from mobike.policy.connection import ConnectionPolicy
from mobike.policy.schedule import RetestRule
from tests.fleet.host import MS, PHONE, SECOND, Host, path, up
from tests.policy.words import CELLULAR, OFFICE, ON_CELLULAR, ON_WIFI, WIFI

ONE = SaId(1)


def host_with(rule: RetestRule, sas: int = 1) -> Host:
    policy = ConnectionPolicy("office", initiates=True, remotes=(OFFICE,), links=PHONE.links, retest=rule)
    host = Host((policy,))
    host.hears(AddressAdded(WIFI, "wlan0"), AddressAdded(CELLULAR, "wwan0"))
    host.hears(*[up(n + 1, token=None) for n in range(sas)])
    host.passes(SECOND)
    return host


def probes(host: Host) -> list[Pair]:
    return [each.path.pair for each in host.commands if isinstance(each, Probe) and each.path is not None]


def answers(host: Host) -> None:
    probe = [each for each in host.commands if isinstance(each, Probe)][-1]
    assert probe.path is not None
    host.hears(PathChecked(probe.sa, probe.path, probe.generation, Nanos(MS)))


@pytest.mark.req("M3.10-1", "D6.2-1")
def test_by_default_nothing_is_sent_on_spare_pairs_while_all_is_well() -> None:
    host = host_with(RetestRule())
    host.passes(600 * SECOND)
    assert probes(host) == []


@pytest.mark.req("M3.10-1", "D3-3", "D5.3-1")
def test_a_preferred_link_that_fell_silent_is_tested_now_and_then_and_taken_back_when_it_answers() -> None:
    host = host_with(RetestRule(), sas=5)
    host.hears(PathSilent(ONE, path(), host.answer_generation(ONE), 2, Nanos(SECOND)))
    host.hears(host.answer(ONE))
    host.passes(SECOND)
    for n in range(2, 6):
        host.hears(host.answer(SaId(n)))
    moves = len(host.moves())
    host.passes(25 * SECOND)
    assert probes(host) == []
    host.passes(70 * SECOND)
    assert 2 <= len(probes(host)) <= 4, "one SA asks for all five, and not before the last has had its time"
    assert set(probes(host)) == {ON_WIFI}
    assert len(host.moves()) == moves, "a test moves nothing"
    answers(host)
    host.passes(SECOND)
    assert host.moves()[moves:] == [(SaId(n + 1), ON_WIFI) for n in range(5)]


@pytest.mark.req("A5.3-4")
def test_a_spare_pair_behind_a_nat_is_tested_before_the_nat_forgets_it() -> None:
    host = host_with(RetestRule(translated=20 * SECOND))
    host.leaves(WIFI, "wlan0")
    move = host.answer(ONE)
    host.hears(Moved(ONE, move.path, move.generation, Nat.WE_ARE_BEHIND, Nanos(MS)))
    host.joins(WIFI, "wlan0")
    host.passes(SECOND)
    host.hears(host.answer(ONE))
    began = host.now
    for n in range(1, 4):
        while len(probes(host)) < n:
            host.passes(100 * MS)
            assert host.now - began < n * 23 * SECOND
        answers(host)
    assert set(probes(host)) == {ON_CELLULAR}


@pytest.mark.req("M3.10-1", "D6.2-1")
def test_an_sa_that_is_moving_is_not_asked_to_test_and_there_is_one_test_at_a_time() -> None:
    host = host_with(RetestRule(others=5 * SECOND))
    host.passes(12 * SECOND)
    sent = len(probes(host))
    assert 1 <= sent <= 3, "an unanswered one has its whole interval as well"
    answers(host)
    host.passes(4 * SECOND)
    assert len(probes(host)) == sent
    host.passes(3 * SECOND)
    assert len(probes(host)) == sent + 1
    host.leaves(WIFI, "wlan0")
    sent = len(probes(host))
    host.passes(200 * MS)
    assert len(probes(host)) == sent
