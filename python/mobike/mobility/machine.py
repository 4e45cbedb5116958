"""One step of one session: look up (state, cause) in the table of its role, and do what stands there."""

from collections.abc import Mapping
from typing import TypeAlias

from mobike.events import Role
from mobike.mobility import fixed, initiator, responder
from mobike.mobility.causes import Cause
from mobike.mobility.common import Handler
from mobike.mobility.session import Session
from mobike.mobility.states import State
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
