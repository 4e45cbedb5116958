"""What must not leave in the clear while its tunnel is down. Pure.

A shield stands in front of a tunnel: what the tunnel does not carry just now, the shield throws away. It is there
before the first attempt to connect, stays while the tunnel comes, goes, moves or restarts, and outlives a process that
crashes or hands over to another one. It goes when nobody wants the tunnel any more.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mobike.address import Ip
from mobike.selector import Traffic


@dataclass(frozen=True, slots=True)
class Shield:
    """Of one connection."""

    connection: str
    traffic: tuple[Traffic, ...]
    outer: tuple[Ip, ...] = ()
    """Where its peer may be, which stays within reach."""
    always: bool = False
    """The peer begins: whether it is wanted is not ours to know."""


@dataclass(frozen=True, slots=True)
class Raised:
    """`shield` shall stand from now on, or no longer."""

    shield: Shield
    up: bool


class Shields:
    """Those of all connections, and which of them stand."""

    def __init__(self, shields: Iterable[Shield]) -> None:
        self._shields = tuple(each for each in shields if each.traffic)
        self._up: set[str] = set()

    @property
    def any_up(self) -> bool:
        """Does one stand?"""
        return bool(self._up)

    def look(self, is_wanted: Callable[[str], bool]) -> list[Raised]:
        """What changed since the last look."""
        changes = []
        for shield in self._shields:
            name = shield.connection
            up = shield.always or is_wanted(name)
            if up != (name in self._up):
                changes.append(Raised(shield, up))
                (self._up.add if up else self._up.discard)(name)
        return changes
