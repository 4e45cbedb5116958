"""Every kind of move of a tunnel that the kernel carries, under a thousand datagrams a second each way.

After each, both kernels hold exactly what they should, and what was lost lies in one row of numbers: once the first
datagram came by the new way, none is lost any more. How many that are is for `benches.moves`, on a quiet machine.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.interop.rig import Charon, Mobike, requires_rig, requires_strongswan
from tests.lab.esp_capture import captured, never_went_back, sequences
from tests.lab.journeys import FAMILIES, NAT, PLAIN, TO_AND_FRO, Kind, Leg, Route, journey

pytestmark = [
    pytest.mark.interop,
    pytest.mark.kernel_ipsec,
    pytest.mark.timeout(600),
    requires_rig,
    requires_strongswan,
]

MOST_TRIES = 4
"""Moves that lose nothing, of which one must: where others compute, too, the kernel in user mode stands still now and
then."""

ROWS_OF_THEIRS = 2
"""A strongSwan client removes and adds its SAs, and only then hears whether there is a NAT: either may cost a row."""

AHEAD = 256
"""What is sent while an SA is read, removed and added: its numbers go on behind that."""

SHORT = (
    pytest.param(PLAIN, Mobike, Mobike, id="plain, both ours"),
    pytest.param(NAT, Charon, Mobike, id="NAT, our gateway"),
)
LONG = (
    pytest.param(NAT, Mobike, Mobike, id="NAT, both ours"),
    pytest.param(FAMILIES, Mobike, Mobike, id="families, both ours"),
    pytest.param(PLAIN, Mobike, Charon, id="plain, our client"),
    pytest.param(NAT, Mobike, Charon, id="NAT, our client"),
    pytest.param(FAMILIES, Mobike, Charon, id="families, our client"),
    pytest.param(PLAIN, Charon, Mobike, id="plain, our gateway"),
)


def test_a_tunnel_moves_away_and_back(tmp_path: Path) -> None:
    """The short form, for any machine."""
    with journey(tmp_path, TO_AND_FRO, Mobike, Mobike) as trip:
        with captured(trip.rig, tmp_path / "esp.pcap") as pcap:
            for _ in range(MOST_TRIES):
                _, back = (_tell(trip.make(move)) for move in TO_AND_FRO.moves)
                if not back.out.lost and not back.back.lost:
                    break
            else:
                pytest.fail("what was made before anything broke lost something each time")
        assert never_went_back(pcap)
        trip.end()


@pytest.mark.thorough
def test_where_sas_are_to_be_removed_and_added_a_move_is_no_worse(tmp_path: Path) -> None:
    """`moves = "restore"`, for kernels whose own way is not to be trusted: the same SAs, their numbers ahead."""
    with journey(tmp_path, TO_AND_FRO, Mobike, Mobike, "restore") as trip:
        with captured(trip.rig, tmp_path / "esp.pcap") as pcap:
            for move in TO_AND_FRO.moves * 2:
                # Each end removes and adds, at a time of its own.
                _judge(trip.make(move), ours=False, rows=2)
        for end in (trip.client, trip.gateway):
            assert 'a move is removing and adding: moves = \\"restore\\"' in end.log()
        assert never_went_back(pcap)
        numbers = sequences(pcap).values()
        assert len(numbers) == 2, "no Child SA was replaced"
        assert all(max(two - one for one, two in pairwise(each)) > AHEAD for each in numbers)
        trip.end()


@pytest.mark.thorough
@pytest.mark.parametrize(("route", "client", "gateway"), SHORT)
def test_a_tunnel_moves_and_loses_only_what_it_must(tmp_path: Path, route: Route, client: Kind, gateway: Kind) -> None:
    _travel(tmp_path, route, client, gateway)


@pytest.mark.thorough
@pytest.mark.parametrize(("route", "client", "gateway"), LONG)
def test_more_tunnels_move_and_lose_only_what_they_must(
    tmp_path: Path, route: Route, client: Kind, gateway: Kind
) -> None:
    _travel(tmp_path, route, client, gateway)


def _travel(folder: Path, route: Route, client: Kind, gateway: Kind) -> None:
    with journey(folder, route, client, gateway) as trip:
        with captured(trip.rig, folder / "esp.pcap") as pcap:
            for move in route.moves:
                if trip.seeks_the_best or not move.silent:
                    _judge(
                        trip.make(move),
                        ours=client is gateway is Mobike,
                        rows=1 if client is Mobike else ROWS_OF_THEIRS,
                    )
        assert never_went_back(pcap)
        trip.end()


def _tell(leg: Leg) -> Leg:
    for way, each in (("from", leg.out), ("to", leg.back)):
        print(f"{leg.move.name}: {len(each.lost)} of {each.sent} lost {way} the client, silence {each.silence:.3f} s")
    return leg


def _judge(leg: Leg, *, ours: bool, rows: int = 1) -> None:
    _tell(leg)
    for way, each, broken in (("from", leg.out, leg.broken[0]), ("to", leg.back, leg.broken[1])):
        told = f"{leg.move.name}, {way} the client: {each.lost}"
        assert each.gaps <= rows, told
        if leg.move.breaks_first:
            assert not each.lost or each.lost[0] >= broken, f"{told}: before the way that was used went"
        if ours and leg.move.made_first:
            assert not each.lost, told
