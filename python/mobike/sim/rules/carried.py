"""What a data plane outside of the core carries."""

from collections import deque
from collections.abc import Sequence
from typing import ClassVar

from mobike.address import Path
from mobike.events import Event
from mobike.fleet import Decided
from mobike.sim.host import Host
from mobike.sim.rules.base import REMEMBERED, Broken, Lives, Packet, Rule


class Carried(Rule):
    """The peer sends on no Child SA before it is carried here: its first packets are not lost (RFC 7296 section 2.8).

    A plane that has not answered in time counts as one that refused; of that the peer hears a little later.
    """

    name: ClassVar[str] = "no packet before its Child SA is carried"

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._early: dict[str, deque[int]] = {}
        """SPIs that no plane was asked to carry yet, of packets that came in."""

    def booted(self, host: Host) -> None:
        self._early[host.name] = deque(maxlen=REMEMBERED)

    def esp_received(self, host: Host, path: Path, packet: Packet) -> None:
        if packet.spi in host.plane.asked:
            self._say(host, packet.spi)
        elif packet.spi not in host.plane.known:
            self._early[host.name].append(packet.spi)

    def turned(self, host: Host, events: Sequence[Event], decided: Decided) -> None:
        for spi in host.plane.asked:
            if spi in self._early[host.name]:
                self._say(host, spi)

    def _say(self, host: Host, spi: int) -> None:
        if not host.core.counters()["io_plane_late"]:
            self.broken(host, f"ESP {spi:08x} has come, and its Child SA is still to be carried")
