"""Another configuration while sessions live: who is renewed, who is left alone, and what comes and goes."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from mobike.address import ChildId, SaId
from mobike.commands import Close, Command, Reauth, RekeyChild, TurnAway
from mobike.events import (
    AddressAdded,
    ConnectFailed,
    IkeSaDown,
    OperatorDown,
    OperatorDrain,
    Redirected,
    Role,
    TrafficWaits,
)
from mobike.fleet import Edited, Reconfiguration, Renewal
from mobike.fleet.reconfigure import RENEW_INTERVAL, RENEWED_PER_TURN
from mobike.policy.connection import ConnectionPolicy, Start
from mobike.policy.links import LinkRule
from mobike.policy.redirects import FollowRule
from mobike.selector import Traffic
from tests.fleet.host import GATEWAY, MS, PHONE, SECOND, Host, child_up, gateway, path, phone, up
from tests.policy.words import CELLULAR, OFFICE, OFFICE_B, WIFI

OTHER = ConnectionPolicy("other", initiates=True, remotes=(OFFICE_B,))
AWAY = ip_address("203.0.113.77")


def take(host: Host, news: Reconfiguration) -> list[Command]:
    """What the host orders at once."""
    host.fleet.reconfigure(news)
    assert host.fleet.poll_deadline() is not None, "somebody must ask it for a turn"
    return list(host.hears(after=MS).commands)


def edit(policy: ConnectionPolicy, renewal: Renewal = Renewal.NOTHING, generation: int = 1) -> Reconfiguration:
    return Reconfiguration(changed=(Edited(policy, generation, renewal),))


@pytest.mark.parametrize(
    ("renewal", "wanted"),
    [
        (Renewal.NOTHING, []),
        (Renewal.CHILDREN, [RekeyChild(ChildId(100))]),
        (Renewal.IKE, [Reauth(SaId(1))]),
        (Renewal.CLOSE, [Close(SaId(1), "its connection was changed or removed")]),
    ],
)
def test_a_session_of_ours_is_renewed_as_the_plan_says(renewal: Renewal, wanted: list[Command]) -> None:
    assert take(phone(), edit(replace(PHONE), renewal)) == wanted


def test_who_was_called_can_make_no_other_one_and_ends_it() -> None:
    orders = take(gateway(2), edit(replace(GATEWAY), Renewal.IKE))
    assert orders == [Close(SaId(n), "its connection was changed or removed") for n in (1, 2)]


def test_sessions_of_other_connections_hear_nothing() -> None:
    host = phone()
    added = Reconfiguration(added=(replace(OTHER, start=Start.NONE),))
    removed = Reconfiguration(removed=("other",))
    changed = edit(replace(OTHER, start=Start.NONE), Renewal.CLOSE)
    for news in (added, changed, removed):
        assert take(host, news) == []
    host.passes(5 * SECOND)
    assert host.closes() == []


def test_many_are_renewed_in_turn() -> None:
    host = gateway(3 * RENEWED_PER_TURN)
    orders = take(host, edit(replace(GATEWAY), Renewal.CLOSE))
    assert len(orders) == RENEWED_PER_TURN
    host.passes(RENEW_INTERVAL)
    assert len(host.closes()) == 2 * RENEWED_PER_TURN
    host.passes(SECOND)
    assert len(host.closes()) == 3 * RENEWED_PER_TURN
    assert host.fleet.poll_deadline() is None


def test_one_that_ended_meanwhile_is_not_renewed() -> None:
    host = gateway(RENEWED_PER_TURN + 1)
    take(host, edit(replace(GATEWAY), Renewal.CLOSE))
    host.hears(IkeSaDown(SaId(RENEWED_PER_TURN + 1), "deleted by the peer"))
    host.passes(SECOND)
    assert len(host.closes()) == RENEWED_PER_TURN


def test_two_edits_in_a_row_lead_to_the_greater_renewal() -> None:
    host = gateway(2 * RENEWED_PER_TURN)
    host.fleet.reconfigure(edit(replace(GATEWAY), Renewal.CLOSE, 1))
    host.fleet.reconfigure(edit(replace(GATEWAY), Renewal.CHILDREN, 2))
    host.hears(after=MS)
    host.passes(SECOND)
    assert len(host.closes()) == 2 * RENEWED_PER_TURN


# --- told of late ---


def test_one_that_came_up_under_older_orders_and_is_told_of_late_is_renewed_too() -> None:
    host = gateway(0)
    take(host, edit(replace(GATEWAY), Renewal.CLOSE, 1))
    take(host, edit(replace(GATEWAY), Renewal.NOTHING, 2))
    one = up(1, connection="road", role=Role.RESPONDER, on=path())
    assert Close(SaId(1), "its connection was changed or removed") in host.hears(replace(one, generation=0)).commands
    host.passes(SECOND)
    for n, generation in ((2, 1), (3, 2)):
        host.hears(replace(one, sa=SaId(n), generation=generation))
    host.passes(SECOND)
    assert host.closes() == [SaId(1)], "what came after needs nothing"


def test_one_of_a_connection_that_is_gone_does_not_stay() -> None:
    host = gateway(0)
    take(host, Reconfiguration(removed=("road",)))
    decided = host.hears(up(1, connection="road", role=Role.RESPONDER, on=path()))
    assert [type(each) for each in decided.commands] == [Close]
    assert host.fleet.connections() == ()
    # It may come back, under the same name.
    take(host, Reconfiguration(added=(GATEWAY,)))
    assert host.hears(up(2, connection="road", role=Role.RESPONDER, on=path())).commands == []


# --- connections ---


def test_a_connection_that_comes_is_brought_up() -> None:
    host = phone()
    take(host, Reconfiguration(added=(OTHER,)))
    assert [connect.connection for connect in host.connects()] == ["office", "other"]


def test_a_connection_that_goes_takes_its_sessions_along_and_is_not_tried_again() -> None:
    host = phone()
    assert take(host, Reconfiguration(removed=("office",))) == [Close(SaId(1), "its connection was changed or removed")]
    host.hears(IkeSaDown(SaId(1), "closed by us"))
    host.passes(600 * SECOND)
    assert len(host.connects()) == 1
    assert host.fleet.connections() == ()


def test_an_attempt_of_one_that_is_gone_is_not_repeated() -> None:
    host = Host()
    host.joins(WIFI, "wlan0")
    (connect,) = host.connects()
    take(host, Reconfiguration(removed=("office",)))
    host.hears(ConnectFailed(connect.token, "stopped by us", connect.paths))
    host.passes(600 * SECOND)
    assert len(host.connects()) == 1


def test_one_that_waits_after_it_failed_is_tried_at_once_under_its_new_orders() -> None:
    host = Host()
    host.joins(WIFI, "wlan0")
    for _ in range(6):
        host.hears(ConnectFailed(host.connects()[-1].token, "no answer", ()))
        host.passes(70 * SECOND)
    host.hears(ConnectFailed(host.connects()[-1].token, "no answer", ()))
    tried = len(host.connects())
    take(host, edit(replace(PHONE, remotes=(OFFICE_B,))))
    assert len(host.connects()) == tried + 1
    assert host.connects()[-1].paths[0].remote.ip == OFFICE_B


def test_one_that_the_operator_took_down_stays_down() -> None:
    host = phone()
    host.hears(OperatorDown("office"), IkeSaDown(SaId(1), "closed"))
    take(host, edit(replace(PHONE)))
    host.passes(600 * SECOND)
    assert len(host.connects()) == 1


def test_one_that_is_to_start_by_itself_from_now_on_does() -> None:
    host = Host((replace(PHONE, start=Start.NONE),))
    host.joins(WIFI, "wlan0")
    assert host.connects() == []
    take(host, edit(PHONE))
    assert len(host.connects()) == 1


def test_one_that_is_to_wait_for_traffic_from_now_on_does_once_it_is_down() -> None:
    waits = replace(PHONE, start=Start.TRAFFIC, wakes_on=(Traffic(("0.0.0.0/0",), ("10.1.0.0/16",)),))
    packet = TrafficWaits(WIFI, ip_address("10.1.2.3"))
    host = phone()
    take(host, edit(waits))
    assert host.fleet.is_wanted("office")
    assert not host.fleet.waits_for_traffic("office"), "it is up"
    host.hears(IkeSaDown(SaId(1), "the peer deleted it"), after=600 * SECOND)
    host.passes(600 * SECOND)
    assert host.fleet.waits_for_traffic("office")
    tried = len(host.connects())
    take(host, edit(replace(waits, wakes_on=(Traffic(("0.0.0.0/0",), ("10.2.0.0/16",)),)), generation=2))
    host.hears(packet)
    assert len(host.connects()) == tried, "that packet is not for it any more"
    take(host, edit(waits, generation=3))
    host.hears(packet)
    assert len(host.connects()) == tried + 1


@pytest.mark.parametrize(("start", "tries"), [(Start.AUTO, 1), (Start.NONE, 0)])
def test_one_that_waits_for_traffic_obeys_another_start_at_once(start: Start, tries: int) -> None:
    host = Host((replace(PHONE, start=Start.TRAFFIC, wakes_on=(Traffic(("0.0.0.0/0",), ("10.1.0.0/16",)),)),))
    host.joins(WIFI, "wlan0")
    assert host.connects() == []
    take(host, edit(replace(PHONE, start=start)))
    assert len(host.connects()) == tries
    assert host.fleet.is_wanted("office") is (start is Start.AUTO)
    assert not host.fleet.waits_for_traffic("office")


# --- paths ---


def test_sessions_obey_new_rules_about_links_at_once() -> None:
    host = phone()
    links = (LinkRule("wwan*", rank=1), LinkRule("wlan*", rank=2))
    take(host, edit(replace(PHONE, links=links)))
    host.passes(SECOND)
    assert [pair.local for _, pair in host.moves()] == [CELLULAR]


def test_a_peer_that_is_elsewhere_from_now_on_can_be_reached_there() -> None:
    host = phone()
    take(host, edit(replace(PHONE, remotes=(OFFICE, OFFICE_B))))
    detail = host.fleet.view(SaId(1))
    assert detail is not None
    assert OFFICE_B in {row.pair.remote for row in detail.pairs}


def test_who_was_sent_on_to_another_gateway_stays_there() -> None:
    rule = FollowRule((), {"gw2.example.net": (AWAY,)})
    host = Host((replace(PHONE, redirects=rule),))
    host.joins(WIFI, "wlan0")
    host.hears(up(1, token=host.connects()[0].token), child_up())
    host.hears(Redirected(SaId(1), "gw2.example.net"), after=SECOND)
    host.hears(up(2, token=host.connects()[-1].token, on=path(WIFI, AWAY)), IkeSaDown(SaId(1), "sent on"))
    take(host, edit(replace(PHONE, redirects=rule, reconnect=replace(PHONE.reconnect, max=SECOND))))
    detail = host.fleet.view(SaId(2))
    assert detail is not None
    assert {row.pair.remote for row in detail.pairs} == {AWAY}


def test_public_addresses_are_announced_as_they_are_now() -> None:
    host = gateway(1)
    take(host, replace(edit(replace(GATEWAY)), public=(AWAY,)))
    assert host.lists()[-1][0] == AWAY
    take(host, edit(replace(GATEWAY), generation=2))
    assert AWAY not in host.lists()[-1]


# --- sent on ---


def test_who_is_sent_on_changes_unless_an_operator_drains_the_gateway() -> None:
    host = gateway(0)
    away = TurnAway(("192.0.2.9",), 0)
    assert take(host, replace(Reconfiguration(), turn_away=away)) == [away]
    assert take(host, replace(Reconfiguration(), turn_away=away)) == []
    host.hears(OperatorDrain(("192.0.2.77",)))
    assert take(host, Reconfiguration()) == []
    assert host.hears(OperatorDrain(())).commands == [TurnAway((), 0)]


def test_what_is_known_of_addresses_stays() -> None:
    host = phone()
    take(host, Reconfiguration(removed=("office",), added=(OTHER,)))
    assert {str(row.ip) for row in host.fleet.addresses()} == {str(WIFI), str(CELLULAR)}
    host.hears(AddressAdded(WIFI + 1, "wlan0"))
    assert len(host.fleet.addresses()) == 3
