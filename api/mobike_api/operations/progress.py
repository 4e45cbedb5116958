"""How far an operation is: who was ordered, who has obeyed, and who has not."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from mobike.facade import EventView
from mobike_api.operations.kinds import BAD, GOOD, SURE, Order

MOST_FAILURES: Final = 100
"""Failures that are told one by one; all are counted."""


class Phase(Enum):
    """How far an operation is."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Target:
    """One IKE SA, by its id, or one connection, by its name; and what is to be known of it to see a change."""

    name: str
    spis: str = ""
    """When it was chosen."""
    there: bool = False
    """It was where the order wants it: the order holds from now on, and nothing happens."""


@dataclass(slots=True)
class Operation:
    """One order about many, from its beginning to its end."""

    id: str
    order: Order
    by: str
    began: float
    phase: Phase = Phase.RUNNING
    ended: float | None = None
    total: int = 0
    done: int = 0
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    awaited: dict[str, tuple[float, Target]] = field(default_factory=dict)
    """What was ordered and has not answered, and until when that is waited for."""
    look: bool = False
    """Something has happened that may have ended some of these waits."""

    def succeeds(self, target: str) -> None:
        self.awaited.pop(target, None)
        self.done += 1

    def fails(self, target: str, why: str) -> None:
        self.awaited.pop(target, None)
        self.failed += 1
        if len(self.failures) < MOST_FAILURES:
            self.failures.append((target, why))

    def hear(self, event: EventView) -> None:
        """Does this tell how one of ours ended? Of many in one turn the daemon tells some, and counts the others."""
        kind = self.order.kind
        good, bad = event.kind in GOOD[kind], event.kind in BAD[kind]
        name = event.connection if kind.of_connections else event.sa
        if event.kind == "dropped" or ((good or bad) and event.sa is None and "sas" in event.data):
            self.look = True
        elif name not in self.awaited or name is None:
            return
        elif good and kind in SURE:
            self.succeeds(name)
        elif good:
            self.look = True
        elif bad:
            self.fails(name, event.text)
