"""All that a machine may ask and say. The fleet is behind it in the daemon; in a test it is a handful of values."""

from collections.abc import Sequence
from enum import IntEnum, StrEnum
from typing import Protocol

from mobike.address import Ip, Nanos, Pair, Path
from mobike.commands import Command
from mobike.dataplane.operations import Operation
from mobike.events import Nat
from mobike.mobility.session import Session
from mobike.mobility.states import Updating
from mobike.policy.choose import Decision, Pin
from mobike.policy.knowledge import Reach

NOTHING_TRIED: frozenset[Pair] = frozenset()


class Current(IntEnum):
    """Which pair policy shall keep unless there is a reason to leave it."""

    IN_USE = 0
    ASKED_FOR = 1
    NONE = 2


class Said(StrEnum):
    """The kind of a note: what a session did or met, for logs, the API's events and metrics."""

    MOVING = "moving"
    MOVED = "moved"
    MOVE_REFUSED = "move-refused"
    MOVE_FAILED = "move-failed"
    WAITING = "waiting"
    SILENT = "path-silent"
    PEER_MOVED = "peer-moved"
    PEER_ADDRESSES = "peer-addresses"
    NAT_CHANGED = "nat-changed"
    AWAY = "away"
    AWAY_REFUSED = "away-refused"
    PEER_AWAY = "peer-away"
    PEER_BACK = "peer-back"
    ANNOUNCED = "announced"
    KEPT = "kept"
    ORDER_REFUSED = "order-refused"
    PLANE_REFUSED = "plane-refused"


class Surroundings(Protocol):
    """What one step sees, and where its outputs go."""

    @property
    def now(self) -> Nanos: ...

    @property
    def addresses(self) -> tuple[Ip, ...]:
        """Our own list, most preferred first; the same object until it changes."""
        ...

    def is_dead(self, path: Path) -> bool:
        """For certain: its local address is gone, or this host has no route for it. Silence is no certainty."""
        ...

    def is_deaf(self, path: Path) -> bool:
        """Do path probes say that what we send there does not arrive? Then there is nothing to lose by leaving it."""
        ...

    def choose(self, session: Session, *, current: Current, excluded: frozenset[Pair] = NOTHING_TRIED) -> Decision:
        """What policy says now. Sessions in the same situation share one answer."""
        ...

    def path(self, session: Session, pair: Pair) -> Path:
        """The chosen pair with its UDP ports."""
        ...

    def is_translated(self, path: Path) -> bool | None:
        """Was a NAT seen on its pair? None: nobody has looked yet."""
        ...

    def learn(self, pair: Pair, reach: Reach, nat: Nat | None = None) -> None:
        """Tell all sessions what was learned of a pair."""
        ...

    def updating(self, path: Path, why: str, told_plane: bool | None) -> Updating:
        """The state of a search that begins now: one object for all sessions that ask for the same."""
        ...

    def test_ends(self, session: Session, test: int) -> Nanos:
        """When the test of this number, counted from 1, has had its time."""
        ...

    def retry(self, session: Session, pin: Pin) -> None:
        """Forget what was bad about the pairs that the operator asks for: an order is worth a try."""
        ...

    def command(self, command: Command) -> None: ...

    def operate(self, operation: Operation) -> None: ...

    def tell(self, said: Said, session: Session, text: str, to_path: Path | None = None) -> None:
        """A note, in a full sentence; `to_path` where it is about another path than the one in use."""
        ...

    def tell_all(self, said: Said, sessions: Sequence[Session], text: str, to_path: Path | None = None) -> None:
        """The same note about each of these; sessions of one connection."""
        ...
