"""Addresses come and go, and many sessions follow in the same turn."""

import pytest

from mobike.address import Generation, Nanos, Pair, SaId
from mobike.commands import Announce, Move, SetLocalAddresses
from mobike.events import (
    AddressAdded,
    AddressRemoved,
    IkeSaDown,
    Moved,
    Nat,
    OperatorMove,
    PathSilent,
    PeerAddresses,
    PeerMoved,
    Role,
    RouteAnswer,
    RoutesChanged,
)
from mobike.fleet import Fleet
from mobike.fleet import links as links_module
from mobike.fleet.fleet import LOOK_INTERVAL, LOOKS_PER_TURN
from mobike.fleet.turn import NOTES_OF_A_KIND
from mobike.mobility.machine import can_step_together
from mobike.policy.choose import Decision, OrderedPolicy, RankedPair, Situation
from mobike.policy.connection import ConnectionPolicy
from tests.fleet.host import GATEWAY, MS, PHONE, SECOND, Host, gateway, path, phone, up
from tests.policy.words import CELLULAR, OFFICE, OFFICE_B, ON_CELLULAR, ON_WIFI, WIFI

ONE = SaId(1)


@pytest.mark.req("D5.1-1", "M3.5-3")
def test_the_update_leaves_in_the_turn_in_which_the_address_died() -> None:
    host = phone()
    decided = host.leaves(WIFI, "wlan0")
    assert isinstance(decided.commands[0], SetLocalAddresses)
    assert decided.commands[0].addresses == (CELLULAR,)
    assert isinstance(decided.commands[1], Move)
    assert decided.commands[1].path.pair == ON_CELLULAR
    assert decided.commands[1].addresses == (CELLULAR,)
    assert host.plane() == {ONE: ON_CELLULAR}
    host.hears(host.answer(ONE), after=20 * MS)
    detail = host.fleet.view(ONE)
    assert detail is not None
    assert detail.row.path == path(CELLULAR)
    assert detail.row.moves == 1
    assert detail.last_move is not None
    assert detail.last_move.duration == 20 * MS
    moved = [note for note in host.notes if note.kind == "moved"]
    assert moved[0].data["duration_ms"] == 20.0
    assert moved[0].text.startswith("Moved in 20.0 ms: 192.0.2.7 (wlan0) is gone; 198.51.100.2 (wwan0) is the only")


@pytest.mark.req("D3-1", "D3-3")
def test_the_better_link_is_taken_back_when_it_has_been_there_for_a_while_and_only_then() -> None:
    host = phone()
    host.leaves(WIFI, "wlan0")
    host.hears(host.answer(ONE))
    host.joins(WIFI, "wlan0")
    assert len(host.moves()) == 1, "it has only just come"
    host.passes(400 * MS)
    host.leaves(WIFI, "wlan0")
    host.passes(400 * MS)
    host.joins(WIFI, "wlan0")
    host.passes(400 * MS)
    assert len(host.moves()) == 1, "a flapping link causes no flapping"
    host.passes(200 * MS)
    assert host.moves()[-1] == (ONE, ON_WIFI)
    assert host.plane()[ONE] == ON_CELLULAR, "the old pair carries traffic until the new one has answered"
    host.hears(host.answer(ONE))
    assert host.plane()[ONE] == ON_WIFI


@pytest.mark.req("D3-1")
def test_without_any_address_the_sa_waits_and_moves_in_the_turn_in_which_one_comes() -> None:
    host = phone(links=False)
    host.leaves(WIFI, "wlan0")
    assert host.moves() == []
    assert host.closes() == []
    detail = host.fleet.view(ONE)
    assert detail is not None
    assert detail.row.state == "waiting"
    host.joins(CELLULAR, "wwan0")
    assert host.moves() == [(ONE, ON_CELLULAR)]


