"""Which connection a packet is for that found no tunnel: the one whose selectors fit it most narrowly."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from mobike.address import Ip
from mobike.selector import PROTOCOLS, SELECTOR, Network, Traffic, networks


@dataclass(frozen=True, slots=True)
class Flow:
    """What selectors look at of a packet; 0: it does not show it."""

    source: Ip
    destination: Ip
    protocol: int = 0
    source_port: int = 0
    destination_port: int = 0


@dataclass(frozen=True, slots=True)
class _Side:
    networks: tuple[Network, ...]
    protocol: int
    ports: range

    def bits(self, ip: Ip, protocol: int, port: int) -> int | None:
        """Of the prefix that this address is in; None: it is not meant."""
        if self.protocol not in (0, protocol) or (self.ports and port not in self.ports):
            return None
        meant = (each.prefixlen for each in self.networks if each.version == ip.version and ip in each)
        return max(meant, default=None)


def how_narrow(traffic: Iterable[Traffic], flow: Flow) -> int | None:
    """Bits of both prefixes of the narrowest selectors that it fits; None: it fits none."""
    return max((bits for each in traffic if (bits := _bits(each, flow)) is not None), default=None)


def _bits(traffic: Traffic, flow: Flow) -> int | None:
    source = _narrowest(traffic.local, flow.source, flow.protocol, flow.source_port)
    destination = _narrowest(traffic.remote, flow.destination, flow.protocol, flow.destination_port)
    return None if source is None or destination is None else source + destination


def _narrowest(selectors: Iterable[str], ip: Ip, protocol: int, port: int) -> int | None:
    found = (_side(text).bits(ip, protocol, port) for text in selectors)
    return max((bits for bits in found if bits is not None), default=None)


@lru_cache(maxsize=1024)
def _side(text: str) -> _Side:
    matched = SELECTOR.fullmatch(text)
    if matched is None:
        raise ValueError(f"{text!r} is no traffic selector")
    word, first, last = matched["protocol"], matched["first"], matched["last"]
    protocol = 0 if word is None else PROTOCOLS[word] if word in PROTOCOLS else int(word)
    ports = range(0) if first is None else range(int(first), int(last or first) + 1)
    return _Side(tuple(networks(matched["addresses"])), protocol, ports)
