"""What a TUN device must carry: inner addresses and routes, as operations from events. Pure.

Routes into tunnels live in a table of their own, looked up before the main one, so that nothing of the host's is
changed; where a tunnel would swallow the way to its own peer, that peer's addresses keep the main table.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import summarize_address_range
from typing import TypeAlias

from mobike.address import ChildId, Ip, SaId
from mobike.commands import Pool, Profile
from mobike.dataplane.shields import Raised
from mobike.events import ChildDown, ChildUp, Event, IkeSaDown, IkeSaResumed, IkeSaUp, PeerAddresses, Redirected, Role
from mobike.selector import Network, networks


@dataclass(frozen=True, slots=True)
class InnerAddress:
    """An address that the TUN device has."""

    ip: Ip


@dataclass(frozen=True, slots=True)
class InnerRoute:
    """A prefix that is reached through the TUN device, preferably from `source`."""

    network: Network
    source: Ip | None = None


@dataclass(frozen=True, slots=True)
class OuterExemption:
    """A peer's address that must be reached outside of every tunnel."""

    ip: Ip


@dataclass(frozen=True, slots=True)
class InnerBlock:
    """A prefix that is reached through the TUN device or not at all."""

    network: Network


InnerFact: TypeAlias = InnerAddress | InnerRoute | OuterExemption | InnerBlock


@dataclass(frozen=True, slots=True)
class Change:
    """`fact` shall be true from now on, or no longer."""

    fact: InnerFact
    wanted: bool


@dataclass(slots=True)
class _Tunnel:
    """What one IKE SA needs."""

    role: Role
    virtual_ips: tuple[Ip, ...]
    outer: tuple[Ip, ...]
    connection: str
    children: dict[ChildId, tuple[Network, ...]] = field(default_factory=dict)


