"""Every state with every cause: what is written down happens, and what is not written down is a loud error."""

from collections.abc import Callable
from typing import Final

import pytest

from mobike.address import Generation, Nanos
from mobike.events import (
    AwayRefused,
    Moved,
    MoveRefused,
    Nat,
    NatChanged,
    OperatorMove,
    PathChecked,
    PathHeard,
    PathSilent,
    PeerAddresses,
    PeerAway,
    PeerMoved,
    PlaneRefused,
    Role,
    SaMoved,
    WentAway,
)
from mobike.mobility.causes import CAUSES, Cause, ComeBack, GoAway, LocalLost, LookAgain, TimeUp, Woken
from mobike.mobility.machine import NoSuchTransition, table_of
from mobike.mobility.states import STABLE, Away, Stable, State, Updating, Waiting
from tests.mobility.stage import MS, SA, Stage, path, session
from tests.policy.words import CELLULAR, OFFICE, OFFICE_B, WIFI

NOW: Final = Generation(0)
CAUSE: Final[dict[type[Cause], Cause]] = {
    LocalLost: LocalLost(WIFI),
    LookAgain: LookAgain(),
    TimeUp: TimeUp(),
    GoAway: GoAway(3600 * 1000 * MS),
    ComeBack: ComeBack(),
    Woken: Woken(),
    OperatorMove: OperatorMove(SA, CELLULAR, None),
    Moved: Moved(SA, path(CELLULAR), NOW, Nat.NONE, Nanos(MS)),
    MoveRefused: MoveRefused(SA, path(CELLULAR), NOW),
    PathSilent: PathSilent(SA, path(), NOW, 2, Nanos(MS)),
    PathChecked: PathChecked(SA, path(), NOW, Nanos(MS)),
    PathHeard: PathHeard(SA, path()),
    PeerMoved: PeerMoved(SA, path(remote=OFFICE_B), Nat.NONE, verified=True),
    PeerAddresses: PeerAddresses(SA, (OFFICE_B,), OFFICE),
    NatChanged: NatChanged(SA, path(), Nat.WE_ARE_BEHIND),
    WentAway: WentAway(SA, 3600 * 1000 * MS),
    AwayRefused: AwayRefused(SA, "the peer's policy"),
    PeerAway: PeerAway(SA, 3600 * 1000 * MS),
    SaMoved: SaMoved(SA, path()),
    PlaneRefused: PlaneRefused(SA, "no memory"),
}
STATE: Final[dict[type[State], Callable[[], State]]] = {
    Stable: lambda: STABLE,
    Updating: lambda: Updating(path(CELLULAR), Nanos(0), "a test", None, frozenset()),
    Waiting: lambda: Waiting(Nanos(0), "a test"),
    Away: lambda: Away(Nanos(0), Nanos(3600 * 1000 * MS)),
}
NEVER: Final = None
"""This cause cannot meet this state: it would be a bug, and must be told as one."""

