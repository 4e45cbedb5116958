"""Addresses said by an operator: for the demo, which pulls its own cables, and for odd hosts."""

from collections.abc import Iterable

from mobike.address import Ip, Pair
from mobike.events import AddressAdded, AddressRemoved, LinkEvent, RouteAnswer


class ManualLinks:
    """A fixed set of addresses, each plugged in or not. The order given is the order of preference."""

    def __init__(self, addresses: Iterable[tuple[Ip, str, bool]]) -> None:
        """Addresses with their links, and whether they are plugged in at the start."""
        addresses = tuple(addresses)
        self._links: dict[Ip, str] = {ip: link for ip, link, _ in addresses}
        self._available: set[Ip] = {ip for ip, _, up in addresses if up}
        self._events: list[LinkEvent] = []

    async def start(self) -> None:
        self._events += [AddressAdded(ip, link) for ip, link in self._links.items() if ip in self._available]

    def take(self) -> list[LinkEvent]:
        events, self._events = self._events, []
        return events

    def ask_route(self, pair: Pair) -> None:
        self._events.append(RouteAnswer(pair, pair.local in self._available))

    def addresses(self) -> tuple[tuple[Ip, str, bool], ...]:
        return tuple((ip, link, ip in self._available) for ip, link in self._links.items())

    def set_available(self, ip: Ip, *, available: bool) -> bool:
        """Plug an address in or out; False where it was so already. KeyError where it is not one of ours."""
        link = self._links[ip]
        if available == (ip in self._available):
            return False
        if available:
            self._available.add(ip)
            self._events.append(AddressAdded(ip, link))
        else:
            self._available.discard(ip)
            self._events.append(AddressRemoved(ip, link))
        return True

    async def close(self) -> None:
        """Nothing is open."""
