"""Connections that should be up are brought up, and come back."""

import pytest

from mobike.address import SaId, Token
from mobike.events import (
    AddressAdded,
    ConnectFailed,
    IkeSaDown,
    OperatorClose,
    OperatorDown,
    OperatorUp,
    Role,
    RouteAnswer,
)
from mobike.fleet.upkeep import MOST_PATHS
from mobike.policy.connection import ConnectionPolicy, Ports, Reconnect, Start
from mobike.policy.links import LinkRule
from tests.fleet.host import GATEWAY, MS, PHONE, SECOND, Host, gateway, path, phone, up
from tests.policy.words import CELLULAR, OFFICE, OFFICE6, OFFICE_B, ON_WIFI, WIFI, WIFI6

ON_DEMAND = ConnectionPolicy("office", initiates=True, remotes=(OFFICE,), start=Start.NONE)


@pytest.mark.req("M3.1-1", "D3-2")
def test_a_connection_begins_over_all_pairs_of_one_family_best_first() -> None:
    host = Host((ConnectionPolicy("office", initiates=True, remotes=(OFFICE, OFFICE6), links=PHONE.links),))
    host.hears(AddressAdded(CELLULAR, "wwan0"), AddressAdded(WIFI, "wlan0"), AddressAdded(WIFI6, "wlan0"))
    (connect,) = host.connects()
    assert connect.connection == "office"
    assert connect.remote_natt_port == 4500
    assert connect.paths == (
        path(WIFI6, OFFICE6, port=500),
        path(WIFI, OFFICE, port=500),
        path(CELLULAR, OFFICE, port=500),
    )


def test_ports_are_those_of_the_connection() -> None:
    ports = Ports(local_ike=5500, local_natt=5501, remote_ike=6600, remote_natt=6601)
    host = Host((ConnectionPolicy("office", initiates=True, remotes=(OFFICE,), ports=ports),))
    host.joins(WIFI, "wlan0")
    (connect,) = host.connects()
    assert str(connect.paths[0]) == "192.0.2.7:5500 -> 203.0.113.1:6600"
    assert connect.remote_natt_port == 6601


def test_there_is_a_limit_to_the_paths_of_one_attempt() -> None:
    host = Host((ConnectionPolicy("office", initiates=True, remotes=tuple(OFFICE + n for n in range(10))),))
    host.hears(*[AddressAdded(WIFI + n, "wlan0") for n in range(10)])
    assert len(host.connects()[0].paths) == MOST_PATHS


def test_without_an_address_a_connection_says_why_and_begins_in_the_turn_in_which_one_comes() -> None:
    host = Host()
    host.hears()
    assert host.connects() == []
    (row,) = host.fleet.connections()
    assert (row.state, row.last_error) == ("connecting", "no usable pair: this host has no address")
    assert host.fleet.poll_deadline() is None, "nothing to do until something changes"
    host.joins(WIFI, "wlan0")
    assert len(host.connects()) == 1


def test_a_route_that_appears_is_such_a_change() -> None:
    host = Host()
    host.joins(WIFI, "wlan0")
    host.hears(ConnectFailed(host.connects()[0].token, "no answer", ()), RouteAnswer(ON_WIFI, reachable=False))
    host.passes(10 * SECOND)
    assert len(host.connects()) == 1
    host.hears(RouteAnswer(ON_WIFI, reachable=True))
    assert len(host.connects()) == 2


