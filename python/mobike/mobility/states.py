"""What a session awaits. States are frozen; only the session that holds one changes."""

from dataclasses import dataclass
from typing import TypeAlias

from mobike.address import Nanos, Pair, Path


@dataclass(frozen=True, slots=True)
class Stable:
    """Nothing is awaited: the pair in use is agreed."""

    def __str__(self) -> str:
        return "established"


@dataclass(frozen=True, slots=True, eq=False)
class Updating:
    """The initiator asked the peer to use `path`; `Moved`, `MoveRefused` or `PathSilent` settles it."""

    path: Path
    since: Nanos
    """When this search began: the first decision, not the latest retry."""
    why: str
    told_plane: bool | None
    """None: the data plane still uses the old pair. Else it was sent to `path` at once, with this encapsulation."""
    tried: frozenset[Pair]
    """Pairs that did not answer, or were refused, since this search began."""
    test: int = 0
    """How many pairs were tested before this one because others failed; 0: a plain move."""
    due: Nanos | None = None
    """When the time of this test is up; None: the core tells of silence."""

    def __str__(self) -> str:
        return "updating"


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """No pair can be used. The SA is kept; it moves as soon as a pair appears."""

    since: Nanos
    why: str

    def __str__(self) -> str:
        return "waiting"


@dataclass(frozen=True, slots=True, eq=False)
class Away:
    """The initiator is away by agreement: nothing is sent and nothing is tested, whatever happens to addresses."""

    since: Nanos
    until: Nanos
    """When the SA ends if it has not come back."""

    def __str__(self) -> str:
        return "away"


State: TypeAlias = Stable | Updating | Waiting | Away

STABLE = Stable()
"""The one `Stable` that all quiet sessions share."""
