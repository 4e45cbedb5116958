"""What every rule sees, and the SAs that are up: the part that all of them need."""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Final, Generic, NamedTuple, TypeAlias, TypeVar

from mobike.address import Path, SaId
from mobike.commands import Command, Profile
from mobike.dataplane.operations import Operation
from mobike.events import Event, IkeSaDown, IkeSaResumed, IkeSaUp
from mobike.fleet import Decided
from mobike.sim.host import Effect, Host, Past

NATT_PORT: Final = 4500
IKE_SA_INIT: Final = 34
IKE_AUTH: Final = 35
CREATE_CHILD_SA: Final = 36
INFORMATIONAL: Final = 37
IKE_FOLLOWUP_KE: Final = 44
PATH_PROBE: Final = 240
"""Private: docs/extensions/path-probes.md. These take no place in the window, and are never repeated."""
REMEMBERED: Final = 64
"""Messages, orders and packets of one end of one SA that a rule remembers."""

_FRAGMENT: Final = 53
_HEADER: Final = Struct("!QQBBBBII")
_RESPONSE: Final = 0x20

Broken: TypeAlias = Callable[[Host, str], None]
"""Says that a rule was broken at this host."""


class Message(NamedTuple):
    """The clear part of an IKE message."""

    spi: int
    """The initiator's."""
    responder_spi: int
    exchange: int
    response: bool
    number: int
    fragment: int
    octets: bytes
    length: int
    """As its header says."""

    def __str__(self) -> str:
        what = "response" if self.response else "request"
        return f"{what} {self.number} of exchange {self.exchange} in IKE SA {self.spi:016x}"


class Packet(NamedTuple):
    """The clear part of an ESP packet."""

    spi: int
    number: int
    iv: bytes


