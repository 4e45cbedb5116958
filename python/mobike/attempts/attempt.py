"""One attempt to set something up, as it is kept."""

from dataclasses import dataclass
from enum import Enum

from mobike.address import Ip, SaId


class Ending(Enum):
    """What came of it."""

    UP = "up"
    REFUSED = "refused"
    """We refused the peer."""
    FAILED = "failed"
    """What we asked for did not come about."""


class Fault(Enum):
    """Where to look first."""

    NOBODY = "nobody"
    BOTH = "both"
    """The two ends are set up differently; either can be changed."""
    HERE = "here"
    PEER = "peer"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Line:
    """One part of what was looked at."""

    what: str
    theirs: tuple[str, ...]
    """What the peer offers or says; none: nothing, or it does not tell."""
    ours: tuple[str, ...]
    fits: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """What happened, once or several times in the same way."""

    at: float
    """When it ended last, in seconds since the epoch."""
    since: float
    """When it ended so for the first time in a row."""
    times: int
    by_us: bool
    """We began it."""
    ending: Ending
    step: str
    """The exchange in which it ended."""
    connection: str | None
    """By whose orders; of a refusal those that come closest, if any do."""
    sa: SaId | None
    peer: Ip | None
    path: str | None
    peer_id: str | None
    """Who the peer says it is; nobody need have proved that."""
    reason: str
    """A name, for programs."""
    why: str
    """A line, for people."""
    fault: Fault
    lines: tuple[Line, ...]
    """The first one that does not fit is the reason."""
    fix: str | None
    """What to do, in one line."""

    def same(self, other: "Attempt") -> bool:
        """Nothing new but the time."""
        return (self.ending, self.reason, self.connection, self.peer_id, self.lines, self.step, self.path) == (
            other.ending,
            other.reason,
            other.connection,
            other.peer_id,
            other.lines,
            other.step,
            other.path,
        )
