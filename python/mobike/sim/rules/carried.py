"""What a data plane outside of the core carries."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from mobike.address import Nanos, Path
from mobike.events import Event
from mobike.fleet import Decided
from mobike.sim.host import Host
from mobike.sim.rules.base import (
    CREATE_CHILD_SA,
    IKE_AUTH,
    IKE_FOLLOWUP_KE,
    REMEMBERED,
    Broken,
    Lives,
    Message,
    Packet,
    Rule,
)
from mobike.sim.world import SECOND

_PATIENCE: Final = 2 * SECOND
"""After so long the core takes a plane for one that refused."""
_MAKES_CHILDREN: Final = frozenset((IKE_AUTH, CREATE_CHILD_SA, IKE_FOLLOWUP_KE))


@dataclass(slots=True)
class _Seen:
    """Of one process."""

    early: deque[tuple[Nanos, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """When packets came in, and their SPIs, that no plane was asked to carry yet."""
    asked: set[int] = field(default_factory=set)
    """SPIs of all that its plane had to be waited for."""
    expected: set[int] = field(default_factory=set)
    """Those of them on which packets may come before."""
    is_answered: bool = False
    """An answer has come that may have made a Child SA, of which the plane was not asked yet."""


class Carried(Rule):
    """The peer sends on no Child SA before it is carried here: its first packets are not lost (RFC 7296 section 2.8).

    What would tell it that it may is held: our answer; or, where we asked for new keys, the Delete of the old Child SA.
    Only one that we asked for and that replaces none is the peer's before it is ours. Of that it may send at once, as
    section 2.8 says, and nothing that we could hold keeps it from that.

    A plane that has not answered in time counts as one that refused; of that the peer hears a little later.
    """

    name: ClassVar[str] = "no packet before its Child SA is carried"

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._seen: dict[str, _Seen] = {}

    def booted(self, host: Host) -> None:
        self._seen[host.name] = _Seen()

    def ike_received(self, host: Host, path: Path, message: Message) -> None:
        if message.response and message.exchange in _MAKES_CHILDREN:
            self._seen[host.name].is_answered = True

    def esp_received(self, host: Host, path: Path, packet: Packet) -> None:
        if packet.spi in host.plane.asked:
            self._judge(host, packet.spi)
        elif packet.spi not in host.plane.known:
            self._seen[host.name].early.append((host.world.now, packet.spi))

    def turned(self, host: Host, events: Sequence[Event], decided: Decided) -> None:
        seen = self._seen[host.name]
        fresh = host.plane.asked.keys() - seen.asked
        if fresh:
            seen.asked |= fresh
            if seen.is_answered:
                seen.expected |= fresh & host.plane.alone
            seen.is_answered = False
        # Older ones are of another Child SA that had this SPI, and that a killed process did not know any more.
        early = {spi for at, spi in seen.early if at > host.world.now - _PATIENCE}
        for spi in host.plane.asked:
            if spi in early:
                self._judge(host, spi)

    def _judge(self, host: Host, spi: int) -> None:
        if spi not in self._seen[host.name].expected and not host.core.counters()["io_plane_late"]:
            self.broken(host, f"ESP {spi:08x} has come, and its Child SA is still to be carried")
