"""Traffic selectors as the engine writes them, as selectors of the kernel. Pure.

The engine has ranges of addresses and ports (RFC 7296 section 3.13), the kernel prefixes of both: one selector may
become several, which together cover just the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import Final, NamedTuple

from mobike.events import TrafficWaits
from mobike.selector import PROTOCOLS, SELECTOR, WITH_PORTS, Network, networks

MOST_SELECTORS: Final = 256
"""Of one Child SA, as pairs of prefixes: 16 selectors on each side, or a few odd ranges."""

_PORTS: Final = 1 << 16


class UnfitSelectorsError(ValueError):
    """The kernel cannot be told these selectors."""


@dataclass(frozen=True, slots=True)
class Ports:
    """`value` in the bits of `mask`; mask 0: any."""

    value: int = 0
    mask: int = 0


ANY_PORT: Final = Ports()


@dataclass(frozen=True, slots=True)
class Mark:
    """Bits of a packet's mark."""

    value: int
    mask: int


class Lane(NamedTuple):
    """Which packets a policy sees at all: those of an XFRM interface, and those with a mark."""

    interface: int = 0
    """`if_id`: of the interface; 0: those of none."""
    mark: Mark | None = None


ANY_LANE: Final = Lane()


@dataclass(slots=True)
class Selector:
    """What a policy is about, seen along its packets. Nobody changes one; `frozen` would make each twice as slow."""

    source: Network
    destination: Network
    protocol: int = 0
    source_ports: Ports = ANY_PORT
    destination_ports: Ports = ANY_PORT
    lane: Lane = ANY_LANE
    _hash: int = field(init=False, compare=False, repr=False)
    """Made once: that of an address is slow, and selectors are keys of everything here."""

    def __post_init__(self) -> None:
        source, destination, lane = self.source, self.destination, self.lane
        upper = (self.protocol, self.source_ports.value, self.destination_ports.value, lane.interface, lane.mark)
        ends = (int(source.network_address), int(destination.network_address))
        self._hash = hash((ends, source.prefixlen, destination.prefixlen, upper))

    def __hash__(self) -> int:
        return self._hash

    def reversed(self) -> "Selector":
        """The same of packets that go the other way."""
        return Selector(
            self.destination, self.source, self.protocol, self.destination_ports, self.source_ports, self.lane
        )

    def overlaps(self, other: "Selector") -> bool:
        """Is there a packet that both are about?"""
        return (
            self.lane == other.lane
            and self.source.version == other.source.version
            and self.source.overlaps(other.source)
            and self.destination.overlaps(other.destination)
            and (not self.protocol or not other.protocol or self.protocol == other.protocol)
            and _share(self.source_ports, other.source_ports)
            and _share(self.destination_ports, other.destination_ports)
        )

    def __str__(self) -> str:
        upper = f" proto {self.protocol}" if self.protocol else ""
        upper += f" if_id {self.lane.interface:#x}" if self.lane.interface else ""
        upper += f" mark {self.lane.mark.value:#x}/{self.lane.mark.mask:#x}" if self.lane.mark else ""
        for name, ports in (("sport", self.source_ports), ("dport", self.destination_ports)):
            upper += f" {name} {ports.value}/{ports.mask:#x}" if ports.mask else ""
        return f"{self.source} -> {self.destination}{upper}"


def outbound_selectors(local: Sequence[str], remote: Sequence[str], lane: Lane = ANY_LANE) -> tuple[Selector, ...]:
    """Selectors of what leaves through a Child SA with these traffic selectors; UnfitSelectorsError says why none."""
    found: dict[Selector, None] = {}
    for ours, theirs in product(_sides(local), _sides(remote)):
        if ours.network.version != theirs.network.version:
            continue
        protocol = _common(ours.protocol, theirs.protocol)
        if protocol is None:
            continue
        found[Selector(ours.network, theirs.network, protocol, ours.ports, theirs.ports, lane)] = None
        if len(found) > MOST_SELECTORS:
            raise UnfitSelectorsError(f"more than {MOST_SELECTORS} pairs of prefixes: {local} and {remote}")
    if not found:
        raise UnfitSelectorsError(f"no packet fits {', '.join(local)} and {', '.join(remote)}")
    return tuple(found)


def wanted_by(selector: Selector) -> TrafficWaits:
    """A selector that is about one packet, as the fleet is told of it."""
    source, destination = selector.source.network_address, selector.destination.network_address
    ports = (selector.source_ports.value, selector.destination_ports.value)
    return TrafficWaits(source, destination, selector.protocol, *ports)


class _Side(NamedTuple):
    network: Network
    protocol: int
    ports: Ports


def _sides(texts: Iterable[str]) -> list[_Side]:
    return [side for text in texts for side in _sides_of(text)]


@lru_cache(maxsize=1024)
def _sides_of(text: str) -> tuple[_Side, ...]:
    if "[" not in text:
        return tuple([_Side(network, 0, ANY_PORT) for network in networks(text)])
    matched = SELECTOR.fullmatch(text)
    if matched is None or not matched["addresses"]:
        raise UnfitSelectorsError(f"{text!r} is no traffic selector")
    word = matched["protocol"]
    protocol = 0 if word is None else PROTOCOLS[word] if word in PROTOCOLS else int(word)
    first = int(matched["first"] or 0)
    last = int(matched["last"] or matched["first"] or _PORTS - 1)
    if first > last:
        raise UnfitSelectorsError(f"{text!r}: OPAQUE ports are not carried by a kernel")
    whole = (first, last) == (0, _PORTS - 1)
    if not whole and protocol not in WITH_PORTS:
        raise UnfitSelectorsError(f"{text!r}: of this protocol the kernel can be told no ports")
    ports = (ANY_PORT,) if whole else tuple(_port_prefixes(first, last))
    return tuple(_Side(network, protocol, each) for network in networks(matched["addresses"]) for each in ports)


def _port_prefixes(first: int, last: int) -> Iterator[Ports]:
    """The fewest values with masks that are just these ports."""
    while first <= last:
        size = first & -first or _PORTS
        while size > last - first + 1:
            size >>= 1
        yield Ports(first, (_PORTS - 1) ^ (size - 1))
        first += size


def _common(one: int, other: int) -> int | None:
    return one or other if not (one and other) or one == other else None


def _share(one: Ports, other: Ports) -> bool:
    return (one.value ^ other.value) & one.mask & other.mask == 0
