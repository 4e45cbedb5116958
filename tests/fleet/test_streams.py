"""`transport = "auto"`: UDP where it passes, TCP where it does not, and home again (RFC 9329 section 5.1)."""

from collections import Counter
from dataclasses import replace

import pytest

from mobike.address import Endpoint, Nanos, Pair, Path, SaId, Transport
from mobike.commands import Move, Probe, Watch
from mobike.dataplane.operations import MoveSa
from mobike.events import (
    AddressAdded,
    AddressRemoved,
    IkeSaResumed,
    Moved,
    MoveRefused,
    Nat,
    PairSeen,
    PathChecked,
    PathSilent,
    PeerMoved,
    Role,
    RouteAnswer,
)
from mobike.fleet.fleet import LOOKS_PER_TURN
from mobike.fleet.paths import MOVES_PER_TURN
from mobike.fleet.upkeep import MOST_PATHS, MOST_STREAMS
from mobike.policy.connection import ConnectionPolicy, Ports, Switch
from mobike.policy.schedule import RetestRule
from tests.fleet.host import GATEWAY, MS, SECOND, Host, child_up, path, up
from tests.policy.words import CELLULAR, OFFICE, ON_WIFI, WIFI

EITHER = (Transport.UDP, Transport.TCP)
AUTO = ConnectionPolicy("office", initiates=True, remotes=(OFFICE,), transports=EITHER)
WIFI_TCP = replace(ON_WIFI, transport=Transport.TCP)
ONE = SaId(1)
MANY = 10_000


def in_tcp(on: Path) -> Path:
    return replace(on, transport=Transport.TCP)


def host_on(on: Path, policy: ConnectionPolicy = AUTO, *, extensions: tuple[str, ...] = ()) -> Host:
    """A host with one link, whose connection came up on this path."""
    host = Host((policy,))
    host.joins(WIFI, "wlan0")
    (connect,) = host.connects()
    host.hears(replace(up(token=connect.token, on=on), extensions=extensions), child_up())
    host.passes(SECOND)
    return host


def many_on(on: Path, policy: ConnectionPolicy = AUTO) -> Host:
    host = Host((policy,))
    host.joins(WIFI, "eth0")
    host.hears(*[up(n + 1, on=on) for n in range(MANY)])
    host.passes(SECOND)
    return host


def silent(host: Host, on: Path, sa: int = 1) -> PathSilent:
    return PathSilent(SaId(sa), on, host.answer_generation(SaId(sa)), 3, Nanos(900 * MS))


def probes(host: Host) -> list[Pair]:
    return [each.path.pair for each in host.commands if isinstance(each, Probe) and each.path is not None]


def probe_answers(host: Host) -> None:
    probe = [each for each in host.commands if isinstance(each, Probe)][-1]
    assert probe.path is not None
    host.hears(PathChecked(probe.sa, probe.path, probe.generation, Nanos(MS)))


def planes(host: Host) -> list[Path]:
    return [each.path for each in host.operations if isinstance(each, MoveSa)]


# --- set-up --------------------------------------------------------------------------------------------------------


def test_streams_begin_on_the_port_of_nat_traversal_and_datagrams_on_that_of_ike() -> None:
    ports = Ports(local_natt=4501, remote_natt=4502)
    host = Host((replace(AUTO, ports=ports),))
    host.joins(WIFI, "wlan0")
    (connect,) = host.connects()
    assert [str(each) for each in connect.paths] == [
        "192.0.2.7:500 -> 203.0.113.1:500",
        "192.0.2.7:4501 -> 203.0.113.1:4502 (TCP)",
    ]


def test_where_there_are_many_pairs_some_of_one_attempt_are_streams() -> None:
    many = replace(AUTO, remotes=tuple(OFFICE + n for n in range(10)))
    for transports, streams in ((EITHER, MOST_STREAMS), ((Transport.TCP,), MOST_PATHS), ((Transport.UDP,), 0)):
        host = Host((replace(many, transports=transports),))
        host.hears(*[AddressAdded(WIFI + n, "wlan0") for n in range(10)])
        (connect,) = host.connects()
        assert len(connect.paths) == MOST_PATHS
        assert sum(each.transport is Transport.TCP for each in connect.paths) == streams
    few = Host((replace(AUTO, remotes=tuple(OFFICE + n for n in range(8))),))
    few.joins(WIFI, "wlan0")
    assert len(few.connects()[0].paths) == MOST_PATHS


def test_what_came_up_in_a_stream_because_udp_was_silent_stays_there_for_now() -> None:
    host = host_on(in_tcp(path()))
    host.passes(20 * SECOND)
    assert host.moves() == []
    assert probes(host) == []


def test_what_came_up_in_a_stream_at_once_moves_to_udp_when_it_may() -> None:
    # It was resumed, or the operator's plug put streams first: nobody has asked in UDP.
    host = Host((AUTO,))
    host.joins(WIFI, "wlan0")
    host.hears(up(on=in_tcp(path())), child_up())
    host.leaves(CELLULAR, "wwan0")
    host.joins(CELLULAR, "wwan0")
    host.passes(2 * SECOND)
    assert {pair.transport for _, pair in host.moves()} == {Transport.UDP}


