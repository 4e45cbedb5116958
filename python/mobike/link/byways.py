"""Ways by which a packet leaves over the link whose address it comes from. Pure.

A host with two uplinks has two default routes, and takes the better one whatever a packet's source is. So what is sent
from the address of the second would leave by the first: a probe would say nothing about the second, and a tunnel would
not survive the loss of the first that only a probe can notice. Where the kernel's choice is another link than the
address's own, and the host has a route by that one as well, that pair of addresses alone gets a rule and a route.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from mobike.address import Ip, Pair

PRIORITY = 4553
"""Of the rules: before those of tunnels (`dataplane.tun`), and before the main table's (32766)."""
FIRST_TABLE = 0x4D42_0000
"""The routing table of a link is this, and its index more."""


@dataclass(frozen=True, slots=True)
class WayRoute:
    """`remote` is reached over the link of this index, by `gateway` if there is one; in the link's own table."""

    link: int
    remote: Ip
    gateway: Ip | None

    def __str__(self) -> str:
        return f"to {self.remote} by {self.gateway or 'nobody between'} on link {self.link}"


@dataclass(frozen=True, slots=True)
class WayRule:
    """What goes from `local` to `remote` looks into the table of this link."""

    link: int
    local: Ip
    remote: Ip

    def __str__(self) -> str:
        return f"from {self.local} to {self.remote} on link {self.link}"


WayFact: TypeAlias = WayRoute | WayRule


@dataclass(frozen=True, slots=True)
class WayChange:
    """`fact` shall be true from now on, or no longer."""

    fact: WayFact
    wanted: bool


@dataclass(frozen=True, slots=True)
class Nexthop:
    """Where a route leads: a link, and a neighbour on it if the destination is none itself."""

    link: int
    gateway: Ip | None = None


class Byways:
    """Those that there are."""

    def __init__(self) -> None:
        self._ways: dict[Pair, Nexthop] = {}
        self._left: dict[WayFact, None] = {}

    def remember(self, left: Iterable[WayFact]) -> None:
        """An earlier process left these: `settle` takes away those that were not asked for again until then."""
        self._left.update(dict.fromkeys(left))

    def is_needed(self, pair: Pair, links: Collection[int], output: int) -> bool:
        """Must be looked at more closely: the kernel's way out is no link of the address, or was made by us."""
        return bool(links) and (output not in links or pair.in_udp in self._ways or self._was_left(pair))

    def choose(self, pair: Pair, beside: Nexthop | None, *, holds: bool) -> list[WayChange]:
        """The changes, in order. `beside` is the way by the address's own link, if the host has one without us.
        `holds`: packets leave by that link now; a route of ours went if its link was down meanwhile."""
        pair = pair.in_udp
        before = self._ways.get(pair)
        if beside is None:
            return list(self._remove(pair))
        if before == beside and holds and not self._was_left(pair):
            return []
        gone = list(self._remove(pair)) if before is not None and before.link != beside.link else []
        self._ways[pair] = beside
        facts = _facts_of(pair, beside)
        stale = [fact for fact in self._left if _is_about(fact, pair) and fact not in facts]
        replaced = [fact for fact in self._left if isinstance(fact, WayRoute) and _same_place(fact, facts[0])]
        self._forget((*facts, *stale, *replaced))
        return [*gone, *(WayChange(fact, wanted=True) for fact in facts), *_removals(stale)]

    def lose(self, local: Ip) -> list[WayChange]:
        """This address is gone."""
        return [change for pair in list(self._ways) if pair.local == local for change in self._remove(pair)]

    def settle(self) -> list[WayChange]:
        """What was left and is not wanted goes."""
        used = {fact for pair, way in self._ways.items() for fact in _facts_of(pair, way)}
        left, self._left = self._left, {}
        return _removals([fact for fact in left if fact not in used])

    def everything(self) -> list[WayChange]:
        """What takes all of it away again."""
        return [change for pair in list(self._ways) for change in self._remove(pair)] + self.settle()

    def _remove(self, pair: Pair) -> Iterator[WayChange]:
        way = self._ways.pop(pair, None)
        if way is None:
            return
        route, rule = _facts_of(pair, way)
        yield WayChange(rule, wanted=False)
        if not any(pair.remote == other.remote and way.link == each.link for other, each in self._ways.items()):
            yield WayChange(route, wanted=False)

    def _was_left(self, pair: Pair) -> bool:
        return any(isinstance(fact, WayRule) and _is_about(fact, pair) for fact in self._left)

    def _forget(self, facts: Iterable[WayFact]) -> None:
        for fact in facts:
            self._left.pop(fact, None)


def _facts_of(pair: Pair, way: Nexthop) -> tuple[WayRoute, WayRule]:
    """The route first: a rule that leads nowhere would lead back to the main table for a moment."""
    return WayRoute(way.link, pair.remote, way.gateway), WayRule(way.link, pair.local, pair.remote)


def _same_place(one: WayRoute, other: WayRoute) -> bool:
    """Only one of them can be in the kernel."""
    return (one.link, one.remote) == (other.link, other.remote)


def _is_about(fact: WayFact, pair: Pair) -> bool:
    return isinstance(fact, WayRule) and (fact.local, fact.remote) == (pair.local, pair.remote)


def _removals(facts: Collection[WayFact]) -> list[WayChange]:
    """Rules before what they lead to."""
    ordered = sorted(facts, key=lambda fact: isinstance(fact, WayRoute))
    return [WayChange(fact, wanted=False) for fact in ordered]
