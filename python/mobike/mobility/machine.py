"""One step of one session: look up (state, cause) in the table of its role, and do what stands there."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from mobike.events import Role
from mobike.mobility import fixed, initiator, responder
from mobike.mobility.causes import Cause, LocalLost
from mobike.mobility.common import GroupHandler, Handler
from mobike.mobility.session import Session
from mobike.mobility.states import STABLE, State
from mobike.mobility.surroundings import Surroundings

Table: TypeAlias = Mapping[tuple[type[State], type[Cause]], Handler]


class NoSuchTransition(LookupError):
    """A cause met a state for which nobody wrote down what to do: a bug of ours, never of a peer."""


def table_of(session: Session) -> Table:
    if not session.mobike:
        return fixed.TABLE
    return initiator.TABLE if session.role is Role.INITIATOR else responder.TABLE


def step(session: Session, cause: Cause, around: Surroundings) -> None:
    """Change the session, and say what must be done."""
    handler = table_of(session).get((type(session.state), type(cause)))
    if handler is None:
        raise NoSuchTransition(
            f"{session.role.value} {session.sa:#x} is {session.state}, and no line of its table says what "
            f"{type(cause).__name__} does there"
        )
    handler(session, cause, around)


_TOGETHER: Final[Mapping[Role, GroupHandler]] = {
    Role.INITIATOR: initiator.leave_dead_pair_together,
    Role.RESPONDER: responder.leave_dead_address_together,
}


def can_step_together(session: Session) -> bool:
    """May it take a lost address together with others of its role that are in the same situation?"""
    return session.state is STABLE and session.mobike


def lose_together(sessions: Sequence[Session], cause: LocalLost, around: Surroundings) -> None:
    """One step of many sessions in the same situation: what `step` does for each, at a fraction of the cost."""
    if len(sessions) == 1:
        step(sessions[0], cause, around)
        return
    _TOGETHER[sessions[0].role](sessions, around)