# --- away from UDP -------------------------------------------------------------------------------------------------


def test_an_sa_whose_udp_falls_silent_goes_into_a_stream_and_traffic_follows_the_answer() -> None:
    host = host_on(path())
    host.hears(silent(host, path()))
    (move,) = [each for each in host.commands if isinstance(each, Move)]
    assert move.path == in_tcp(path())
    assert planes(host) == []
    host.hears(host.answer(ONE))
    assert planes(host) == [in_tcp(path())]
    assert host.fleet.view(ONE) is not None
    assert host.moves() == [(ONE, WIFI_TCP)]


def test_a_gateway_that_takes_no_streams_costs_a_refusal_and_no_more() -> None:
    host = host_on(path())
    host.hears(silent(host, path()))
    move = [each for each in host.commands if isinstance(each, Move)][-1]
    host.hears(MoveRefused(ONE, move.path, move.generation))
    host.passes(30 * SECOND)
    assert [pair for _, pair in host.moves()].count(WIFI_TCP) == 1
    assert planes(host) == []


def test_a_silence_of_both_is_searched_in_turn_and_ends_with_the_budget() -> None:
    host = host_on(path())
    host.hears(silent(host, path()))
    host.passes(200 * SECOND)
    turns = Counter(pair for _, pair in host.moves())
    assert set(turns) == {ON_WIFI, WIFI_TCP}
    assert abs(turns[ON_WIFI] - turns[WIFI_TCP]) <= 1
    assert sum(turns.values()) < 60
    assert host.closes() == [ONE]


def test_a_host_without_mobike_goes_nowhere() -> None:
    host = Host((AUTO,))
    host.joins(WIFI, "wlan0")
    host.hears(up(mobike=False), child_up())
    host.hears(silent(host, path()))
    host.passes(60 * SECOND)
    assert host.moves() == []
    assert probes(host) == []


def test_ten_thousand_sas_on_a_network_that_turned_hostile_follow_one_into_streams() -> None:
    host = many_on(path())
    for first in range(0, MANY, 1_000):
        host.hears(*[silent(host, path(), n + 1) for n in range(first, first + 1_000)], after=5 * MS)
    assert host.moves() == [(ONE, WIFI_TCP)], "one looks for all"
    host.hears(host.answer(ONE), after=30 * MS)
    most = max(_moves_by_turn(host, 2 * SECOND).values())
    assert most <= MOVES_PER_TURN
    assert Counter(host.moves()) == {(SaId(n + 1), WIFI_TCP): 1 for n in range(MANY)}


def _moves_by_turn(host: Host, until: int) -> Counter[Nanos]:
    by_turn: Counter[Nanos] = Counter()
    end = host.now + until
    while (deadline := host.fleet.poll_deadline()) is not None and deadline <= end:
        host.now = Nanos(max(deadline, host.now))
        by_turn[host.now] += sum(isinstance(each, Move) for each in host.hears().commands)
    return by_turn


# --- home ----------------------------------------------------------------------------------------------------------


def test_udp_is_tested_twice_a_minute_and_an_answer_brings_the_sa_home() -> None:
    host = host_on(in_tcp(path()))
    host.passes(600 * SECOND)
    assert 15 <= len(probes(host)) <= 21
    assert set(probes(host)) == {ON_WIFI}, "a stream is not opened for a test"
    assert host.moves() == []
    probe_answers(host)
    host.passes(SECOND)
    assert host.moves() == [(ONE, ON_WIFI)]
    assert planes(host) == [], "prove, then switch: the stream carries until the peer has answered in UDP"
    host.hears(host.answer(ONE))
    assert planes(host) == [path()]
    host.passes(600 * SECOND)
    assert host.moves() == [(ONE, ON_WIFI)]
    assert "needs no TCP" in [note.text for note in host.notes if note.kind == "moved"][-1]


def test_the_operator_says_how_often_udp_is_tested_and_may_say_never() -> None:
    for wanted, least, most in ((5 * SECOND, 30, 40), (0, 0, 0)):
        host = host_on(in_tcp(path()), replace(AUTO, retest=RetestRule(wanted=wanted)))
        host.passes(200 * SECOND)
        assert least <= len(probes(host)) <= most


def test_a_move_home_that_fails_goes_back_to_the_stream_that_carried_all_the_while() -> None:
    host = host_on(in_tcp(path()))
    host.passes(40 * SECOND)
    probe_answers(host)
    host.passes(SECOND)
    assert host.moves()[-1] == (ONE, ON_WIFI)
    host.hears(silent(host, path()))
    host.passes(SECOND)
    assert host.moves()[-1] == (ONE, WIFI_TCP)
    host.hears(host.answer(ONE))
    assert {each.transport for each in planes(host)} <= {Transport.TCP}
    moves = len(host.moves())
    host.passes(20 * SECOND)
    assert len(host.moves()) == moves