# On a stage where WIFI is gone for LocalLost, and both links are well for all else.
INITIATOR: Final[dict[type[Cause], tuple[type[State] | None, ...]]] = {
    #               Stable    Updating  Waiting   Away
    LocalLost:     (Updating, Updating, Waiting,  Away),
    LookAgain:     (Stable,   Updating, Updating, Away),
    TimeUp:        (Stable,   Updating, Updating, Away),
    Woken:         (Updating, Updating, Waiting,  Away),
    GoAway:        (Stable,   Updating, Waiting,  Away),
    ComeBack:      (Stable,   Updating, Waiting,  Updating),
    OperatorMove:  (Updating, Updating, Updating, Away),
    Moved:         (Stable,   Stable,   Waiting,  Away),
    MoveRefused:   (Stable,   Updating, Waiting,  Away),
    PathSilent:    (Updating, Updating, Waiting,  Away),
    PathChecked:   (Stable,   Updating, Waiting,  Away),
    PathHeard:     (Stable,   Updating, Waiting,  Away),
    PeerMoved:     (NEVER,    NEVER,    NEVER,    NEVER),
    PeerAddresses: (Stable,   Updating, Updating, Away),
    NatChanged:    (Updating, Updating, Waiting,  Away),
    WentAway:      (Away,     Updating, Away,     Away),
    AwayRefused:   (Stable,   Updating, Waiting,  Away),
    PeerAway:      (NEVER,    NEVER,    NEVER,    NEVER),
    SaMoved:       (Stable,   Updating, Waiting,  Away),
    PlaneRefused:  (Stable,   Updating, Waiting,  Away),
}  # fmt: skip
RESPONDER: Final[dict[type[Cause], tuple[type[State] | None, ...]]] = {
    #               Stable    Updating  Waiting   Away
    LocalLost:     (Stable,   NEVER,    Waiting,  Away),
    LookAgain:     (Stable,   NEVER,    Stable,   Away),
    TimeUp:        (Stable,   NEVER,    Waiting,  Away),
    Woken:         (Stable,   NEVER,    Waiting,  Away),
    GoAway:        (Stable,   NEVER,    Waiting,  Away),
    ComeBack:      (Stable,   NEVER,    Waiting,  Away),
    OperatorMove:  (Stable,   NEVER,    Waiting,  Away),
    Moved:         (NEVER,    NEVER,    NEVER,    NEVER),
    MoveRefused:   (NEVER,    NEVER,    NEVER,    NEVER),
    PathSilent:    (Stable,   NEVER,    Waiting,  Away),
    PathChecked:   (Stable,   NEVER,    Waiting,  Away),
    PathHeard:     (Stable,   NEVER,    Waiting,  Away),
    PeerMoved:     (Stable,   NEVER,    Stable,   Stable),
    PeerAddresses: (Stable,   NEVER,    Waiting,  Away),
    NatChanged:    (Stable,   NEVER,    Waiting,  Away),
    WentAway:      (NEVER,    NEVER,    NEVER,    NEVER),
    AwayRefused:   (NEVER,    NEVER,    NEVER,    NEVER),
    PeerAway:      (Away,     NEVER,    Away,     Away),
    SaMoved:       (Stable,   NEVER,    Waiting,  Away),
    PlaneRefused:  (Stable,   NEVER,    Waiting,  Away),
}  # fmt: skip
WITHOUT_MOBIKE: Final[dict[type[Cause], tuple[type[State] | None, ...]]] = {
    #               Stable    Updating  Waiting   Away
    LocalLost:     (Stable,   NEVER,    NEVER,    NEVER),
    LookAgain:     (Stable,   NEVER,    NEVER,    NEVER),
    TimeUp:        (Stable,   NEVER,    NEVER,    NEVER),
    Woken:         (Stable,   NEVER,    NEVER,    NEVER),
    GoAway:        (Stable,   NEVER,    NEVER,    NEVER),
    ComeBack:      (Stable,   NEVER,    NEVER,    NEVER),
    OperatorMove:  (Stable,   NEVER,    NEVER,    NEVER),
    Moved:         (NEVER,    NEVER,    NEVER,    NEVER),
    MoveRefused:   (NEVER,    NEVER,    NEVER,    NEVER),
    PathSilent:    (Stable,   NEVER,    NEVER,    NEVER),
    PathChecked:   (Stable,   NEVER,    NEVER,    NEVER),
    PathHeard:     (Stable,   NEVER,    NEVER,    NEVER),
    PeerMoved:     (NEVER,    NEVER,    NEVER,    NEVER),
    PeerAddresses: (NEVER,    NEVER,    NEVER,    NEVER),
    NatChanged:    (Stable,   NEVER,    NEVER,    NEVER),
    WentAway:      (NEVER,    NEVER,    NEVER,    NEVER),
    AwayRefused:   (NEVER,    NEVER,    NEVER,    NEVER),
    PeerAway:      (NEVER,    NEVER,    NEVER,    NEVER),
    SaMoved:       (Stable,   NEVER,    NEVER,    NEVER),
    PlaneRefused:  (Stable,   NEVER,    NEVER,    NEVER),
}  # fmt: skip
TABLES: Final = {
    "initiator": (Role.INITIATOR, True, INITIATOR),
    "responder": (Role.RESPONDER, True, RESPONDER),
    "fixed initiator": (Role.INITIATOR, False, WITHOUT_MOBIKE),
    "fixed responder": (Role.RESPONDER, False, WITHOUT_MOBIKE),
}
PRODUCT: Final = [
    pytest.param(who, cause, start, id=f"{who}-{start.__name__}-{cause.__name__}")
    for who in TABLES
    for cause in CAUSES
    for start in STATE
]


@pytest.mark.parametrize(("who", "cause", "start"), PRODUCT)
def test_each_state_answers_each_cause_as_written_here(who: str, cause: type[Cause], start: type[State]) -> None:
    role, mobike, expected = TABLES[who]
    after = expected[cause][list(STATE).index(start)]
    stage = Stage()
    tried = session(role, mobike=mobike, state=STATE[start]())
    if cause is LocalLost:
        stage.candidates = tuple(each for each in stage.candidates if each.ip != WIFI)
    if after is NEVER:
        with pytest.raises(NoSuchTransition, match=cause.__name__):
            stage.happens(tried, CAUSE[cause])
        assert stage.commands == []
        assert stage.operations == []
        assert type(tried.state) is start
        return
    stage.happens(tried, CAUSE[cause])
    assert type(tried.state) is after


def test_the_tables_name_nothing_that_this_test_does_not() -> None:
    for role, mobike, expected in TABLES.values():
        table = table_of(session(role, mobike=mobike))
        written = {
            (state, cause)
            for cause, row in expected.items()
            for state, after in zip(STATE, row, strict=True)
            if after is not NEVER
        }
        assert set(table) == written
        assert set(expected) == set(CAUSES)
