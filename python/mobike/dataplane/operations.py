"""Orders to a data plane, as values. A plane answers each with an event, in a later turn."""

from dataclasses import dataclass
from typing import TypeAlias

from mobike.address import Path, SaId


@dataclass(frozen=True, slots=True)
class MoveSa:
    """Send all Child SAs of this IKE SA over `path` from now on, and expect theirs there."""

    sa: SaId
    path: Path
    encap: bool
    """UDP encapsulation (RFC 3948): decided per path, on or off with each move (RFC 4555 section 3.5)."""


@dataclass(frozen=True, slots=True)
class Park:
    """An end of this IKE SA is away: drop, and count, what would go to it, until `MoveSa`. Nothing is answered."""

    sa: SaId


Operation: TypeAlias = MoveSa | Park