def test_failures_are_repeated_with_doubling_patience_up_to_a_limit() -> None:
    rule = Reconnect(initial=SECOND, max=5 * SECOND)
    host = Host((ConnectionPolicy("office", initiates=True, remotes=(OFFICE,), reconnect=rule),))
    host.joins(WIFI, "wlan0")
    host.passes(SECOND)
    waits = []
    for _ in range(5):
        began = host.now
        host.hears(ConnectFailed(host.connects()[-1].token, "no answer from 203.0.113.1", (path(port=500),)))
        deadline = host.fleet.deadline()
        assert deadline is not None
        assert deadline[1] == "a connection is tried again"
        waits.append((deadline[0] - began) // SECOND)
        host.passes(deadline[0] - began)
    assert waits == [1, 2, 4, 5, 5]
    assert len(host.connects()) == 6
    assert host.notes[-2].text == "Cannot connect: no answer from 203.0.113.1; trying again in 5.0 s"
    (row,) = host.fleet.connections()
    assert row.last_error == "no answer from 203.0.113.1"
    host.hears(up(token=host.connects()[-1].token))
    (row,) = host.fleet.connections()
    assert (row.state, row.sas, row.last_error) == ("up", 1, None)


def test_an_sa_that_lived_comes_back_at_once_and_one_that_did_not_with_patience() -> None:
    host = phone()
    host.passes(5 * SECOND)
    host.hears(IkeSaDown(SaId(1), "the peer restarted"))
    assert len(host.connects()) == 2
    host.hears(up(2, token=host.connects()[-1].token), IkeSaDown(SaId(2), "the peer restarted again"))
    assert len(host.connects()) == 2
    host.passes(SECOND)
    assert len(host.connects()) == 3


def test_an_operator_brings_up_what_does_not_start_by_itself_and_takes_it_down_for_good() -> None:
    host = Host((ON_DEMAND,))
    host.joins(WIFI, "wlan0")
    assert host.connects() == []
    assert host.fleet.connections()[0].state == "down"
    host.hears(OperatorUp("office"))
    host.hears(OperatorUp("office"))
    assert len(host.connects()) == 1
    host.hears(up(token=host.connects()[0].token))
    host.hears(OperatorUp("office"))
    assert len(host.connects()) == 1, "it is up"
    host.hears(OperatorDown("office"))
    assert host.closes() == [SaId(1)]
    host.hears(IkeSaDown(SaId(1), "closed"))
    host.passes(100 * SECOND)
    assert len(host.connects()) == 1
    assert host.fleet.connections()[0].state == "down"


def test_one_that_comes_up_after_the_operator_took_it_down_is_closed() -> None:
    host = Host((ON_DEMAND,))
    host.joins(WIFI, "wlan0")
    host.hears(OperatorUp("office"))
    host.hears(OperatorDown("office"))
    host.hears(up(token=host.connects()[0].token))
    assert host.closes() == [SaId(1)]


def test_orders_that_make_no_sense_are_refused_with_a_reason() -> None:
    host = gateway(1)
    host.hears(OperatorUp("road"), OperatorUp("nowhere"), OperatorDown("nowhere"), OperatorClose(SaId(99)))
    refused = [note.text for note in host.notes if note.kind == "order-refused"]
    assert refused == ["The peer begins this connection, not we", "There is no such connection"]
    assert host.closes() == []
    host.hears(OperatorClose(SaId(1)))
    assert host.closes() == [SaId(1)]


def test_a_connection_that_waits_for_its_peer_is_listening() -> None:
    host = Host((GATEWAY,))
    host.hears()
    assert [(row.state, row.role) for row in host.fleet.connections()] == [("listening", Role.RESPONDER)]


def test_a_token_of_nobody_is_ignored() -> None:
    host = Host()
    host.hears(ConnectFailed(Token(77), "no answer", ()))
    assert "connect-failed" not in host.kinds()[1:]


@pytest.mark.req("D2-1")
def test_a_forbidden_link_is_not_used_to_connect() -> None:
    rules = (LinkRule("wwan*", allowed=False),)
    host = Host((ConnectionPolicy("office", initiates=True, remotes=(OFFICE, OFFICE_B), links=rules),))
    host.joins(CELLULAR, "wwan0")
    assert host.connects() == []
    assert host.lists() == []
    error = host.fleet.connections()[0].last_error
    assert error == "no usable pair: link wwan0 is not allowed for this connection"
    host.passes(10 * MS)
