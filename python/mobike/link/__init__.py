"""Local addresses, links and routes: what the kernel says, turned into facts for the fleet.

Read `wire` (pure: netlink messages to facts), then `table` (pure: facts to events), then `monitor` (the sockets).
`manual` is the source for hosts whose addresses are said by an operator instead: the demo, tests, odd containers.
"""

from typing import Protocol

from mobike.address import Ip, Pair
from mobike.events import LinkEvent


class Links(Protocol):
    """Where the gateway's link events come from."""

    async def start(self) -> None:
        """Learn what is there now; its events wait in `take`."""
        ...

    def take(self) -> list[LinkEvent]:
        """Everything new since the last call; never blocks."""
        ...

    def ask_route(self, pair: Pair) -> None:
        """Ask whether `pair.remote` can be reached from `pair.local`; a RouteAnswer follows in `take`."""
        ...

    def addresses(self) -> tuple[tuple[Ip, str, bool], ...]:
        """Every address known here: (address, link, available)."""
        ...

    async def close(self) -> None: ...
