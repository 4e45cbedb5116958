"""Stories of a responder: a gateway with two addresses, and a client that moves."""

import pytest

from mobike.address import Generation
from mobike.commands import Announce
from mobike.dataplane.operations import Behind, MoveSa
from mobike.events import Nat, OperatorMove, PeerAddresses, PeerMoved, Role
from mobike.mobility.causes import LookAgain
from mobike.mobility.common import MOST_PEER_ADDRESSES
from mobike.mobility.states import STABLE, Waiting
from mobike.mobility.surroundings import Said
from tests.mobility.stage import SA, Stage, path, session, silence
from tests.policy.words import CELLULAR, OFFICE, OFFICE6, OFFICE_B, WIFI, WIFI6, candidate, cellular, wifi


@pytest.mark.req("M3.5-7", "M3.5-9")
def test_traffic_follows_the_client_to_where_its_update_came_from() -> None:
    stage, it = Stage(), session(Role.RESPONDER)
    there = path(remote=OFFICE_B)
    stage.happens(it, PeerMoved(SA, there, Nat.PEER_IS_BEHIND, verified=True))
    assert stage.operations == [MoveSa(SA, there, encap=True, behind=Behind.LATE)]
    assert stage.commands == []
    assert it.path == there
    assert it.nat is Nat.PEER_IS_BEHIND
    assert it.last_move is not None
    assert it.last_move.why == "the peer moved to 203.0.113.2:4500, it proved that it receives there"


@pytest.mark.req("M3.5-10")
def test_a_gateway_that_loses_its_address_sends_from_the_other_and_announces_it_from_there() -> None:
    stage, it = Stage(), session(Role.RESPONDER)
    stage.lose(it, WIFI)
    assert stage.commands == [Announce(SA, (CELLULAR,), path(CELLULAR), Generation(1))]
    assert stage.operations == [MoveSa(SA, path(CELLULAR), encap=False)]
    assert it.path == path(CELLULAR)
    assert it.state is STABLE


@pytest.mark.req("M3.5-10")
def test_a_gateway_returns_to_an_address_that_comes_back_if_the_client_never_left_it() -> None:
    """The client's NAT may have let in nothing from the other address, not even the list."""
    stage, it = Stage(), session(Role.RESPONDER)
    stage.lose(it, WIFI)
    stage.candidates, stage.addresses = (wifi(), cellular()), (WIFI, CELLULAR)
    stage.happens(it, LookAgain())
    assert stage.commands[-1] == Announce(SA, (WIFI, CELLULAR), path(WIFI), Generation(2))
    assert stage.plane_path() == path(WIFI).pair
    assert it.state is STABLE


@pytest.mark.req("M3.5-10")
def test_it_stays_where_the_client_followed_it() -> None:
    stage, it = Stage(), session(Role.RESPONDER)
    stage.lose(it, WIFI)
    stage.happens(it, PeerMoved(SA, path(CELLULAR), Nat.NONE, verified=True))
    stage.candidates, stage.addresses = (wifi(), cellular()), (WIFI, CELLULAR)
    stage.happens(it, LookAgain())
    assert stage.commands[-1] == Announce(SA, (WIFI, CELLULAR), None, Generation(2))
    assert stage.plane_path() == path(CELLULAR).pair


@pytest.mark.req("M3.5-10")
def test_a_gateway_without_any_address_waits_and_speaks_up_when_it_has_one() -> None:
    stage, it = Stage(candidates=(wifi(),), addresses=(WIFI,)), session(Role.RESPONDER)
    stage.lose(it, WIFI)
    assert isinstance(it.state, Waiting)
    stage.candidates, stage.addresses = (cellular(),), (CELLULAR,)
    stage.happens(it, LookAgain())
    assert stage.announced() == [(CELLULAR,)]
    assert stage.plane_path() == path(CELLULAR).pair
    assert it.state is STABLE


@pytest.mark.req("M3.5-10", "D3-2", "M3.6-4")
def test_a_client_that_listed_another_family_is_asked_there_to_move_and_gets_no_traffic_before() -> None:
    stage, it = Stage(), session(Role.RESPONDER)
    stage.happens(it, PeerAddresses(SA, (OFFICE6,), OFFICE))
    stage.candidates = (wifi(), candidate(WIFI6, "eth0", 1))
    stage.lose(it, WIFI)
    # It only lists that address: nobody has seen it answer from there (RFC 4555 section 3.7).
    assert [each.path for each in stage.commands if isinstance(each, Announce)] == [path(WIFI6, OFFICE6)]
    assert stage.plane_path() is None
    assert isinstance(it.state, Waiting)
    stage.happens(it, PeerMoved(SA, path(WIFI6, OFFICE6), Nat.NONE, verified=True))
    assert stage.plane_path() == path(WIFI6, OFFICE6).pair and it.state is STABLE


@pytest.mark.req("A5.1-1")
def test_a_changed_list_is_announced_once_and_moves_nothing() -> None:
    stage, it = Stage(), session(Role.RESPONDER)
    stage.addresses = (WIFI,)
    stage.happens(it, LookAgain())
    stage.happens(it, LookAgain())
    assert stage.announced() == [(WIFI,)]
    assert stage.operations == []


@pytest.mark.req("M3.6-1")
def test_the_peers_list_replaces_the_old_one_and_is_cut_where_it_grows_too_long() -> None:
    stage, it = Stage(), session(Role.RESPONDER)
    stage.happens(it, PeerAddresses(SA, (OFFICE + 2, OFFICE_B), OFFICE))
    stage.happens(it, PeerAddresses(SA, (), OFFICE))
    assert it.peer_addresses == ()
    stage.happens(it, PeerAddresses(SA, (), OFFICE_B))
    assert it.peer_addresses == (OFFICE_B,), "where a list comes from is an address of the peer, though never in it"
    stage.happens(it, PeerAddresses(SA, tuple(OFFICE + n for n in range(200)), OFFICE))
    assert len(it.peer_addresses) == MOST_PEER_ADDRESSES
    assert stage.commands == []


@pytest.mark.req("M3.11-1")
def test_a_responder_is_patient_with_a_silent_client() -> None:
    stage, it = Stage(), session(Role.RESPONDER)
    stage.happens(it, silence(it))
    assert stage.commands == []
    assert stage.operations == []
    assert stage.said[-1][0] is Said.SILENT


def test_an_operator_cannot_move_what_only_the_initiator_moves() -> None:
    stage, it = Stage(), session(Role.RESPONDER)
    stage.happens(it, OperatorMove(SA, CELLULAR, None))
    assert stage.commands == []
    assert stage.said[-1][0] is Said.ORDER_REFUSED


def test_without_mobike_an_initiator_gives_the_sa_up_and_a_responder_waits_for_its_peer() -> None:
    stage, ours = Stage(), session(Role.INITIATOR, mobike=False)
    stage.lose(ours, WIFI)
    assert stage.closed() == [SA]
    stage, theirs = Stage(), session(Role.RESPONDER, mobike=False)
    stage.lose(theirs, WIFI)
    assert stage.commands == []
    assert stage.said[-1][0] is Said.MOVE_FAILED
