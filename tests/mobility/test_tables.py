"""Every state with every cause: what is written down happens, and what is not written down is a loud error."""

from collections.abc import Callable
from typing import Final

import pytest

from mobike.address import Generation, Nanos
from mobike.events import (
    Moved,
    MoveRefused,
    Nat,
    NatChanged,
    OperatorMove,
    PathChecked,
    PathSilent,
    PeerAddresses,
    PeerMoved,
    PlaneRefused,
    Role,
    SaMoved,
)
from mobike.mobility.causes import CAUSES, Cause, LocalLost, LookAgain, TimeUp
from mobike.mobility.machine import NoSuchTransition, table_of
from mobike.mobility.states import STABLE, Stable, State, Updating, Waiting
from tests.mobility.stage import MS, SA, Stage, path, session
from tests.policy.words import CELLULAR, OFFICE, OFFICE_B, WIFI

NOW: Final = Generation(0)
CAUSE: Final[dict[type[Cause], Cause]] = {
    LocalLost: LocalLost(WIFI),
    LookAgain: LookAgain(),
    TimeUp: TimeUp(),
    OperatorMove: OperatorMove(SA, CELLULAR, None),
    Moved: Moved(SA, path(CELLULAR), NOW, Nat.NONE, Nanos(MS)),
    MoveRefused: MoveRefused(SA, path(CELLULAR), NOW),
    PathSilent: PathSilent(SA, path(), NOW, 2, Nanos(MS)),
    PathChecked: PathChecked(SA, path(), NOW, Nanos(MS)),
    PeerMoved: PeerMoved(SA, path(remote=OFFICE_B), Nat.NONE, verified=True),
    PeerAddresses: PeerAddresses(SA, (OFFICE_B,), OFFICE),
    NatChanged: NatChanged(SA, path(), Nat.WE_ARE_BEHIND),
    SaMoved: SaMoved(SA, path()),
    PlaneRefused: PlaneRefused(SA, "no memory"),
}
STATE: Final[dict[type[State], Callable[[], State]]] = {
    Stable: lambda: STABLE,
    Updating: lambda: Updating(path(CELLULAR), Nanos(0), "a test", None, frozenset()),
    Waiting: lambda: Waiting(Nanos(0), "a test"),
}
NEVER: Final = None
"""This cause cannot meet this state: it would be a bug, and must be told as one."""

# On a stage where WIFI is gone for LocalLost, and both links are well for all else.
INITIATOR: Final[dict[type[Cause], tuple[type[State] | None, ...]]] = {
    #               Stable    Updating  Waiting
    LocalLost:     (Updating, Updating, Waiting),
    LookAgain:     (Stable,   Updating, Updating),
    TimeUp:        (Stable,   Updating, Updating),
    OperatorMove:  (Updating, Updating, Updating),
    Moved:         (Stable,   Stable,   Waiting),
    MoveRefused:   (Stable,   Updating, Waiting),
    PathSilent:    (Updating, Updating, Waiting),
    PathChecked:   (Stable,   Updating, Waiting),
    PeerMoved:     (NEVER,    NEVER,    NEVER),
    PeerAddresses: (Stable,   Updating, Updating),
    NatChanged:    (Updating, Updating, Waiting),
    SaMoved:       (Stable,   Updating, Waiting),
    PlaneRefused:  (Stable,   Updating, Waiting),
}  # fmt: skip
RESPONDER: Final[dict[type[Cause], tuple[type[State] | None, ...]]] = {
    #               Stable    Updating  Waiting
    LocalLost:     (Stable,   NEVER,    Waiting),
    LookAgain:     (Stable,   NEVER,    Stable),
    TimeUp:        (Stable,   NEVER,    Waiting),
    OperatorMove:  (Stable,   NEVER,    Waiting),
    Moved:         (NEVER,    NEVER,    NEVER),
    MoveRefused:   (NEVER,    NEVER,    NEVER),
    PathSilent:    (Stable,   NEVER,    Waiting),
    PathChecked:   (Stable,   NEVER,    Waiting),
    PeerMoved:     (Stable,   NEVER,    Stable),
    PeerAddresses: (Stable,   NEVER,    Waiting),
    NatChanged:    (Stable,   NEVER,    Waiting),
    SaMoved:       (Stable,   NEVER,    Waiting),
    PlaneRefused:  (Stable,   NEVER,    Waiting),
}  # fmt: skip
WITHOUT_MOBIKE: Final[dict[type[Cause], tuple[type[State] | None, ...]]] = {
    #               Stable    Updating  Waiting
    LocalLost:     (Stable,   NEVER,    NEVER),
    LookAgain:     (Stable,   NEVER,    NEVER),
    TimeUp:        (Stable,   NEVER,    NEVER),
    OperatorMove:  (Stable,   NEVER,    NEVER),
    Moved:         (NEVER,    NEVER,    NEVER),
    MoveRefused:   (NEVER,    NEVER,    NEVER),
    PathSilent:    (Stable,   NEVER,    NEVER),
    PathChecked:   (Stable,   NEVER,    NEVER),
    PeerMoved:     (NEVER,    NEVER,    NEVER),
    PeerAddresses: (NEVER,    NEVER,    NEVER),
    NatChanged:    (Stable,   NEVER,    NEVER),
    SaMoved:       (Stable,   NEVER,    NEVER),
    PlaneRefused:  (Stable,   NEVER,    NEVER),
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