def read_esp(data: bytes) -> Packet:
    """What an ESP packet says of itself (RFC 4303; the IV is that of RFC 4106)."""
    return Packet(int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big"), data[8:16])


def read(data: bytes, port: int) -> Message | None:
    """The message in a datagram from or to this port of ours; None if it is something else."""
    octets = data
    if port == NATT_PORT:
        if data[:4] != bytes(4):
            return None
        octets = data[4:]
    if len(octets) < _HEADER.size:
        return None
    spi, responder_spi, first, _, exchange, flags, number, length = _HEADER.unpack_from(octets)
    fragment = int.from_bytes(octets[32:34], "big") if first == _FRAGMENT else 0
    return Message(spi, responder_spi, exchange, bool(flags & _RESPONSE), number, fragment, octets, length)


@dataclass(slots=True)
class Life:
    """One IKE SA as one end tells of it."""

    up: IkeSaUp
    profile: Profile | None
    spi: int
    """The initiator's of now, by which its messages are known."""


def new_spi(event: Event) -> int | None:
    """The initiator's SPI that an IKE SA has from now on, if this event tells of one."""
    spi: int | None = None if isinstance(event, IkeSaUp) else getattr(event, "spi_i", None)
    return spi


class Lives:
    """The SAs that are up now, of all hosts, as their fleets were told."""

    def __init__(self) -> None:
        self._by_host: dict[str, dict[SaId, Life]] = {}
        self._by_spi: dict[tuple[str, int], SaId] = {}

    def booted(self, host: Host) -> None:
        self._by_host[host.name] = {}
        for key in [key for key in self._by_spi if key[0] == host.name]:
            del self._by_spi[key]

    def told(self, host: Host, event: Event) -> None:
        match event:
            case IkeSaResumed():
                self.told(host, event.up)
            case IkeSaUp():
                profile = next(
                    (each.profile for each in host.connections if each.profile.name == event.connection), None
                )
                self._by_host[host.name][event.sa] = Life(event, profile, event.spi_i)
                self._by_spi[host.name, event.spi_i] = event.sa
            case IkeSaDown():
                life = self._by_host[host.name].pop(event.sa, None)
                if life is not None:
                    self._by_spi.pop((host.name, life.spi), None)
            case _:
                self._renamed(host, event)

    def _renamed(self, host: Host, event: Event) -> None:
        """New keys come with new SPIs (RFC 7296 section 2.8)."""
        spi = new_spi(event)
        life = None if spi is None else self._by_host[host.name].get(getattr(event, "sa", SaId(0)))
        if spi is not None and life is not None:
            self._by_spi.pop((host.name, life.spi), None)
            life.spi = spi
            self._by_spi[host.name, spi] = life.up.sa

    def get(self, host: Host, sa: SaId) -> Life | None:
        return self._by_host[host.name].get(sa)

    def of_spi(self, host: Host, spi: int) -> Life | None:
        """By the initiator's SPI of the IKE SA."""
        sa = self._by_spi.get((host.name, spi))
        return None if sa is None else self._by_host[host.name].get(sa)


Known = TypeVar("Known")


class Memory(Generic[Known]):
    """What a rule expects the process of each host to know, by a number of its own (an SPI, or an SA).

    A process that was killed leaves behind what it had written down, and nothing else: so the rule forgets the rest.
    """

    def __init__(self, make: Callable[[], Known]) -> None:
        self._make = make
        self._known: dict[str, dict[int, Known]] = {}
        self._stored: dict[str, dict[int, Known]] = {}

    def of(self, host: Host, number: int) -> Known:
        """What it knows of this; made if it is nothing yet."""
        known = self._known.setdefault(host.name, {})
        if number not in known:
            known[number] = self._make()
        return known[number]

    def get(self, host: Host, number: int) -> Known | None:
        return self._known.get(host.name, {}).get(number)

    def all_of(self, host: Host) -> Iterable[Known]:
        return self._known.get(host.name, {}).values()

    def pop(self, host: Host, number: int) -> None:
        self._known.get(host.name, {}).pop(number, None)

    def wrote_down(self, host: Host) -> None:
        self._stored[host.name] = deepcopy(self._known.get(host.name, {}))

    def booted(self, host: Host) -> None:
        stored = self._stored.pop(host.name, {})
        match host.past:
            case Past.NOTHING:
                self._known[host.name] = {}
            case Past.STORED:
                self._known[host.name] = stored
            case Past.ALL:
                pass


class Rule:
    """Overrides what it needs to see."""

    name: ClassVar[str]

    def __init__(self, lives: Lives, broken: Broken) -> None:
        self.lives = lives
        self._broken = broken

    def broken(self, host: Host, what: str) -> None:
        self._broken(host, f"{self.name}: {what}")

    def wrote_down(self, host: Host, sas: Sequence[SaId]) -> None:
        """A host has put these SAs, and with them all that it knows, into its store."""

    def booted(self, host: Host) -> None:
        """A process of a host begins; `past` says what it knows."""

    def not_resumed(self, host: Host, sa: SaId, why: str) -> None:
        """The core of the new process does not take this SA back."""

    def ike_sent(self, host: Host, path: Path, message: Message) -> None:
        """An IKE message leaves."""

    def ike_received(self, host: Host, path: Path, message: Message) -> None:
        """An IKE message has come, and is about to be handled."""

    def esp_sent(self, host: Host, path: Path, packet: Packet) -> None:
        """An ESP packet leaves."""

    def esp_received(self, host: Host, path: Path, packet: Packet) -> None:
        """An ESP packet has come, and is about to be handled."""

    def grumbled(self, host: Host, path: Path, effect: Effect) -> None:
        """Somebody said that what this host sent over this path cannot be delivered, and the core has dealt with it."""

    def delivered(self, host: Host, packet: bytes) -> None:
        """A plain packet has come out of a tunnel."""

    def told(self, host: Host, event: Event) -> None:
        """The core tells this event; `lives` does not know it yet."""

    def ordered(self, host: Host, orders: Sequence[Command | Operation]) -> None:
        """These orders are about to be obeyed."""

    def turned(self, host: Host, events: Sequence[Event], decided: Decided) -> None:
        """A turn is over."""

    def ended(self, hosts: Sequence[Host]) -> None:
        """The run is over."""
