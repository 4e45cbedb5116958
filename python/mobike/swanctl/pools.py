"""Pools of inner addresses, and what is told with them."""

from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Final

from mobike.config.fields import read_network, read_pool
from mobike.swanctl.findings import Finding, Taker
from mobike.swanctl.tree import Section
from mobike.swanctl.words import words

_GIVEN: Final = {"dns": "dns", "subnet": "networks", "split_include": "networks", "25": "dns_domains"}
"""Attributes of a pool, and our keys for them. 25 is INTERNAL_DNS_DOMAIN (RFC 8598)."""


@dataclass(slots=True)
class Pools:
    """All of them; connections ask for theirs by names."""

    section: Section | None
    findings: list[Finding]
    tables: dict[str, dict[str, object]] = field(default_factory=dict)
    _users: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The set of pools that each pool is in."""

    def give(self, names: tuple[str, ...], connection: Taker) -> dict[str, object]:
        """What a connection says that leases from these."""
        found: dict[str, list[str]] = {}
        ranges: list[str] = []
        for name in names:
            pool = None if self.section is None else self.section.sections.get(name)
            if pool is None:
                raise connection.refuse("pools", f"there is no pool {name} in the file; pools of plugins are not known")
            if self._users.setdefault(name, names) != names:
                raise connection.refuse(
                    "pools", f"pool {name} is shared with a connection that has other pools besides"
                )
            taker = Taker(pool, f"pools.{name}", [])
            ranges.append(_range(taker.peek("addrs"), connection))
            for theirs, ours in _GIVEN.items():
                found.setdefault(ours, []).extend(words(taker.peek(theirs)))
        if len({":" in each for each in ranges}) != len(ranges):
            raise connection.refuse("pools", "a connection has one range of IPv4 and one of IPv6")
        ours = "-".join(names)[:64]
        self.tables.setdefault(ours, {"ranges": ranges})
        connection.mapped("pools", "pool_from")
        networks = [_network(each) for each in found.pop("networks", [])]
        given = {key: values for key, values in {**found, "networks": networks}.items() if values}
        return {"pool_from": ours, **given}

    def kept(self) -> tuple[dict[str, dict[str, object]], dict[str, tuple[str, ...]]]:
        """What is given so far; for `restore`."""
        return dict(self.tables), dict(self._users)

    def restore(self, kept: tuple[dict[str, dict[str, object]], dict[str, tuple[str, ...]]]) -> None:
        """As if what was given since had not been asked for."""
        self.tables, self._users = kept

    def finish(self) -> None:
        """What became of each key of each pool."""
        for name, pool in self.section.sections.items() if self.section else ():
            taker = Taker(pool, f"pools.{name}", self.findings)
            if name not in self._users:
                for key in pool.values:
                    taker.lost(key, "no connection that was imported leases from it")
                continue
            taker.mapped("addrs", "ranges")
            for theirs, ours in _GIVEN.items():
                if theirs in pool.values:
                    taker.mapped(theirs, ours)
            for key in pool.values:
                if key not in _GIVEN and key != "addrs":
                    taker.lost(key, "this attribute is not told to clients; told are resolvers, domains and networks")


def _range(text: str, connection: Taker) -> str:
    try:
        read_pool(text)
    except ValueError:
        try:
            # Bits behind the length say where leasing begins.
            network = ip_network(text, strict=False)
            first = text.split("/", maxsplit=1)[0]
            read_pool(f"{first}-{network[-2 if network.version == 4 and network.num_addresses > 2 else -1]}")
        except ValueError as problem:
            raise connection.refuse("pools", f"a pool has no range that can be read: {problem}") from None
        return f"{first}-{network[-2 if network.version == 4 and network.num_addresses > 2 else -1]}"
    return text


def _network(text: str) -> str:
    try:
        return read_network(text)
    except ValueError:
        return text