@pytest.mark.req("M3.5-4")
def test_an_address_that_dies_in_the_turn_of_the_answer_makes_that_answer_old() -> None:
    host = phone()
    host.leaves(WIFI, "wlan0")
    answer = host.answer(ONE)
    host.hears(answer, AddressRemoved(CELLULAR, "wwan0"), AddressAdded(WIFI, "wlan0"))
    assert host.moves()[-1] == (ONE, ON_WIFI)
    detail = host.fleet.view(ONE)
    assert detail is not None
    assert detail.row.state == "updating"
    assert detail.row.moves == 0


def test_an_sa_that_came_up_on_an_address_that_is_gone_already_moves_at_once() -> None:
    host = Host()
    host.hears(AddressAdded(WIFI, "wlan0"), AddressAdded(CELLULAR, "wwan0"))
    token = host.connects()[0].token
    host.hears(AddressRemoved(WIFI, "wlan0"), up(token=token))
    assert host.moves() == [(ONE, ON_CELLULAR)]


@pytest.mark.req("M3.5-4")
def test_the_address_the_sa_is_moving_to_dies_and_it_turns_back_with_a_newer_generation() -> None:
    host = phone()
    host.hears(OperatorMove(ONE, CELLULAR, None))
    first = host.answer(ONE)
    host.leaves(CELLULAR, "wwan0")
    assert host.moves() == [(ONE, ON_CELLULAR), (ONE, ON_WIFI)]
    host.hears(first)
    detail = host.fleet.view(ONE)
    assert detail is not None
    assert detail.row.state == "updating"
    host.hears(host.answer(ONE))
    assert host.fleet.view(ONE).row.path == path(WIFI)  # type: ignore[union-attr]


@pytest.mark.req("D2-2")
def test_routes_are_asked_per_pair_and_a_missing_one_moves_the_sa_at_once() -> None:
    host = phone()
    asked = {question.pair for question in host.questions}
    assert asked == {ON_WIFI, ON_CELLULAR}
    host.hears(RouteAnswer(ON_WIFI, reachable=True), RouteAnswer(ON_CELLULAR, reachable=True))
    assert host.moves() == []
    host.questions.clear()
    host.hears(RoutesChanged())
    assert {question.pair for question in host.questions} == {ON_WIFI, ON_CELLULAR}
    host.hears(RouteAnswer(ON_WIFI, reachable=False))
    assert host.moves() == [(ONE, ON_CELLULAR)]
    assert host.plane() == {ONE: ON_CELLULAR}, "the old pair is known to be dead"


@pytest.mark.req("M3.5-2", "D3-2")
def test_addresses_that_the_peer_lists_are_pairs_and_their_routes_are_asked() -> None:
    host = phone()
    host.questions.clear()
    host.hears(PeerAddresses(ONE, (OFFICE_B,), OFFICE))
    assert Pair(WIFI, OFFICE_B) in {question.pair for question in host.questions}
    detail = host.fleet.view(ONE)
    assert detail is not None
    assert detail.peer_addresses == (OFFICE, OFFICE_B)
    assert Pair(CELLULAR, OFFICE_B) in {row.pair for row in detail.pairs}


@pytest.mark.req("D5.1-1")
def test_what_one_session_learned_of_a_pair_serves_the_others() -> None:
    host = phone()
    host.hears(up(2))
    host.hears(PathSilent(ONE, path(), host_generation(0), 2, Nanos(SECOND)))
    assert host.moves() == [(ONE, ON_CELLULAR)]
    host.hears(host.answer(ONE))
    # The second one's own requests fall silent later; it finds the pair that the first one has proven.
    host.hears(PathSilent(SaId(2), path(), host_generation(0), 2, Nanos(SECOND)))
    assert host.moves()[-1] == (SaId(2), ON_CELLULAR)
    moving = [note for note in host.notes if note.kind == "moving"]
    assert "verified" in moving[-1].text


