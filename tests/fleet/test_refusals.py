"""A data plane that refuses is told again until it obeys: no tunnel is up and carries nothing."""

from mobike.address import Nanos, SaId
from mobike.dataplane.operations import MoveSa, Park
from mobike.events import IkeSaDown, PlaneRefused, SaMoved, WentAway
from mobike.fleet.refusals import FIRST_INTERVAL, LONGEST_INTERVAL, Refusals
from tests.fleet.host import MS, SECOND, phone
from tests.policy.words import ON_CELLULAR, WIFI

ONE = SaId(1)


def test_a_plane_that_refused_is_told_again_where_the_session_is_until_it_obeys() -> None:
    host = phone()
    host.leaves(WIFI, "wlan0")
    host.hears(host.answer(ONE), PlaneRefused(ONE, "busy"))
    assert host.fleet.poll_deadline() == host.now + FIRST_INTERVAL
    again = host.hears(after=FIRST_INTERVAL)
    (move,) = again.operations
    assert isinstance(move, MoveSa)
    assert move.path.pair == ON_CELLULAR
    host.hears(PlaneRefused(ONE, "still busy"))
    assert not host.hears(after=FIRST_INTERVAL).operations, "ever more rarely"
    again = host.hears(after=FIRST_INTERVAL)
    assert len(again.operations) == 1
    host.hears(SaMoved(ONE, move.path))
    assert not host.hears(after=60 * SECOND).operations


def test_a_plane_that_would_not_park_a_peer_that_is_away_is_told_to_park_it_again() -> None:
    host = phone()
    host.hears(WentAway(ONE, 3600 * SECOND))
    host.hears(PlaneRefused(ONE, "busy"))
    assert list(host.hears(after=FIRST_INTERVAL).operations) == [Park(ONE)]


def test_the_plane_of_an_sa_that_is_gone_is_told_nothing() -> None:
    host = phone()
    host.hears(PlaneRefused(ONE, "busy"))
    host.hears(IkeSaDown(ONE, "closed"), after=10 * MS)
    assert not [each for each in host.hears(after=SECOND).operations if each.sa == ONE]


def test_intervals_double_to_a_limit() -> None:
    refusals, now, waits = Refusals(), Nanos(0), []
    for _ in range(10):
        refusals.refused(ONE, now)
        due = refusals.next_due()
        assert due is not None
        waits.append(due - now)
        now = due
        assert list(refusals.take_due(now)) == [ONE]
    assert waits[:3] == [FIRST_INTERVAL, 2 * FIRST_INTERVAL, 4 * FIRST_INTERVAL] and waits[-1] == LONGEST_INTERVAL
