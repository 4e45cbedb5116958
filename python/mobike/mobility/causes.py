"""Inputs of the machines. Most are events as the core tells them; these few the fleet makes of link events and time."""

from dataclasses import dataclass
from typing import TypeAlias

from mobike.address import Ip
from mobike.events import (
    AwayRefused,
    Moved,
    MoveRefused,
    NatChanged,
    OperatorMove,
    PathChecked,
    PathHeard,
    PathSilent,
    PeerAddresses,
    PeerAway,
    PeerMoved,
    PlaneRefused,
    SaMoved,
    WentAway,
)


@dataclass(frozen=True, slots=True)
class LocalLost:
    """A local address that this session uses, or was moving to, is gone or has no route any more."""

    ip: Ip


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Something changed that may change the choice: an address came, the peer's list, a route, time."""


@dataclass(frozen=True, slots=True)
class GoAway:
    """The operator wants to be away for `span` nanoseconds."""

    span: int


@dataclass(frozen=True, slots=True)
class ComeBack:
    """The operator is back."""


@dataclass(frozen=True, slots=True)
class TimeUp:
    """The test of a pair has had its time, and was not answered (the draft's Timer)."""


@dataclass(frozen=True, slots=True)
class Woken:
    """The session goes on after a restart: time has passed, and nobody looked."""


Cause: TypeAlias = (
    LocalLost
    | LookAgain
    | TimeUp
    | GoAway
    | ComeBack
    | Woken
    | OperatorMove
    | Moved
    | MoveRefused
    | PathSilent
    | PathChecked
    | PathHeard
    | PeerMoved
    | PeerAddresses
    | NatChanged
    | WentAway
    | AwayRefused
    | PeerAway
    | SaMoved
    | PlaneRefused
)
CAUSES: tuple[type[Cause], ...] = (
    LocalLost,
    LookAgain,
    TimeUp,
    GoAway,
    ComeBack,
    Woken,
    OperatorMove,
    Moved,
    MoveRefused,
    PathSilent,
    PathChecked,
    PathHeard,
    PeerMoved,
    PeerAddresses,
    NatChanged,
    WentAway,
    AwayRefused,
    PeerAway,
    SaMoved,
    PlaneRefused,
)
"""All of them, for tables and their tests."""
