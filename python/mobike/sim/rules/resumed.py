"""Another process goes on: nothing parked is lost, and nothing is said or taken twice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import ClassVar, Final

from mobike.address import ChildId, Path, SaId
from mobike.events import ChildDown, ChildUp, Event, IkeSaResumed
from mobike.fleet import Decided
from mobike.inner import echo
from mobike.sim.host import Host, Past
from mobike.sim.rules.base import IKE_SA_INIT, PATH_PROBE, Broken, Lives, Memory, Message, Packet, Rule

IVS_REMEMBERED: Final = 4_096
"""Of one sender under one key."""
DELIVERED_REMEMBERED: Final = 65_536
"""Packets of one host."""

KEYS_IN_DOUBT: Final = "its keys were being replaced when the process was killed"

_ENCRYPTED: Final = {46: 32, 53: 36}
"""Where the IV stands, behind the headers of an SK and of an SKF payload (RFC 7296 3.14, RFC 7383 2.5)."""
_IV: Final = 8
"""Octets of it, of all that counts with a key of its own (RFC 5282 section 3.1)."""


class GoesOn(Rule):
    """An SA that was written down goes on in the next process of its host, with the same SPIs, in the first turn.

    If that was done in order, it does not end there because of that: see also `settled`. One whose keys were being
    replaced when the process was killed does not go on: the new ones may have been used, with IVs that nobody knows.
    """

    name: ClassVar[str] = "a parked SA goes on"

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._stored: dict[str, dict[SaId, int]] = {}
        """The initiator's SPI of each; 0 where the core may be ahead of what it has told."""
        self._expected: dict[str, dict[SaId, int]] = {}

    def wrote_down(self, host: Host, sas: Sequence[SaId]) -> None:
        lives = {sa: self.lives.get(host, sa) for sa in sas}
        untold = host.core.has_events()
        self._stored[host.name] = {sa: 0 if untold else life.spi for sa, life in lives.items() if life is not None}

    def booted(self, host: Host) -> None:
        stored = self._stored.pop(host.name, {})
        self._expected[host.name] = {} if host.past is Past.NOTHING else stored

    def not_resumed(self, host: Host, sa: SaId, why: str) -> None:
        if host.past is Past.STORED and why == KEYS_IN_DOUBT:
            self._expected[host.name].pop(sa, None)

    def told(self, host: Host, event: Event) -> None:
        if not isinstance(event, IkeSaResumed):
            return
        spi = self._expected[host.name].pop(event.up.sa, None)
        if spi is None:
            self.broken(host, f"IKE SA {event.up.sa:#x} goes on, but nobody has written it down")
        elif spi not in (0, event.up.spi_i):
            self.broken(host, f"IKE SA {event.up.sa:#x} goes on as {event.up.spi_i:016x}, and was {spi:016x}")

    def turned(self, host: Host, events: Sequence[Event], decided: Decided) -> None:
        for sa in self._expected[host.name]:
            self.broken(host, f"IKE SA {sa:#x} was written down, and does not go on")
        self._expected[host.name] = {}


@dataclass(slots=True)
class _Said:
    ivs: dict[bytes, bytes] = field(default_factory=dict)
    newest: int = 0


class NothingRepeated(Rule):
    """No IV serves twice under a key, and numbers of ESP grow: over all processes, also if one was killed.

    The keys outlive a process, and with AES-GCM two messages under one IV give both away (RFC 5282 section 3.1).
    """

    name: ClassVar[str] = "no IV serves twice"

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._ike: dict[tuple[str, int, int, bool], _Said] = {}
        self._esp: dict[str, dict[int, _Said]] = {}
        """By host, and the SPI to the peer. One may come again with other keys, once its Child SA is gone."""
        self._living: dict[str, dict[int, ChildId]] = {}
        self._fresh: set[str] = set()
        """Hosts whose process has not taken a turn yet."""

    def booted(self, host: Host) -> None:
        if host.past is Past.NOTHING:
            self._esp[host.name] = {}
        self._living[host.name] = {}
        self._fresh.add(host.name)

    def told(self, host: Host, event: Event) -> None:
        living = self._living[host.name]
        if isinstance(event, ChildUp):
            if living.get(event.spi_out, event.child) != event.child:
                # The peer forgot the one that had this SPI, and made another.
                self._forget(host, [event.spi_out])
            living[event.spi_out] = event.child
        elif isinstance(event, ChildDown):
            self._forget(host, [spi for spi, child in living.items() if child == event.child])

    def turned(self, host: Host, events: Sequence[Event], decided: Decided) -> None:
        if host.name in self._fresh:
            self._fresh.discard(host.name)
            self._forget(host, [spi for spi in self._esp[host.name] if spi not in self._living[host.name]])

    def _forget(self, host: Host, spis: Sequence[int]) -> None:
        for spi in spis:
            self._living[host.name].pop(spi, None)
            self._esp[host.name].pop(spi, None)

    def ike_sent(self, host: Host, path: Path, message: Message) -> None:
        at = _ENCRYPTED.get(message.octets[16])
        if message.exchange == IKE_SA_INIT or at is None:
            return
        # Probes have keys of their own.
        key = (host.name, message.spi, message.responder_spi, message.exchange == PATH_PROBE)
        self._said(
            host, self._ike.setdefault(key, _Said()), message.octets[at : at + _IV], message.octets, str(message)
        )

    def esp_sent(self, host: Host, path: Path, packet: Packet) -> None:
        said = self._esp[host.name].setdefault(packet.spi, _Said())
        what = f"packet {packet.number} of ESP SA {packet.spi:08x}"
        self._said(host, said, packet.iv, packet.number.to_bytes(4, "big"), what)
        if packet.number <= said.newest:
            self.broken(host, f"{what} comes after {said.newest}")
        said.newest = max(said.newest, packet.number)

    def _said(self, host: Host, said: _Said, iv: bytes, octets: bytes, what: str) -> None:
        digest = blake2b(octets, digest_size=8).digest()
        if said.ivs.setdefault(iv, digest) != digest:
            self.broken(host, f"{what} has the IV of another: {iv.hex()}")
        while len(said.ivs) > IVS_REMEMBERED:
            del said.ivs[next(iter(said.ivs))]


class DeliveredOnce(Rule):
    """A packet comes out of a tunnel once, whatever networks double.

    After a kill, what came since the process was written down may come once more (docs/architecture.md): the rule
    forgets what the process forgot.
    """

    name: ClassVar[str] = "a packet is delivered once"

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._seen: Memory[dict[bytes, None]] = Memory(dict)
        self._ever: dict[str, dict[bytes, None]] = {}
        """The same, kills or not."""
        self._again: set[bytes] = set()
        """Answers of who was asked once more."""

    def wrote_down(self, host: Host, sas: Sequence[SaId]) -> None:
        self._seen.wrote_down(host)

    def booted(self, host: Host) -> None:
        self._seen.booted(host)

    def delivered(self, host: Host, packet: bytes) -> None:
        seen, ever, digest = self._seen.of(host, 0), self._ever.setdefault(host.name, {}), _digest(packet)
        if digest in seen and digest not in self._again:
            self.broken(host, f"a packet comes out of a tunnel again: {packet[:32].hex()}")
        if digest in ever:
            self._again.update(map(_digest, echo.answers([packet])))
        for known in (seen, ever):
            known[digest] = None
            while len(known) > DELIVERED_REMEMBERED:
                del known[next(iter(known))]


def _digest(packet: bytes) -> bytes:
    return blake2b(packet, digest_size=16).digest()
