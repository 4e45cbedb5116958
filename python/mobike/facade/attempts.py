"""Attempts to set something up, as the API sees them: what was asked for beside what is taken, and what to do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LineView:
    """One part of what was looked at."""

    what: str
    theirs: tuple[str, ...]
    """What the peer offers or says; none: nothing, or it does not tell."""
    ours: tuple[str, ...]
    fits: bool


@dataclass(frozen=True, slots=True)
class AttemptView:
    """What happened, once or several times in the same way."""

    at: float
    """When it ended last, in seconds since the epoch."""
    since: float
    """When it ended so for the first time in a row."""
    times: int
    by_us: bool
    ending: str
    """`up`, `refused` by us, or `failed`: what we asked for did not come about."""
    step: str
    """The exchange in which it ended; `none`: nothing was sent."""
    connection: str | None
    ike_sa: str | None
    peer: str | None
    """Its address."""
    path: str | None
    peer_id: str | None
    """Who it says it is; nobody need have proved that."""
    reason: str
    why: str
    fault: str
    """Where to look first: `here`, `peer`, `both`, `network`, or `nobody`."""
    lines: tuple[LineView, ...]
    """The first one that does not fit is the reason."""
    fix: str | None
