"""Addresses that only the peer's list names: an update may go there unproven, traffic not (RFC 4555 section 3.7)."""

from ipaddress import IPv4Address

import pytest

from mobike.address import Generation, Pair
from mobike.events import PeerAddresses
from mobike.mobility.states import Updating
from mobike.policy.connection import ConnectionPolicy, MovePolicy, Switch
from mobike.policy.knowledge import PairFact, Reach
from tests.mobility.stage import SA, Stage, answer, session
from tests.policy.words import CELLULAR, OFFICE, WIFI

LISTED = IPv4Address("198.18.66.6")


def around_a_listed_address(switch: Switch) -> tuple[Stage, Pair]:
    """The wifi dies, and from the cellular address only the one that the peer lists can be reached."""
    stage = Stage()
    it = session(connection=ConnectionPolicy("office", True, (OFFICE,), moves=MovePolicy(switch)))
    stage.happens(it, PeerAddresses(SA, (LISTED,), OFFICE))
    stage.knowledge[Pair(CELLULAR, OFFICE)] = PairFact(Reach.UNREACHABLE)
    stage.lose(it, WIFI)
    assert isinstance(it.state, Updating) and it.state.path.pair == Pair(CELLULAR, LISTED)
    assert it.generation == Generation(1) and stage.moves() == [Pair(CELLULAR, LISTED)]
    before = stage.operations.copy()
    stage.happens(it, answer(it))
    assert before == []
    return stage, it.pair


@pytest.mark.req("M3.7-1")
@pytest.mark.parametrize("switch", list(Switch))
def test_traffic_goes_to_an_address_that_the_peer_lists_only_once_it_has_answered(switch: Switch) -> None:
    stage, pair = around_a_listed_address(switch)
    assert stage.plane_path() == pair == Pair(CELLULAR, LISTED)
