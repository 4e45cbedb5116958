"""On to another gateway (RFC 5685): what is followed, what is not, and what becomes of it when nobody is there."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from mobike.address import SaId
from mobike.commands import Redirect, TurnAway
from mobike.events import (
    AddressAdded,
    ConnectFailed,
    IkeSaDown,
    IkeSaResumed,
    OperatorDrain,
    OperatorMove,
    OperatorRedirect,
    Redirected,
    Role,
)
from mobike.fleet import Fleet
from mobike.fleet.redirects import SENT_PER_TURN
from mobike.policy.redirects import MOST, PERIOD, FollowRule
from tests.fleet.host import PHONE, SECOND, Host, gateway, path, up
from tests.policy.words import CELLULAR, OFFICE, WIFI

OTHER = ip_address("203.0.113.77")
THIRD = ip_address("203.0.113.78")
ELSEWHERE = ip_address("198.51.100.5")
RULE = FollowRule((ip_network("203.0.113.64/26"),), {"gw2.example.net": (ELSEWHERE,)})
FOLLOWS = replace(PHONE, redirects=RULE)


def phone() -> Host:
    host = Host((FOLLOWS,))
    host.hears(AddressAdded(WIFI, "wlan0"))
    return host


def sends_on(host: Host, to: str, *, after: int = SECOND) -> None:
    """The gateway that was asked last says so."""
    connect = host.connects()[-1]
    event = ConnectFailed(connect.token, f"the gateway sends us on to {to}", connect.paths[:1], to)
    host.hears(event, after=after)


def remotes(host: Host) -> list[str]:
    return [str(connect.paths[0].remote.ip) for connect in host.connects()]


def up_at(host: Host, sa: int, *, mobike: bool = True) -> None:
    connect = host.connects()[-1]
    on = path(WIFI, connect.paths[0].remote.ip)
    host.hears(up(sa, token=connect.token, on=on, mobike=mobike))


def test_a_gateway_that_may_be_followed_is_asked_in_the_same_turn_and_told_who_sent_us() -> None:
    host = phone()
    sends_on(host, str(OTHER))
    assert remotes(host) == [str(OFFICE), str(OTHER)]
    assert [connect.redirected_from for connect in host.connects()] == [None, OFFICE]
    assert "redirected" in host.kinds()


def test_a_gateway_is_known_by_a_name_that_the_configuration_explains() -> None:
    host = phone()
    sends_on(host, "GW2.example.net")
    assert remotes(host) == [str(OFFICE), str(ELSEWHERE)]


@pytest.mark.parametrize("to", ["198.51.100.99", "gw3.example.net", str(OFFICE)])
def test_nobody_sends_us_where_we_do_not_want_to_go(to: str) -> None:
    host = phone()
    sends_on(host, to)
    assert remotes(host) == [str(OFFICE)]
    assert "redirect-refused" in host.kinds()
    host.passes(10 * SECOND)
    assert set(remotes(host)) == {str(OFFICE)}, "it is tried again where it is configured"
    assert len(host.connects()) > 1


def test_gateways_that_send_us_round_in_circles_are_left_after_some_rounds() -> None:
    host = phone()
    for _ in range(MOST + 1):
        sends_on(host, str(THIRD) if remotes(host)[-1] == str(OTHER) else str(OTHER))
    assert len(host.connects()) == MOST + 1
    assert host.kinds()[-2:] == ["redirect-refused", "connect-failed"]
    host.passes(2 * SECOND)
    assert remotes(host)[-1] == str(OFFICE)
    host.passes(PERIOD)
    sends_on(host, str(OTHER))
    assert remotes(host)[-1] == str(OTHER), "what is long ago counts no more"


def test_a_gateway_that_is_not_there_brings_us_back_to_the_one_that_we_know() -> None:
    host = phone()
    sends_on(host, str(OTHER))
    host.hears(ConnectFailed(host.connects()[-1].token, "no answer", ()))
    host.passes(10 * SECOND)
    assert remotes(host)[:3] == [str(OFFICE), str(OTHER), str(OFFICE)]
    assert host.connects()[2].redirected_from is None


def test_an_ike_sa_with_the_other_gateway_does_not_move_back_to_the_first() -> None:
    host = phone()
    sends_on(host, str(OTHER))
    up_at(host, 1)
    host.hears(AddressAdded(CELLULAR, "wwan0"))
    host.passes(60 * SECOND)
    assert all(pair.remote == OTHER for _, pair in host.moves())
    session = host.fleet.view(SaId(1))
    assert session is not None
    assert {each.pair.remote for each in session.pairs} == {OTHER}
    host.hears(IkeSaDown(SaId(1), "gone"))
    host.passes(SECOND)
    assert remotes(host)[-1] == str(OFFICE), "from the beginning again"


def test_a_tunnel_is_carried_over_to_the_other_gateway_before_it_is_closed() -> None:
    host = phone()
    up_at(host, 1)
    host.passes(SECOND)
    host.hears(Redirected(SaId(1), str(OTHER)))
    assert remotes(host) == [str(OFFICE), str(OTHER)]
    assert host.connects()[-1].redirected_from == OFFICE
    assert host.closes() == []
    up_at(host, 2)
    assert host.closes() == [1]
    host.hears(IkeSaDown(SaId(1), "closed by us"))
    host.passes(60 * SECOND)
    assert len(host.connects()) == 2, "nothing is missing"


def test_if_the_other_gateway_has_no_room_the_tunnel_stays_where_it_is() -> None:
    host = phone()
    up_at(host, 1)
    host.hears(Redirected(SaId(1), str(OTHER)), after=SECOND)
    host.hears(ConnectFailed(host.connects()[-1].token, "no answer", ()), after=SECOND)
    host.passes(60 * SECOND)
    assert (len(host.connects()), host.closes()) == (2, [])
    # The first one is drained and ends it.
    host.hears(IkeSaDown(SaId(1), "deleted by the peer"))
    host.passes(SECOND)
    assert remotes(host)[-1] == str(OFFICE)


def test_a_gateway_may_be_sent_on_from_while_another_one_is_asked() -> None:
    """It sends us on, and its neighbour does the same."""
    host = phone()
    up_at(host, 1)
    host.hears(Redirected(SaId(1), str(OTHER)), after=SECOND)
    sends_on(host, str(THIRD))
    up_at(host, 2)
    assert remotes(host) == [str(OFFICE), str(OTHER), str(THIRD)]
    assert host.closes() == [1]


def test_who_is_sent_on_where_it_must_not_go_stays() -> None:
    host = phone()
    up_at(host, 1)
    host.hears(Redirected(SaId(1), "198.51.100.99"), after=SECOND)
    assert (len(host.connects()), host.closes()) == (1, [])
    assert "redirect-refused" in host.kinds()


def test_after_a_restart_an_ike_sa_with_the_other_gateway_stays_there() -> None:
    host = Host((FOLLOWS,))
    host.fleet.expect(1)
    host.hears(AddressAdded(WIFI, "wlan0"))
    resumed = up(1, on=path(WIFI, OTHER))
    host.hears(IkeSaResumed(resumed, agreed=True, sure=True, notes=b""))
    host.passes(SECOND)
    session = host.fleet.view(SaId(1))
    assert session is not None
    assert {each.pair.remote for each in session.pairs} == {OTHER}


# --- as a gateway ---


def redirects(host: Host) -> list[int]:
    return [each.sa for each in host.commands if isinstance(each, Redirect)]


def turned_away(host: Host) -> list[TurnAway]:
    return [each for each in host.commands if isinstance(each, TurnAway)]


def test_a_gateway_that_is_drained_asks_its_peers_one_after_the_other_and_turns_strangers_away() -> None:
    host = gateway(clients=2 * SENT_PER_TURN + 1)
    to = (str(OTHER), "gw2.example.net")
    host.hears(OperatorDrain(to))
    assert turned_away(host) == [TurnAway(to, 0)]
    assert len(redirects(host)) == SENT_PER_TURN
    host.passes(SECOND)
    assert sorted(redirects(host)) == list(range(1, 2 * SENT_PER_TURN + 2))
    assert host.fleet.draining == to
    # One that was coming up.
    host.hears(up(1000, connection="road", role=Role.RESPONDER, on=path(remote=ELSEWHERE)))
    assert redirects(host)[-1] == 1000


def test_what_was_configured_holds_again_when_the_drain_is_over() -> None:
    host = gateway(clients=1)
    configured = TurnAway((str(THIRD),), 100)
    host.fleet = Fleet(host.connections, turn_away=configured)
    host.hears(OperatorDrain((str(OTHER),)))
    host.hears(OperatorDrain(()))
    assert turned_away(host) == [TurnAway((str(OTHER),), 0), configured]
    assert host.fleet.draining == ()
    host.passes(SECOND)
    host.hears(up(5, connection="road", role=Role.RESPONDER))
    assert 5 not in redirects(host)


def test_an_operator_sends_one_peer_on() -> None:
    host = gateway(clients=2)
    host.hears(OperatorRedirect(SaId(2), (str(OTHER),)))
    host.hears(OperatorRedirect(SaId(99), (str(OTHER),)))
    assert [each for each in host.commands if isinstance(each, Redirect)] == [Redirect(SaId(2), (str(OTHER),))]
    assert host.fleet.objection_to_redirect(SaId(2)) is None
    assert host.fleet.objection_to_redirect(SaId(99)) is not None
    client = phone()
    up_at(client, 1)
    assert client.fleet.objection_to_redirect(SaId(1)) is not None


def test_a_move_that_an_operator_orders_is_not_confused_with_it() -> None:
    host = phone()
    sends_on(host, str(OTHER))
    up_at(host, 1)
    host.hears(AddressAdded(CELLULAR, "wwan0"))
    host.hears(OperatorMove(SaId(1), CELLULAR, None), after=SECOND)
    assert host.moves()[-1][1].remote == OTHER
