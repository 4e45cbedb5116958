"""What must not leave in the clear while its tunnel is down. Pure.

A shield stands in front of a tunnel: what the tunnel does not carry just now, the shield throws away. It is there
before the first attempt to connect, stays while the tunnel comes, goes, moves or restarts, and outlives a process that
crashes or hands over to another one. It goes when nobody wants the tunnel any more.
"""

from collections.abc import Callable, Hashable, Iterable
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
    waits: bool = False
    """What it would throw away brings the tunnel up: so it is led to where it is noticed."""
    marks: Hashable = None
    """What its packets are told by beside their selectors: with others it is another shield."""


@dataclass(frozen=True, slots=True)
class Raised:
    """`shield` shall stand from now on, or no longer."""

    shield: Shield
    up: bool


class Shields:
    """Those of all connections, and which of them stand."""

    def __init__(self, shields: Iterable[Shield]) -> None:
        self._shields: dict[str, Shield] = {}
        self._up: dict[str, Shield] = {}
        self.obey(shields)

    def obey(self, shields: Iterable[Shield]) -> None:
        """These and no others, from the next look on."""
        self._shields = {each.connection: each for each in shields if each.traffic}

    @property
    def any_up(self) -> bool:
        """Does one stand?"""
        return bool(self._up)

    def look(self, is_wanted: Callable[[str], bool]) -> list[Raised]:
        """What changed since the last look. One that is another than before stands in the place of that; what comes is
        told before what goes, so that nothing that both cover is open in between."""
        before, wanted = self._up, self._shields.items()
        self._up = {name: shield for name, shield in wanted if shield.always or is_wanted(name)}
        changes = [Raised(shield, up=True) for name, shield in self._up.items() if before.get(name) != shield]
        return changes + [Raised(shield, up=False) for name, shield in before.items() if name not in self._up]


class Traps:
    """Which connections wait for a packet."""

    def __init__(self, shields: Iterable[Shield]) -> None:
        self._shields: dict[str, Shield] = {}
        self._set: dict[str, Shield] = {}
        self.obey(shields)

    def obey(self, shields: Iterable[Shield]) -> None:
        """These and no others, from the next look on."""
        self._shields = {each.connection: each for each in shields if each.waits}

    def look(self, waits: Callable[[str], bool]) -> list[Shield]:
        """Those that have begun to wait since the last look, once more or for the first time, or for other packets."""
        before, wanted = self._set, self._shields.items()
        self._set = {name: shield for name, shield in wanted if waits(name)}
        return [shield for name, shield in self._set.items() if before.get(name) != shield]
