"""The link source of a simulated host: what netlink would say."""

from collections.abc import Callable

from mobike.address import Pair
from mobike.events import AddressAdded, AddressRemoved, LinkEvent, RouteAnswer
from mobike.sim.network import Link


class SimLinks:
    """Addresses come and go with their links; there is a route wherever there is an address of that family."""

    def __init__(self, links: dict[str, Link], wake: Callable[[], None]) -> None:
        self._links = links
        self._wake = wake
        self._events: list[LinkEvent] = [
            AddressAdded(ip, name) for name, link in links.items() if link.up for ip in link.addresses
        ]

    def take(self) -> list[LinkEvent]:
        events, self._events = self._events, []
        return events

    def ask_route(self, pair: Pair) -> None:
        there = any(link.up and pair.local in link.addresses for link in self._links.values())
        self._events.append(RouteAnswer(pair, there and pair.local.version == pair.remote.version))
        self._wake()

    def set_up(self, name: str, *, up: bool) -> None:
        """The addresses of a link come or go, and the kernel says so."""
        link = self._links[name]
        if link.up == up:
            return
        link.up = up
        self._events += [AddressAdded(ip, name) if up else AddressRemoved(ip, name) for ip in link.addresses]
        self._wake()