def test_where_path_probes_see_udp_work_the_sa_comes_home_without_a_test() -> None:
    host = host_on(in_tcp(path()), extensions=("path-probes",))
    watch = [each for each in host.commands if isinstance(each, Watch)][-1]
    assert [each.pair for each in watch.paths] == [ON_WIFI], "a poll in a stream tells how TCP does"
    host.passes(60 * SECOND)
    assert probes(host) == []
    assert host.moves() == []
    host.hears(PairSeen(ONE, path(), forward=True, backward=True, rtt=Nanos(20 * MS), loss_permille=0))
    host.passes(SECOND)
    assert host.moves() == [(ONE, ON_WIFI)]


def test_one_way_is_not_home() -> None:
    host = host_on(in_tcp(path()), extensions=("path-probes",))
    for forward in (True, False):
        host.hears(PairSeen(ONE, path(), forward=forward, backward=not forward, rtt=None, loss_permille=0))
        host.passes(10 * SECOND)
    assert host.moves() == []


def test_ten_thousand_sas_come_home_by_one_test_in_paced_portions() -> None:
    host = many_on(path())
    host.hears(*[silent(host, path(), n + 1) for n in range(MANY)])
    host.hears(host.answer(ONE), after=30 * MS)
    host.passes(3 * SECOND)
    host.hears(*_answers(host))
    before = len(host.moves())
    assert before == MANY
    host.passes(100 * SECOND)
    assert 2 <= len(probes(host)) <= 4, "one SA asks for all"
    probe_answers(host)
    by_turn = _moves_by_turn(host, 5 * SECOND)
    assert Counter(host.moves()[before:]) == {(SaId(n + 1), ON_WIFI): 1 for n in range(MANY)}
    assert max(by_turn.values()) <= LOOKS_PER_TURN


def _answers(host: Host) -> list[Moved]:
    newest = {each.sa: each for each in host.commands if isinstance(each, Move)}
    return [Moved(each.sa, each.path, each.generation, Nat.NONE, Nanos(MS)) for each in newest.values()]


def test_after_a_restart_an_sa_stays_in_its_stream_while_udp_is_silent() -> None:
    before = host_on(in_tcp(path()))
    ((_, notes),) = before.fleet.remember([ONE], before.now)
    host = Host((AUTO,))
    host.fleet.expect(1)
    host.hears(AddressAdded(WIFI, "wlan0"))
    host.hears(IkeSaResumed(up(on=in_tcp(path())), True, True, notes))
    host.passes(SECOND)
    assert host.moves() == [(ONE, WIFI_TCP)], "one update, which opens a stream"
    host.hears(host.answer(ONE))
    host.passes(40 * SECOND)
    assert probes(host)[0] == ON_WIFI
    probe_answers(host)
    host.passes(SECOND)
    assert host.moves()[-1] == (ONE, ON_WIFI)


# --- what else there is --------------------------------------------------------------------------------------------


def test_another_link_is_left_to_in_udp_first() -> None:
    host = host_on(in_tcp(path()))
    host.joins(CELLULAR, "wwan0")
    host.passes(2 * SECOND)
    host.leaves(WIFI, "wlan0")
    last = host.moves()[-1][1]
    assert last == Pair(CELLULAR, OFFICE)


def test_without_a_route_there_is_no_stream_either() -> None:
    host = host_on(path())
    host.hears(RouteAnswer(ON_WIFI, reachable=False))
    host.passes(SECOND)
    assert host.moves() == []


def test_traffic_may_go_ahead_into_a_stream_where_policy_says_at_once() -> None:
    at_once = replace(AUTO, moves=replace(AUTO.moves, switch=Switch.AT_ONCE))
    host = host_on(path(), at_once)
    host.hears(silent(host, path()))
    assert planes(host) == [in_tcp(path())]


def test_a_gateway_follows_a_peer_into_a_stream_and_out_of_it_and_opens_none_itself() -> None:
    host = Host((replace(GATEWAY, transports=EITHER),))
    host.hears(AddressAdded(WIFI, "eth0"), AddressAdded(CELLULAR, "eth1"))
    here = path(remote=OFFICE)
    host.hears(up(1, connection="road", role=Role.RESPONDER, on=here), child_up())
    stream = Path(here.local, Endpoint(OFFICE, 40_123), Transport.TCP)
    host.hears(PeerMoved(ONE, stream, Nat.NONE, verified=True))
    assert planes(host)[-1] == stream
    detail = host.fleet.view(ONE)
    assert detail is not None
    assert {each.pair.transport for each in detail.pairs} == {Transport.TCP}
    host.hears(PeerMoved(ONE, here, Nat.NONE, verified=True))
    assert planes(host)[-1] == here
    assert host.moves() == []


@pytest.mark.parametrize("on", [path(), in_tcp(path())], ids=["UDP", "TCP"])
def test_an_address_that_goes_and_comes_is_tried_in_udp_again(on: Path) -> None:
    host = host_on(on)
    host.hears(AddressRemoved(WIFI, "wlan0"))
    host.passes(SECOND)
    host.joins(WIFI, "wlan0")
    host.passes(SECOND)
    assert host.moves()[-1] == (ONE, ON_WIFI)
