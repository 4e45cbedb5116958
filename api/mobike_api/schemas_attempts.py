"""Attempts to set something up, as they are sent, and what may be asked of them."""

from typing import Annotated, Literal

from pydantic import Field

from mobike_api.schemas import Answer, Asked, Left


class Line(Answer):
    """One part of what was looked at."""

    what: str
    theirs: tuple[str, ...]
    """What the peer offers or says; empty: nothing, or it does not tell."""
    ours: tuple[str, ...]
    """What we take, or offer; empty: nothing."""
    fits: bool


class Attempt(Answer):
    """What happened, once or several times in the same way."""

    at: float
    """When it ended last, in seconds since the epoch."""
    since: float
    """When it ended so for the first time in a row."""
    times: int
    """How often in a row."""
    by_us: bool
    """We began it."""
    ending: Literal["up", "refused", "failed"]
    """`refused` by us; `failed`: what we asked for did not come about."""
    step: str
    """The exchange in which it ended; `none`: nothing was sent."""
    connection: str | None
    """By whose orders; of a refusal those that come closest, if any do."""
    ike_sa: str | None
    peer: str | None
    """Its address."""
    path: str | None
    peer_id: str | None
    """Who the peer says it is; it need not have proved that."""
    reason: str
    """A name, for programs."""
    why: str
    """A line, for people."""
    fault: Literal["nobody", "both", "here", "peer", "network"]
    """Where to look first."""
    lines: tuple[Line, ...]
    """What was asked for beside what is taken. The first one that does not fit is the reason."""
    fix: str | None
    """What to do, in one line."""


class Attempts(Answer):
    """The latest first."""

    items: tuple[Attempt, ...]


class AttemptQuery(Asked):
    """Which of them."""

    peer: Annotated[str, Field(min_length=1, max_length=256)] | Left = None
    """Of this peer: its address, its identity, a connection, or an IKE SA."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 20
