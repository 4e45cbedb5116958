"""What a daemon that is gone has left in this network namespace: SAs, policies, rules and routes, found and removed.

A daemon that begins takes over what it still wants, and removes the rest. This is for hosts where none begins.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from socket import AF_INET, AF_INET6
from typing import Any, Final, Self

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from mobike.dataplane.tun import ALREADY_SO, LAST_RESORT, TUNNEL_PRIORITY, TUNNEL_TABLE, exempted
from mobike.dataplane.xfrm.adopt import Left, removals
from mobike.dataplane.xfrm.answers import KernelUnusableError
from mobike.dataplane.xfrm.kernel import Kernel
from mobike.link.byways import FIRST_TABLE, PRIORITY
from mobike.link.paver import TABLES

_FAMILIES: Final = {AF_INET: "0.0.0.0/0", AF_INET6: "::/0"}


@dataclass(frozen=True, slots=True)
class _Rule:
    family: int
    priority: int
    table: int
    source: str | None
    destination: str | None

    def __str__(self) -> str:
        ends = (("from", self.source), ("to", self.destination))
        said = "".join(f" {word} {ip}" for word, ip in ends if ip is not None)
        return f"rule {self.priority}:{said or ' of everything'} into table {self.table}"

    def parameters(self) -> dict[str, Any]:
        bits = 32 if self.family == AF_INET else 128
        ends: dict[str, Any] = {}
        if self.source is not None:
            ends |= {"src": self.source, "src_len": bits}
        if self.destination is not None:
            ends |= {"dst": self.destination, "dst_len": bits}
        return {"family": self.family, "priority": self.priority, "table": self.table, **ends}


@dataclass(frozen=True, slots=True)
class _Route:
    family: int
    table: int
    destination: str
    link: int | None
    """None: it leads nowhere."""

    def __str__(self) -> str:
        where = "leads nowhere" if self.link is None else f"by link {self.link}"
        return f"route to {self.destination} {where}, in table {self.table}"

    def parameters(self) -> dict[str, Any]:
        nowhere = {"type": "unreachable", "priority": LAST_RESORT}
        way = nowhere if self.link is None else {"oif": self.link}
        return {"family": self.family, "table": self.table, "dst": self.destination, **way}


@dataclass(frozen=True, slots=True)
class Leavings:
    """All of it."""

    ipsec: Left
    rules: tuple[_Rule, ...]
    routes: tuple[_Route, ...]

    @classmethod
    def find(cls) -> Self:
        """Look. OSError says why one may not."""
        with IPRoute() as ipr:
            rules = tuple(_rules(ipr))
            routes = tuple(_routes(ipr, {rule.table for rule in rules if rule.priority == PRIORITY}))
        return cls(_ipsec(), rules, routes)

    def __bool__(self) -> bool:
        return bool(self.ipsec or self.rules or self.routes)

    def lines(self) -> list[str]:
        """One for each."""
        return [*self.ipsec.lines(self.ipsec.policies), *map(str, (*self.rules, *self.routes))]

    def summary(self) -> str:
        """How many of each kind."""
        kinds = {
            "SA": len(self.ipsec.sas),
            "polic": len(self.ipsec.policies),
            "rule": len(self.rules),
            "route": len(self.routes),
        }
        endings = {"polic": ("y", "ies")}
        return ", ".join(f"{n} {kind}{endings.get(kind, ('', 's'))[n > 1]}" for kind, n in kinds.items() if n)

    def remove(self) -> list[str]:
        """Take it away; what the kernel refused, a line each. SAs go before policies, so that nothing of theirs is sent
        in the clear; then what blocks."""
        refused: list[str] = []
        if self.ipsec:
            kernel = Kernel()
            try:
                steps = removals({}, self.ipsec, self.ipsec.policies)
                done = kernel.run(steps, {})
                refused += [f"{steps[place]}: {why}" for place, why in done.refusals.items()]
            finally:
                kernel.close()
        with IPRoute() as ipr:
            for rule in self.rules:
                refused += _try(rule, partial(ipr.rule, "del", **rule.parameters()))
            for route in self.routes:
                refused += _try(route, partial(ipr.route, "del", **route.parameters()))
        return refused


def _ipsec() -> Left:
    try:
        kernel = Kernel()
    except KernelUnusableError:
        return Left({}, {}, ())
    try:
        return Left.of(kernel.sas(), kernel.policies())
    finally:
        kernel.close()


def _rules(ipr: IPRoute) -> Iterator[_Rule]:
    for family in _FAMILIES:
        for shown in ipr.get_rules(family=family):
            attributes = dict(shown["attrs"])
            table = int(attributes.get("FRA_TABLE", shown["table"]))
            ends = attributes.get("FRA_SRC"), attributes.get("FRA_DST")
            rule = _Rule(family, int(attributes.get("FRA_PRIORITY", 0)), table, *ends)
            if _leads_into_ours(rule) or exempted(shown) is not None:
                yield rule


def _leads_into_ours(rule: _Rule) -> bool:
    if rule.priority == PRIORITY:
        return 0 < rule.table - FIRST_TABLE < TABLES
    return (rule.priority, rule.table) == (TUNNEL_PRIORITY, TUNNEL_TABLE)


def _routes(ipr: IPRoute, tables: set[int]) -> Iterator[_Route]:
    tables = tables | {FIRST_TABLE + int(link["index"]) for link in ipr.get_links()} | {TUNNEL_TABLE}
    for family, anywhere in _FAMILIES.items():
        for table in sorted(tables):
            for shown in ipr.get_routes(family=family, table=table):
                attributes = dict(shown["attrs"])
                prefix = attributes.get("RTA_DST")
                destination = anywhere if prefix is None else f"{prefix}/{shown['dst_len']}"
                nowhere = table == TUNNEL_TABLE and attributes.get("RTA_PRIORITY") == LAST_RESORT
                yield _Route(family, table, destination, None if nowhere else attributes.get("RTA_OIF"))


def _try(what: _Rule | _Route, remove: Callable[[], object]) -> Iterator[str]:
    try:
        remove()
    except NetlinkError as error:
        if error.code not in ALREADY_SO:
            yield f"{what}: {error}"
