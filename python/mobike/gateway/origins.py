"""Which exchange it came of, what is logged: `us:33` is the one that we began with message id 33, `peer:7` a peer's.

Who asked and the message id are those of `mobike ladder SA`, of the ladder on the page and of a capture. What waited
for a verdict, or for the plane, came of the exchange that it waited in; what a timer gives up, of the request that
nobody answered. What came of an order or of a link has none.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from mobike.address import SaId
from mobike.events import (
    AwayRefused,
    ChildDown,
    ChildFailed,
    ChildUp,
    Event,
    IkeSaDown,
    IkeSaRekeyed,
    IkeSaUp,
    Moved,
    MoveRefused,
    NatChanged,
    Notice,
    PathChecked,
    PathSilent,
    PeerAddresses,
    PeerAway,
    PeerMoved,
    Redirected,
    WentAway,
)
from mobike.fleet import Note

TOLD: Final[dict[type, tuple[str, ...]]] = {
    AwayRefused: ("away-refused",),
    ChildDown: ("child-down",),
    ChildFailed: ("child-failed",),
    ChildUp: ("child-up",),
    IkeSaDown: ("sa-down",),
    IkeSaRekeyed: ("sa-rekeyed",),
    IkeSaUp: ("sa-up",),
    MoveRefused: ("move-refused",),
    Moved: ("moved",),
    NatChanged: ("nat-changed",),
    PathChecked: ("probe-answered",),
    PathSilent: ("path-silent",),
    PeerAddresses: ("peer-addresses",),
    PeerAway: ("peer-away",),
    PeerMoved: ("peer-moved", "peer-back"),
    Redirected: ("redirected", "redirect-refused"),
    WentAway: ("away",),
}
"""Kinds of notes that tell of an event, and of nothing else in the same turn."""


class Origins:
    """Asks the core, and only when somebody wants to know."""

    def __init__(self, told_by: Callable[[], Sequence[tuple[object, bool, int]]]) -> None:
        """`told_by`: of the core, for the events that it told last."""
        self._told_by = told_by
        self._told: Sequence[tuple[object, bool, int]] | None = None
        self._of_events: dict[int, str] = {}
        self._of_notes: dict[tuple[SaId | None, str], deque[str]] = {}

    def turn(self) -> None:
        """Another one has begun."""
        self._told = None

    def of_event(self, event: Event) -> str | None:
        self._look()
        return self._of_events.get(id(event))

    def of_note(self, note: Note) -> str | None:
        """To be asked once of each note, in their order."""
        self._look()
        found = self._of_notes.get((note.sa, note.kind))
        return found.popleft() if found else None

    def _look(self) -> None:
        if self._told is not None:
            return
        # Kept for the turn: an identity is one as long as its object lives.
        self._told = self._told_by()
        self._of_events.clear()
        self._of_notes.clear()
        for event, ours, message_id in self._told:
            exchange = f"{'us' if ours else 'peer'}:{message_id}"
            self._of_events[id(event)] = exchange
            sa: SaId | None = getattr(event, "sa", None)
            for kind in (f"notice-{event.kind}",) if isinstance(event, Notice) else TOLD.get(type(event), ()):
                self._of_notes.setdefault((sa, kind), deque()).append(exchange)