@pytest.mark.req("M3.5-10")
def test_a_gateway_that_loses_an_address_announces_and_moves_all_clients_in_one_turn() -> None:
    host = gateway(clients=40)
    decided = host.leaves(WIFI, "eth0")
    announces = [each for each in decided.commands if isinstance(each, Announce)]
    assert len(announces) == 40
    assert {each.path.remote.ip for each in announces if each.path} == {OFFICE + n for n in range(40)}
    assert {pair.local for pair in host.plane().values()} == {CELLULAR}
    assert len(host.plane()) == 40
    moved = [note for note in decided.notes if note.kind == "moved"]
    assert len(moved) == NOTES_OF_A_KIND + 1, "a person wants a few sentences, and a number"
    assert moved[-1].text == "The same (moved) for 24 more SAs of connection road"


@pytest.mark.req("M3.5-7")
def test_a_client_that_moves_is_followed_and_found_again_under_its_new_local_address() -> None:
    host = gateway(clients=1)
    host.hears(PeerMoved(ONE, path(CELLULAR, OFFICE_B), Nat.NONE, verified=True))
    assert host.plane() == {ONE: Pair(CELLULAR, OFFICE_B)}
    host.leaves(WIFI, "eth0")
    assert len(host.announces()) == 1, "only the new list: the address it lost is not in use"
    assert host.announces()[0].path is None
    host.leaves(CELLULAR, "eth1")
    detail = host.fleet.view(ONE)
    assert detail is not None
    assert detail.row.state == "waiting"


@pytest.mark.req("A5.1-1", "D5.1-2")
def test_a_new_address_is_announced_to_each_peer_once_and_not_to_all_in_one_burst() -> None:
    clients = LOOKS_PER_TURN + 10
    host = gateway(clients)
    first = host.joins(OFFICE + 77_000, "eth2")
    assert len([each for each in first.commands if isinstance(each, Announce)]) == LOOKS_PER_TURN
    assert host.fleet.deadline() == (host.now + LOOK_INTERVAL, "sessions look at what has changed")
    host.hears()
    assert len(host.announces()) == LOOKS_PER_TURN, "not before its time"
    host.passes(SECOND)
    assert len(host.announces()) == clients
    assert {each.sa for each in host.announces()} == {SaId(n + 1) for n in range(clients)}


def test_sessions_in_the_same_situation_share_one_answer_of_policy() -> None:
    class Counting(OrderedPolicy):
        asked = 0

        def choose(self, situation: Situation) -> Decision:
            Counting.asked += 1
            return super().choose(situation)

    host = Host((ConnectionPolicy("office", initiates=True, remotes=(OFFICE,), policy=Counting()),))
    host.hears(AddressAdded(WIFI, "wlan0"), AddressAdded(CELLULAR, "wwan0"))
    host.hears(*[up(n + 1) for n in range(200)])
    host.passes(SECOND)
    Counting.asked = 0
    host.leaves(WIFI, "wlan0")
    assert len(host.moves()) == 200
    assert Counting.asked == 1


def test_an_operators_own_policy_is_a_plug() -> None:
    class Newest(OrderedPolicy):
        def rank(self, situation: Situation) -> tuple[RankedPair, ...]:
            return tuple(reversed(super().rank(situation)))

    host = Host((ConnectionPolicy("office", initiates=True, remotes=(OFFICE,), policy=Newest()),))
    host.hears(AddressAdded(CELLULAR, "wwan0"), AddressAdded(WIFI, "wlan0"))
    usual = Host((ConnectionPolicy("office", initiates=True, remotes=(OFFICE,)),))
    usual.hears(AddressAdded(CELLULAR, "wwan0"), AddressAdded(WIFI, "wlan0"))
    assert host.connects()[0].paths == tuple(reversed(usual.connects()[0].paths))


@pytest.mark.req("M3.4-1")
def test_public_addresses_are_announced_first_though_no_link_has_them() -> None:
    public = OFFICE + 2_000
    fleet = Fleet((PHONE,), public=(public,))
    assert fleet.handle((), Nanos(0)).commands == [SetLocalAddresses((public,))]
    (told, *_) = fleet.handle((AddressAdded(WIFI, "wlan0"),), Nanos(1)).commands
    assert told == SetLocalAddresses((public, WIFI))


