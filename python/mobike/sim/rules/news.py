"""News that nobody vouches for (RFC 4555 section 3.5)."""

from typing import ClassVar

from mobike.address import Path
from mobike.sim.host import Effect, Host
from mobike.sim.rules.base import Rule


class MovesNothing(Rule):
    """An ICMP error, forged or not, brings one request forward at most. It moves nothing, and nobody is told of it."""

    name: ClassVar[str] = "ICMP moves nothing"

    def grumbled(self, host: Host, path: Path, effect: Effect) -> None:
        if effect.datagrams > 1:
            self.broken(host, f"an ICMP error about {path} made {effect.datagrams} datagrams leave")
        if effect.told:
            self.broken(host, f"an ICMP error about {path} became an event")
        for sa in effect.moved:
            self.broken(host, f"an ICMP error about {path} moved the traffic of SA {sa:#x}")
