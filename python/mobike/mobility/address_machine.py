"""One local address (draft-ietf-multi6-failure-detection-00 sections 3.1, 3.2 and 5.1).

    UNKNOWN       not ours now, or not allowed
    AVAILABLE     assigned, complete, and policy lets it be used
    OPERATIONAL   available, its link is up, and no route is known to be missing: peers may be told of it

Figure 1 of the draft is lost in our copy; its text names AVAILABLE and OPERATIONAL, and says that peers are told when
an address becomes operational and when it is no longer operational *or available*. What we had to decide:

- UNKNOWN is the state of an address that nobody has told us of, and of one that went.
- Facts about routes come later than the address itself. An address whose routes nobody has asked for counts as usable:
  waiting for the kernel would cost the turn in which a move must leave. A later denial takes it back.
- An address that goes while it is operational is told once: the way from OPERATIONAL to UNKNOWN has no stop between.
- Preferred or deprecated stands beside the state, as in the draft: it is a field of the address and part of its score.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class AddressState(StrEnum):
    UNKNOWN = "UNKNOWN"
    AVAILABLE = "AVAILABLE"
    OPERATIONAL = "OPERATIONAL"


class AddressEvent(StrEnum):
    ASSIGNED = "Assigned"
    """It is on a link, complete, and not forbidden."""
    USABLE = "Usable"
    """Its link is up, and a route leads from it; or nobody has asked for one."""
    UNUSABLE = "Unusable"
    """Every route that was asked for from it is missing."""
    GONE = "Gone"
    """Removed, or its link is down."""


class Tell(StrEnum):
    """What peers learn: the whole list again, with it or without it."""

    NOBODY = ""
    NEW = "tell peers: new"
    LOST = "tell peers: lost"


class AddressLine(NamedTuple):
    """One line of the table: where it leads, and what is told."""

    after: AddressState
    tell: Tell = Tell.NOBODY


_UNKNOWN, _AVAILABLE, _OPERATIONAL = AddressState
_ASSIGNED, _USABLE, _UNUSABLE, _GONE = AddressEvent

TABLE: Final[Mapping[tuple[AddressState, AddressEvent], AddressLine]] = {
    (_UNKNOWN, _ASSIGNED): AddressLine(_AVAILABLE),
    (_UNKNOWN, _USABLE): AddressLine(_UNKNOWN),  # a late answer about an address that went
    (_UNKNOWN, _UNUSABLE): AddressLine(_UNKNOWN),
    (_UNKNOWN, _GONE): AddressLine(_UNKNOWN),
    (_AVAILABLE, _ASSIGNED): AddressLine(_AVAILABLE),
    (_AVAILABLE, _USABLE): AddressLine(_OPERATIONAL, Tell.NEW),
    (_AVAILABLE, _UNUSABLE): AddressLine(_AVAILABLE),
    (_AVAILABLE, _GONE): AddressLine(_UNKNOWN),
    (_OPERATIONAL, _ASSIGNED): AddressLine(_OPERATIONAL),
    (_OPERATIONAL, _USABLE): AddressLine(_OPERATIONAL),
    (_OPERATIONAL, _UNUSABLE): AddressLine(_AVAILABLE, Tell.LOST),
    (_OPERATIONAL, _GONE): AddressLine(_UNKNOWN, Tell.LOST),
}


def after(state: AddressState, *events: AddressEvent) -> AddressState:
    """Where these events lead, one after the other."""
    for event in events:
        state = TABLE[state, event].after
    return state
