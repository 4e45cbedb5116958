"""Who is coming up does not go on over ways of yesterday: what nobody has answered is begun anew over those of now."""

import pytest

from mobike.address import Token
from mobike.commands import GiveUp
from mobike.events import AddressAdded, ConnectFailed, OperatorDown, OperatorUp, RouteAnswer
from mobike.fleet.upkeep import MOST_PATIENT, PATIENCE
from mobike.policy.connection import ConnectionPolicy, Reconnect
from tests.fleet.host import MS, SECOND, Host, path, up
from tests.policy.words import CELLULAR, OFFICE, ON_CELLULAR, ON_WIFI, WIFI


def given_up(host: Host) -> list[tuple[Token, ...]]:
    return [each.tokens for each in host.commands if isinstance(each, GiveUp)]


def ended(host: Host) -> ConnectFailed:
    """What the core says of the latest that it gave up."""
    return ConnectFailed(given_up(host)[-1][0], "stopped by us: there are other ways now", (), reason="ordered")


def calling() -> Host:
    """Over Wi-Fi, for a minute, and nobody answers."""
    host = Host()
    host.joins(WIFI, "wlan0")
    host.passes(60 * SECOND)
    assert len(host.connects()) == 1
    return host


@pytest.mark.req("M3.1-1")
def test_an_address_that_comes_while_nobody_answers_is_called_from_at_once() -> None:
    host = calling()
    host.joins(CELLULAR, "wwan0")
    assert given_up(host) == [(host.connects()[0].token,)]
    assert host.notes[-1].text == f"Begins anew: {ON_CELLULAR} can be used now"
    host.hears(ended(host))
    assert [each.local.ip for each in host.connects()[-1].paths] == [WIFI, CELLULAR]
    assert len(host.connects()) == 2
    assert host.fleet.connections()[0].last_error is None, "it is no failure"


def test_an_answer_that_overtakes_it_counts() -> None:
    host = calling()
    host.joins(CELLULAR, "wwan0")
    host.hears(up(token=host.connects()[0].token))
    host.passes(100 * SECOND)
    assert len(given_up(host)) == 1
    assert host.fleet.connections()[0].state == "up"


def test_who_was_answered_and_is_not_up_is_asked_again_for_as_long_as_that_lasts() -> None:
    host = calling()
    host.joins(CELLULAR, "wwan0")
    host.passes(60 * SECOND)
    assert 3 <= len(given_up(host)) <= 7, "seldom and seldomer"
    assert len(host.connects()) == 1
    host.hears(ended(host))
    assert len(host.connects()) == 2


def test_a_route_that_comes_back_is_such_a_way_and_the_loss_of_all_is_said() -> None:
    host = calling()
    host.hears(RouteAnswer(ON_WIFI, reachable=False))
    host.hears(ended(host))
    (row,) = host.fleet.connections()
    assert (row.state, row.last_error) == ("connecting", f"no usable pair: no route to {OFFICE} from {WIFI} (wlan0)")
    host.passes(60 * SECOND)
    assert len(host.connects()) == 1
    host.hears(RouteAnswer(ON_WIFI, reachable=True))
    assert len(host.connects()) == 2, "in the turn in which it comes"


def test_a_route_that_comes_a_moment_after_its_address_disturbs_nobody() -> None:
    host = Host()
    host.joins(WIFI, "wlan0")
    host.hears(RouteAnswer(ON_WIFI, reachable=False))
    host.passes(100 * MS)
    host.hears(RouteAnswer(ON_WIFI, reachable=True))
    host.passes(60 * SECOND)
    assert given_up(host) == []
    assert len(host.connects()) == 1


def test_a_first_message_has_half_a_second_and_more_each_time_whatever_comes_and_goes() -> None:
    host = Host()
    host.joins(WIFI, "wlan0")
    waits: list[int] = []
    for _ in range(MOST_PATIENT + 3):
        began = host.now
        while len(given_up(host)) == len(waits):
            host.leaves(CELLULAR, "wwan0")
            host.joins(CELLULAR, "wwan0")
            host.passes(50 * MS)
        waits.append(host.now - began)
        host.leaves(CELLULAR, "wwan0")
        host.hears(ended(host))
    assert [round(wait / PATIENCE) for wait in waits] == [1, 2, 4, 8, 16, 32, 32, 32]


def test_who_rests_after_a_failure_does_not_rest_when_a_new_way_comes() -> None:
    rule = Reconnect(initial=60 * SECOND, max=60 * SECOND)
    host = Host((ConnectionPolicy("office", initiates=True, remotes=(OFFICE,), reconnect=rule),))
    host.joins(WIFI, "wlan0")
    host.hears(ConnectFailed(host.connects()[0].token, "no answer", (path(port=500),)))
    host.hears(AddressAdded(WIFI, "wlan0"))
    host.passes(SECOND)
    assert len(host.connects()) == 1, "that is no news"
    host.joins(CELLULAR, "wwan0")
    assert len(host.connects()) == 2


def test_an_operator_who_takes_it_down_stops_what_nobody_answers() -> None:
    host = calling()
    host.hears(OperatorDown("office"))
    assert given_up(host) == [(host.connects()[0].token,)]
    host.hears(ended(host))
    host.passes(60 * SECOND)
    assert (host.fleet.connections()[0].state, len(host.connects())) == ("down", 1)
    host.hears(OperatorUp("office"))
    assert len(host.connects()) == 2


def test_an_operator_who_thinks_better_of_it_gets_it_at_once() -> None:
    host = calling()
    host.hears(OperatorDown("office"))
    host.hears(OperatorUp("office"))
    host.hears(ended(host))
    assert len(host.connects()) == 2


def test_very_many_look_in_portions() -> None:
    many = 1_000
    host = Host(tuple(ConnectionPolicy(f"office-{n}", initiates=True, remotes=(OFFICE,)) for n in range(many)))
    host.joins(WIFI, "wlan0")
    host.passes(SECOND)
    host.joins(CELLULAR, "wwan0")
    assert 0 < sum(map(len, given_up(host))) < many / 10
    host.passes(400 * MS)
    assert sum(map(len, given_up(host))) == many
