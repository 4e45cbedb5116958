"""Stories of an end that is away by agreement (docs/extensions/away.md)."""

import pytest

from mobike.address import Generation, Nanos
from mobike.commands import Announce, Away, Move
from mobike.dataplane.operations import Behind, MoveSa, Park
from mobike.events import AwayRefused, Nat, OperatorMove, PeerAway, PeerMoved, Role, WentAway
from mobike.mobility.away import words
from mobike.mobility.causes import ComeBack, GoAway, LookAgain
from mobike.mobility.states import STABLE, Updating, Waiting
from mobike.mobility.states import Away as IsAway
from mobike.mobility.surroundings import Said
from tests.mobility.stage import MS, SA, Stage, answer, path, session, silence
from tests.policy.words import CELLULAR, OFFICE, WIFI, cellular

HOUR = 3600 * 1000 * MS


@pytest.mark.req("D5.4-1")
def test_a_laptop_leaves_loses_every_address_and_comes_back_elsewhere_with_one_update() -> None:
    stage, it = Stage(), session()
    stage.happens(it, GoAway(HOUR))
    assert stage.commands == [Away(SA, HOUR)]
    assert it.state is STABLE, "it is there until the peer has answered"
    stage.happens(it, WentAway(SA, HOUR // 2), after_ms=10)
    assert isinstance(it.state, IsAway)
    assert it.state.until == Nanos(10 * MS + HOUR // 2)
    assert stage.operations == [Park(SA)]
    # Nothing is sought and nothing is sent, whatever becomes of the addresses.
    stage.lose(it, WIFI)
    stage.lose(it, CELLULAR)
    stage.happens(it, silence(it))
    stage.candidates, stage.addresses = (cellular(),), (CELLULAR,)
    stage.happens(it, LookAgain())
    assert stage.commands == [Away(SA, HOUR)]
    assert stage.operations == [Park(SA)]
    stage.happens(it, ComeBack())
    assert stage.commands[1:] == [Move(SA, path(CELLULAR), Generation(1), (CELLULAR,))]
    stage.happens(it, answer(it))
    assert it.state is STABLE
    assert it.path == path(CELLULAR)
    assert MoveSa(SA, path(CELLULAR), encap=False) in stage.operations
    assert [said for said, _ in stage.said] == [Said.AWAY, Said.MOVING, Said.MOVED]
    assert stage.said[0][1] == "Away for at most 30 min; coming back takes one exchange"


@pytest.mark.req("D5.4-1")
def test_who_comes_back_with_no_address_waits_for_one() -> None:
    stage, it = Stage(), session(state=IsAway(Nanos(0), Nanos(HOUR)))
    stage.lose(it, WIFI)
    stage.lose(it, CELLULAR)
    stage.happens(it, ComeBack())
    assert isinstance(it.state, Waiting)
    stage.candidates, stage.addresses = (cellular(),), (CELLULAR,)
    stage.happens(it, LookAgain())
    assert isinstance(it.state, Updating)


@pytest.mark.req("D5.4-1")
def test_a_move_overtakes_leave_that_was_granted_meanwhile() -> None:
    stage, it = Stage(), session()
    stage.happens(it, GoAway(HOUR))
    stage.lose(it, WIFI)
    stage.happens(it, WentAway(SA, HOUR))
    assert isinstance(it.state, Updating)
    assert Park(SA) not in stage.operations


@pytest.mark.req("D5.4-1")
@pytest.mark.parametrize(
    ("it", "why"),
    [
        (session(Role.RESPONDER), "Cannot be away: only the initiator of an IKE SA can"),
        (session(mobike=False), "Cannot be away: the peer does not speak MOBIKE, and would take us for dead"),
        (session(state=IsAway(Nanos(0), Nanos(HOUR))), "Cannot be away: it is away already"),
        (session(state=Waiting(Nanos(0), "a test")), "Cannot be away: it is waiting, and must be established first"),
    ],
)
def test_who_cannot_leave_hears_why(it: object, why: str) -> None:
    stage = Stage()
    stage.happens(it, GoAway(HOUR))  # type: ignore[arg-type]
    assert stage.said == [(Said.AWAY_REFUSED, why)]
    assert stage.commands == []


@pytest.mark.req("D5.4-1")
def test_a_refusal_of_the_peer_is_told_and_changes_nothing() -> None:
    stage, it = Stage(), session()
    stage.happens(it, AwayRefused(SA, "the peer's policy allows no absence"))
    assert stage.said == [(Said.AWAY_REFUSED, "Cannot be away: the peer's policy allows no absence")]
    assert it.state is STABLE


def test_one_that_is_away_is_not_moved_and_one_that_is_here_does_not_come_back() -> None:
    stage, gone, here = Stage(), session(state=IsAway(Nanos(0), Nanos(HOUR))), session()
    stage.happens(gone, OperatorMove(SA, CELLULAR, None))
    stage.happens(here, ComeBack())
    assert [text for _, text in stage.said] == [
        "Cannot move: it is away; come back first",
        "Cannot come back: it is not away",
    ]
    assert stage.commands == []


@pytest.mark.req("D5.4-1")
def test_a_gateway_parks_a_peer_that_is_away_and_tells_it_what_changed_when_it_is_back() -> None:
    stage, it = Stage(), session(Role.RESPONDER)
    stage.happens(it, PeerAway(SA, HOUR), after_ms=1000)
    assert stage.operations == [Park(SA)]
    stage.lose(it, CELLULAR)
    stage.happens(it, LookAgain())
    assert stage.commands == [], "nobody is there to be told"
    there = path(remote=OFFICE)
    stage.happens(it, PeerMoved(SA, there, Nat.PEER_IS_BEHIND, verified=True), after_ms=90_000)
    assert it.state is STABLE
    assert stage.operations[1:] == [MoveSa(SA, there, encap=True, behind=Behind.LATE)]
    assert stage.commands == [Announce(SA, (WIFI,), None, Generation(1))]
    assert [said for said, _ in stage.said] == [Said.PEER_AWAY, Said.PEER_MOVED, Said.PEER_BACK, Said.ANNOUNCED]
    assert stage.said[2][1] == "The peer is back after 1 min 30 s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (3600, "1 h"), (5400, "1 h 30 min"), (90_061, "1 d 1 h"), (86_460, "1 d")],
)
def test_spans_are_told_by_their_two_greatest_units(seconds: int, text: str) -> None:
    assert words(seconds * 1000 * MS) == text
