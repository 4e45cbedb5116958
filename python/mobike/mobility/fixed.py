"""An SA without MOBIKE (one end does not speak it): its addresses never change, so losing them means losing it."""

from collections.abc import Mapping
from typing import Final

from mobike.commands import Close
from mobike.events import NatChanged, OperatorMove, PathChecked, PathHeard, PathSilent, PlaneRefused, Role, SaMoved
from mobike.mobility.away import decline_leave, decline_return
from mobike.mobility.causes import Cause, ComeBack, GoAway, LocalLost, LookAgain, TimeUp, Woken
from mobike.mobility.common import Handler, note_plane_refused, nothing
from mobike.mobility.session import Session
from mobike.mobility.states import Stable, State
from mobike.mobility.surroundings import Said, Surroundings

_WHY = "the peer does not speak MOBIKE, and the address this SA was made with is gone"


def _give_up(session: Session, cause: LocalLost, around: Surroundings) -> None:
    """The initiator makes a new SA from another address; the responder can only wait for its peer to do so."""
    around.tell(Said.MOVE_FAILED, session, f"Cannot move: {_WHY}")
    if session.role is Role.INITIATOR:
        around.command(Close(session.sa, _WHY))


def _decline(session: Session, cause: OperatorMove, around: Surroundings) -> None:
    around.tell(Said.ORDER_REFUSED, session, "Cannot move: the peer does not speak MOBIKE")


TABLE: Final[Mapping[tuple[type[State], type[Cause]], Handler]] = {
    (Stable, LocalLost): _give_up,
    (Stable, LookAgain): nothing,
    (Stable, TimeUp): nothing,
    (Stable, Woken): nothing,
    (Stable, OperatorMove): _decline,
    (Stable, GoAway): decline_leave,
    (Stable, ComeBack): decline_return,
    (Stable, PathSilent): nothing,
    (Stable, PathChecked): nothing,
    (Stable, PathHeard): nothing,
    (Stable, NatChanged): nothing,
    (Stable, SaMoved): nothing,
    (Stable, PlaneRefused): note_plane_refused,
}
