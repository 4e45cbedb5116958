"""Which local addresses can be used: facts in, events out. Pure.

An address is available (RFC 4621 section 2) while it is usable on some link that is usable. A change of the set is an
event, told once; the same address on two links is one address.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from mobike.address import Ip
from mobike.events import AddressAdded, AddressRemoved, LinkEvent, RoutesChanged
from mobike.link.wire import AddressFact, Fact, LinkFact, RouteFact


class LinkTable:
    """Links and addresses of this host, kept from facts.

    `own_tunnels` are name patterns of links that we made: an address on one is never a candidate, or a tunnel would
    be carried inside itself.
    """

    def __init__(self, own_tunnels: Sequence[str] = ()) -> None:
        self._own_tunnels = tuple(own_tunnels)
        self._links: dict[int, LinkFact] = {}
        self._addresses: dict[tuple[int, Ip], AddressFact] = {}
        self._available: dict[Ip, AddressAdded] = {}

    def handle(self, facts: Iterable[Fact]) -> list[LinkEvent]:
        """Take facts in their order; the events are the difference they make together."""
        routes_changed = False
        for fact in facts:
            match fact:
                case LinkFact():
                    self._note_link(fact)
                case AddressFact():
                    self._note_address(fact)
                case RouteFact():
                    routes_changed = True
        events = self._difference()
        if routes_changed or events:
            events.append(RoutesChanged())
        return events

    def replace(self, facts: Iterable[Fact]) -> list[LinkEvent]:
        """Start over from a dump: after a lost notification only the whole truth will do."""
        self._links.clear()
        self._addresses.clear()
        return self.handle(facts)

    def addresses(self) -> tuple[tuple[Ip, str, bool], ...]:
        """Every address on a link that could carry traffic: (address, link, available now)."""
        seen: dict[Ip, tuple[Ip, str, bool]] = {}
        for (index, ip), _ in sorted(self._addresses.items(), key=lambda item: (item[0][0], str(item[0][1]))):
            link = self._links.get(index)
            if link is None or self._is_ours(link) or ip.is_loopback or ip.is_link_local:
                continue
            used = self._available.get(ip)
            seen.setdefault(ip, (ip, link.name if used is None else used.link, used is not None))
        return tuple(seen.values())

    def links_of(self, ip: Ip) -> tuple[int, ...]:
        """The indexes of the links that have this address."""
        return tuple(index for index, known in self._addresses if known == ip)

    def is_own_tunnel(self, index: int) -> bool:
        """Is the link of this index one that we made?"""
        link = self._links.get(index)
        return link is not None and self._is_ours(link)

    def _note_link(self, fact: LinkFact) -> None:
        if fact.gone:
            self._links.pop(fact.index, None)
        else:
            self._links[fact.index] = fact

    def _note_address(self, fact: AddressFact) -> None:
        if fact.gone:
            self._addresses.pop((fact.index, fact.ip), None)
        else:
            self._addresses[fact.index, fact.ip] = fact

    def _difference(self) -> list[LinkEvent]:
        now = self._available_now()
        # Losses first: whoever loses an address must not be moved to one that is lost in the same breath.
        events: list[LinkEvent] = [
            AddressRemoved(ip, was.link)
            for ip, was in self._available.items()
            if (there := now.get(ip)) is None or there.link != was.link
        ]
        events += [added for ip, added in now.items() if self._available.get(ip) != added]
        self._available = now
        return events

    def _available_now(self) -> dict[Ip, AddressAdded]:
        available: dict[Ip, AddressAdded] = {}
        for (index, ip), address in self._addresses.items():
            link = self._links.get(index)
            if address.usable and link is not None and link.usable and not self._is_ours(link):
                added = AddressAdded(ip, link.name, deprecated=address.deprecated, optimistic=address.optimistic)
                available.setdefault(ip, added)
        return available

    def _is_ours(self, link: LinkFact) -> bool:
        return any(fnmatchcase(link.name, pattern) for pattern in self._own_tunnels)