@pytest.mark.req("D2-1")
def test_an_address_leased_to_us_is_never_a_path_nor_announced() -> None:
    host = phone()
    inner = OFFICE + 1_000
    host.hears(up(2, virtual_ips=(inner,)))
    host.joins(inner, "tun0")
    assert inner not in host.lists()[-1]
    detail = host.fleet.view(ONE)
    assert detail is not None
    row = next(row for row in detail.pairs if row.pair.local == inner)
    assert not row.usable
    assert "inside one of our own tunnels" in row.why
    # The SA goes, the lease with it.
    host.hears(IkeSaDown(SaId(2), "deleted by the peer"))
    detail = host.fleet.view(ONE)
    assert detail is not None
    assert next(row for row in detail.pairs if row.pair.local == inner).usable


def test_events_of_an_sa_that_is_gone_have_no_say() -> None:
    host = phone()
    host.hears(IkeSaDown(ONE, "deleted by the peer"))
    host.commands.clear()
    before = len(host.notes)
    host.hears(
        Moved(ONE, path(CELLULAR), host_generation(1), Nat.NONE, Nanos(MS)),
        PeerMoved(ONE, path(CELLULAR), Nat.NONE, verified=True),
        OperatorMove(ONE, CELLULAR, None),
        IkeSaDown(ONE, "again"),
    )
    assert host.operations == []
    assert host.moves() == []
    assert len(host.notes) == before


def test_a_cause_that_no_table_knows_is_told_and_harms_nobody_else() -> None:
    host = gateway(clients=2)
    bug = Moved(ONE, path(), host_generation(0), Nat.NONE, Nanos(MS))
    decided = host.fleet.handle([bug, PeerMoved(SaId(2), path(remote=OFFICE_B), Nat.NONE, verified=True)], host.now)
    assert [note.kind for note in decided.notes] == ["internal-error", "peer-moved"]
    assert "no line of its table says what Moved does there" in decided.notes[0].text


def test_one_that_does_not_speak_mobike_is_closed_and_made_again() -> None:
    host = Host()
    host.hears(AddressAdded(WIFI, "wlan0"), AddressAdded(CELLULAR, "wwan0"))
    host.hears(up(token=host.connects()[0].token, mobike=False))
    host.passes(10 * SECOND)
    host.leaves(WIFI, "wlan0")
    assert host.closes() == [ONE]
    host.hears(IkeSaDown(ONE, "closed by us"))
    assert host.connects()[-1].paths == (path(CELLULAR, port=500),)


def test_the_same_events_lead_to_the_same_decisions_to_the_last_byte() -> None:
    def run() -> list[str]:
        host = gateway(clients=300)
        host.leaves(WIFI, "eth0")
        host.joins(WIFI, "eth0")
        host.passes(SECOND)
        return [repr(each) for each in (*host.commands, *host.operations, *host.notes)]

    assert run() == run()


def test_an_sa_of_a_connection_that_nobody_configured_is_still_looked_after() -> None:
    host = Host((GATEWAY,))
    host.hears(AddressAdded(WIFI, "eth0"), AddressAdded(CELLULAR, "eth1"))
    host.hears(up(connection="removed meanwhile", role=Role.RESPONDER))
    host.leaves(WIFI, "eth0")
    assert host.plane() == {ONE: ON_CELLULAR}


def host_generation(n: int) -> Generation:
    return Generation(n)


