"""Connections that traffic brings up: they wait, come, go, and wait again."""

from ipaddress import ip_address

from mobike.address import SaId
from mobike.events import (
    AddressAdded,
    ConnectFailed,
    Event,
    IkeSaDown,
    OperatorClose,
    OperatorDown,
    OperatorUp,
    TrafficWaits,
)
from mobike.policy.connection import ConnectionPolicy, Reconnect, Start
from mobike.selector import Traffic
from tests.fleet.host import SECOND, Host, path, up
from tests.policy.words import OFFICE, WIFI

ANY = ("0.0.0.0/0",)
RULE = Reconnect(initial=2 * SECOND, max=8 * SECOND)


def waiting(name: str = "office", *remote: str) -> ConnectionPolicy:
    wakes_on = (Traffic(ANY, remote or ("10.1.0.0/16",)),)
    return ConnectionPolicy(
        name, initiates=True, remotes=(OFFICE,), start=Start.TRAFFIC, wakes_on=wakes_on, reconnect=RULE
    )


def packet(to: str = "10.1.2.3") -> TrafficWaits:
    return TrafficWaits(WIFI, ip_address(to), 17, 40_000, 53)


def host(*connections: ConnectionPolicy) -> Host:
    made = Host(connections or (waiting(),))
    made.joins(WIFI, "wlan0")
    made.passes(60 * SECOND)
    assert made.connects() == []
    return made


def state(host: Host) -> str:
    return host.fleet.connections()[0].state


def test_it_waits_and_says_so_until_the_first_packet_for_it() -> None:
    ours = host()
    assert state(ours) == "waiting-for-traffic"
    assert ours.fleet.is_wanted("office"), "what it is for is held back meanwhile"
    assert ours.fleet.waits_for_traffic("office")
    ours.hears(packet("10.2.0.1"))
    assert ours.connects() == [], "that one is for somebody else"
    ours.hears(packet())
    assert len(ours.connects()) == 1
    assert state(ours) == "connecting"
    assert any(note.kind == "traffic" and "10.1.2.3" in note.text for note in ours.notes)


def test_there_is_one_attempt_however_many_packets_come() -> None:
    ours = host()
    ours.hears(*[packet() for _ in range(20)])
    for _ in range(20):
        ours.hears(packet(), after=SECOND // 10)
    assert len(ours.connects()) == 1
    ours.hears(up(connection="office", token=ours.connects()[0].token))
    ours.hears(packet(), packet())
    assert len(ours.connects()) == 1, "nor is there one while it is up"


def test_a_failure_makes_it_rest_before_it_waits_again_longer_each_time() -> None:
    ours = host()
    for rest in (2, 4, 8, 8):
        ours.hears(packet())
        before = len(ours.connects())
        ours.hears(ConnectFailed(ours.connects()[-1].token, "no answer", (path(port=500),)))
        ours.passes(rest * SECOND - 1)
        ours.hears(packet())
        assert len(ours.connects()) == before
        assert not ours.fleet.waits_for_traffic("office")
        ours.passes(1)
        assert ours.fleet.waits_for_traffic("office")
        ours.passes(100 * SECOND)
        assert len(ours.connects()) == before, "without another packet nothing is tried"


def test_what_went_down_waits_whoever_ended_it() -> None:
    for number, end in enumerate[Event](
        [IkeSaDown(SaId(1), "the peer deleted it"), IkeSaDown(SaId(1), "no answer for 165 s")]
    ):
        ours = host()
        ours.hears(packet())
        ours.hears(up(connection="office", token=ours.connects()[0].token))
        ours.hears(end, after=(10 + number) * SECOND)
        ours.passes(100 * SECOND)
        assert state(ours) == "waiting-for-traffic"
        assert len(ours.connects()) == 1
        ours.hears(packet())
        assert len(ours.connects()) == 2


def test_one_that_dies_at_once_does_not_make_us_come_again_with_each_packet() -> None:
    ours = host()
    ours.hears(packet())
    ours.hears(up(connection="office", token=ours.connects()[0].token))
    ours.hears(IkeSaDown(SaId(1), "the peer deleted it"), after=SECOND)
    ours.hears(packet(), after=SECOND)
    assert len(ours.connects()) == 1
    ours.passes(2 * SECOND)
    ours.hears(packet())
    assert len(ours.connects()) == 2


def test_without_a_way_out_it_rests_as_after_any_failure() -> None:
    ours = Host((waiting(),))
    ours.hears(packet())
    assert (ours.connects(), state(ours)) == ([], "connecting")
    ours.hears(AddressAdded(WIFI, "wlan0"))
    assert ours.connects() == [], "who sent may have given up"
    ours.passes(2 * SECOND)
    assert state(ours) == "waiting-for-traffic"
    ours.hears(packet())
    assert len(ours.connects()) == 1


def test_orders_go_before_traffic() -> None:
    ours = host()
    ours.hears(OperatorDown("office"))
    ours.hears(packet())
    assert (ours.connects(), state(ours)) == ([], "down")
    assert not ours.fleet.is_wanted("office")
    ours.hears(OperatorUp("office"))
    assert len(ours.connects()) == 1, "by order it comes at once"
    ours.hears(up(connection="office", token=ours.connects()[0].token))
    ours.hears(OperatorClose(SaId(1)), after=10 * SECOND)
    ours.hears(IkeSaDown(SaId(1), "the operator closed it"))
    assert state(ours) == "waiting-for-traffic", "and then it waits as ever"


def test_of_two_that_wait_the_narrower_takes_the_packet() -> None:
    ours = host(waiting("wide", "0.0.0.0/0"), waiting("voice", "10.1.9.0/24"), waiting("office"))
    ours.hears(packet("10.1.9.4"), packet("10.1.8.4"), packet("192.0.2.99"))
    assert [each.connection for each in ours.connects()] == ["voice", "office", "wide"]