class InnerNet:
    """The wanted state, counted: two tunnels may need the same route, and the last one takes it away."""

    def __init__(
        self,
        profiles: Iterable[Profile],
        remotes: Mapping[str, Sequence[Ip]] | None = None,
        redirects: Mapping[str, Callable[[str], tuple[Ip, ...]]] | None = None,
    ) -> None:
        """By connection. `remotes`: where its peer may be as well. `redirects`: where a gateway is that it may be sent
        on to."""
        self._remotes = remotes or {}
        self._redirects = redirects or {}
        self._tunnels: dict[SaId, _Tunnel] = {}
        self._wanted: Counter[InnerFact] = Counter()
        self._pools = _routes(profiles)
        self._shielded: dict[str, tuple[InnerFact, ...]] = {}
        self._started = False
        self._due: list[Change] = []
        """Of another configuration, to be carried out with the next events."""

    def obey(
        self,
        profiles: Iterable[Profile],
        remotes: Mapping[str, Sequence[Ip]],
        redirects: Mapping[str, Callable[[str], tuple[Ip, ...]]],
    ) -> None:
        """The same as at the start, from now on. A pool that comes or goes has a say in the routes of every tunnel."""
        self._remotes, self._redirects = remotes, redirects
        pools = _routes(profiles)
        if pools == self._pools:
            return
        old = [(tunnel, tuple(self._facts(tunnel))) for tunnel in self._tunnels.values()]
        before, self._pools = self._pools, pools
        if self._started:
            self._due += self._replace((), self._pools)
            for tunnel, facts in old:
                self._due += self._replace(facts, tuple(self._facts(tunnel)))
            self._due += self._replace(before, ())

    def handle(self, events: Sequence[Event]) -> list[Change]:
        """The changes that these events make, in the order to carry them out."""
        changes, self._due = self._due, []
        if not self._started:
            self._started = True
            changes += self._replace((), self._pools)
        for told in events:
            event = told.up if isinstance(told, IkeSaResumed) else told
            match event:
                case IkeSaUp():
                    known = (event.path.remote.ip, *self._remotes.get(event.connection, ()), *event.peer_addresses)
                    outer = tuple(dict.fromkeys(known))
                    self._tunnels[event.sa] = _Tunnel(event.role, event.virtual_ips, outer, event.connection)
                case ChildUp() if (tunnel := self._tunnels.get(event.sa)) is not None:
                    before = tuple(self._facts(tunnel))
                    # In transport mode packets go to the peer itself, by the routes that are there.
                    behind = () if event.transport_mode else tuple(_networks_of(event.remote_ts))
                    tunnel.children[event.child] = behind
                    changes += self._replace(before, tuple(self._facts(tunnel)))
                case ChildDown() if (tunnel := self._tunnels.get(event.sa)) is not None:
                    before = tuple(self._facts(tunnel))
                    tunnel.children.pop(event.child, None)
                    changes += self._replace(before, tuple(self._facts(tunnel)))
                case PeerAddresses() if (tunnel := self._tunnels.get(event.sa)) is not None:
                    before = tuple(self._facts(tunnel))
                    # Addresses once announced stay exempt: the one in use may not be listed (RFC 4555 section 3.6).
                    tunnel.outer = tuple(dict.fromkeys((*tunnel.outer, event.source, *event.addresses)))
                    changes += self._replace(before, tuple(self._facts(tunnel)))
                case Redirected() if (tunnel := self._tunnels.get(event.sa)) is not None:
                    before = tuple(self._facts(tunnel))
                    known = self._redirects[tunnel.connection](event.to) if tunnel.connection in self._redirects else ()
                    tunnel.outer = tuple(dict.fromkeys((*tunnel.outer, *known)))
                    changes += self._replace(before, tuple(self._facts(tunnel)))
                case IkeSaDown() if (tunnel := self._tunnels.pop(event.sa, None)) is not None:
                    changes += self._replace(tuple(self._facts(tunnel)), ())
                case _:
                    pass
        return changes

    def shield(self, raised: Raised) -> list[Change]:
        """The changes that make a shield stand, in place of the one of its connection before it, or go."""
        remote = dict.fromkeys(network for traffic in raised.shield.traffic for network in _networks_of(traffic.remote))
        near = (OuterExemption(ip) for ip in raised.shield.outer if any(ip in network for network in remote))
        noticed = (InnerRoute(network) for network in remote if raised.shield.waits)
        facts: tuple[InnerFact, ...] = (*near, *(InnerBlock(network) for network in remote), *noticed)
        before = self._shielded.pop(raised.shield.connection, ())
        if not raised.up:
            return self._replace(before, ())
        self._shielded[raised.shield.connection] = facts
        return self._replace(before, facts)

    def __contains__(self, fact: object) -> bool:
        """Is it wanted now?"""
        return fact in self._wanted

    def everything(self, *, but_shields: bool = False) -> list[Change]:
        """What takes all of it away again, for the end of the process."""
        shielded = (fact for facts in self._shielded.values() for fact in facts if not isinstance(fact, InnerRoute))
        stays = set(shielded) if but_shields else set()
        return [Change(fact, wanted=False) for fact in reversed(list(self._wanted)) if fact not in stays]

    def _facts(self, tunnel: _Tunnel) -> Iterator[InnerFact]:
        if not tunnel.children:
            return
        networks = [network for child in tunnel.children.values() for network in child]
        client = tunnel.role is Role.INITIATOR
        if client:
            yield from (InnerAddress(ip) for ip in tunnel.virtual_ips)
        for ip in tunnel.outer:
            if any(ip in network for network in networks):
                yield OuterExemption(ip)
        for network in networks:
            if not client and self._is_leased(network):
                continue
            source = next((ip for ip in tunnel.virtual_ips if ip.version == network.version), None) if client else None
            yield InnerRoute(network, source)

    def _is_leased(self, network: Network) -> bool:
        """Routes of the pools stand for all clients at once: one route a client would be a table nobody can read."""
        return any(
            network.version == pool.network.version and network.subnet_of(pool.network)  # type: ignore[arg-type]
            for pool in self._pools
        )

    def _replace(self, before: Sequence[InnerFact], after: Sequence[InnerFact]) -> list[Change]:
        """One tunnel needed `before` and needs `after` now; what another tunnel needs too stays as it is."""
        changes = []
        for fact in dict.fromkeys(after):
            if fact not in before:
                self._wanted[fact] += 1
                if self._wanted[fact] == 1:
                    changes.append(Change(fact, wanted=True))
        for fact in reversed(dict.fromkeys(before)):
            if fact not in after:
                self._wanted[fact] -= 1
                if self._wanted[fact] == 0:
                    del self._wanted[fact]
                    changes.append(Change(fact, wanted=False))
                    changes += self._still_routed(fact)
        return changes

    def _still_routed(self, gone: InnerFact) -> Iterator[Change]:
        """What goes with it, and is still wanted."""
        routes = (fact for fact in self._wanted if isinstance(fact, InnerRoute))
        if isinstance(gone, InnerRoute):
            # A host has one route to a prefix. Another tunnel may want it from another source: its turn comes now.
            yield from (Change(other, wanted=True) for other in routes if other.network == gone.network)
        elif isinstance(gone, InnerAddress) and not self._has_address(gone.ip.version):
            # A device that has no address any more has lost all routes of that family.
            yield from (Change(other, wanted=True) for other in routes if other.network.version == gone.ip.version)

    def _has_address(self, version: int) -> bool:
        return any(isinstance(fact, InnerAddress) and fact.ip.version == version for fact in self._wanted)


def _routes(profiles: Iterable[Profile]) -> tuple[InnerRoute, ...]:
    pools = dict.fromkeys(pool for profile in profiles for pool in profile.pools)
    return tuple(InnerRoute(network) for pool in pools for network in _networks_of_pool(pool))


def _networks_of_pool(pool: Pool) -> Iterator[Network]:
    yield from summarize_address_range(pool.first, pool.first + (pool.count - 1))


_SELECTOR = re.compile(r"^(?P<range>[^\[]+)(\[.*\])?$")


def _networks_of(selectors: Sequence[str]) -> Iterator[Network]:
    """The prefixes that traffic selectors cover: `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, with `[tcp/80]` behind or not."""
    for selector in selectors:
        matched = _SELECTOR.match(selector)
        text = selector if matched is None else matched["range"]
        yield from networks(text)