@pytest.mark.req("D5.1-1", "D5.3-1")
@pytest.mark.parametrize("role", Role)
def test_many_that_step_together_do_what_each_would_do_alone(role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    """Different connections, pins, lists, NATs, states and families, all on the address that dies."""

    def run(*, together: bool) -> tuple[list[str], list[str], list[str]]:
        monkeypatch.setattr(links_module, "can_step_together", can_step_together if together else lambda _: False)
        initiates = role is Role.INITIATOR
        names = ("one", "two")
        host = Host(tuple(ConnectionPolicy(name, initiates, (OFFICE, OFFICE_B) if initiates else ()) for name in names))
        host.hears(AddressAdded(WIFI, "eth0"), AddressAdded(CELLULAR, "eth1"))
        for n in range(80):
            listed = (OFFICE_B,) if n % 5 == 0 else ()
            remote = OFFICE if initiates else OFFICE + n
            host.hears(
                up(
                    n + 1,
                    connection=names[n % 2],
                    role=role,
                    on=path(remote=remote),
                    mobike=n % 7 != 0,
                    peer_addresses=listed,
                )
            )
            if n % 11 == 0:
                host.hears(OperatorMove(SaId(n + 1), WIFI, None))
        host.passes(SECOND)
        host.leaves(WIFI, "eth0")
        in_use = [repr(host.fleet.row(SaId(n + 1))) for n in range(80)]
        host.leaves(CELLULAR, "eth1")
        host.joins(WIFI, "eth0")
        host.passes(SECOND)
        return sorted(map(repr, host.commands)), sorted(map(repr, host.operations)), in_use

    assert run(together=True) == run(together=False)


@pytest.mark.req("A5.1-1", "D2-2")
def test_an_address_without_any_route_to_the_peers_is_taken_from_the_list_and_put_back_when_there_is_one() -> None:
    host = Host((ConnectionPolicy("office", initiates=True, remotes=(OFFICE, OFFICE_B), links=PHONE.links),))
    host.hears(AddressAdded(WIFI, "wlan0"), AddressAdded(CELLULAR, "wwan0"))
    host.hears(up(token=host.connects()[0].token))
    host.passes(SECOND)
    host.hears(RouteAnswer(Pair(CELLULAR, OFFICE), reachable=False))
    assert host.lists()[-1] == (WIFI, CELLULAR), "the other address of the peer may still be reached from it"
    host.hears(RouteAnswer(Pair(CELLULAR, OFFICE_B), reachable=False))
    assert host.lists()[-1] == (WIFI,)
    assert [each.addresses for each in host.announces()] == [(WIFI,)]
    host.hears(RouteAnswer(Pair(CELLULAR, OFFICE_B), reachable=False))
    assert len(host.announces()) == 1, "told once"
    host.hears(RouteAnswer(Pair(CELLULAR, OFFICE), reachable=True))
    host.passes(SECOND)
    assert host.lists()[-1] == (WIFI, CELLULAR)
    assert host.announces()[-1].addresses == (WIFI, CELLULAR)


@pytest.mark.req("A5.1-1", "D2-2")
def test_where_peers_come_to_us_a_missing_route_to_one_says_nothing_of_the_others() -> None:
    host = Host((GATEWAY, PHONE))
    host.hears(AddressAdded(WIFI, "wlan0"), AddressAdded(CELLULAR, "wwan0"))
    host.hears(RouteAnswer(ON_CELLULAR, reachable=False))
    assert host.lists()[-1] == (WIFI, CELLULAR)


def test_a_list_that_leaves_out_the_address_it_came_from_does_not_end_a_move_to_there() -> None:
    host = phone()
    host.hears(PeerAddresses(ONE, (OFFICE_B,), OFFICE))
    host.leaves(WIFI, "wlan0")
    host.hears(OperatorMove(ONE, None, OFFICE_B))
    asked = host.moves()[-1]
    assert asked == (ONE, Pair(CELLULAR, OFFICE_B))
    # It answers from OFFICE_B, and a list never repeats the address it is sent from (RFC 4555 section 3.4).
    host.hears(PeerAddresses(ONE, (), OFFICE_B))
    assert host.moves()[-1] == asked
    host.hears(host.answer(ONE))
    assert host.plane()[ONE] == Pair(CELLULAR, OFFICE_B)
