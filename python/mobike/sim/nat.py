"""Translators, in the words of RFC 4787: which mapping a packet gets, whom the mapping lets in, and when it ends."""

from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Final, TypeAlias

from mobike.address import Endpoint, Ip, Nanos
from mobike.sim.world import SECOND

FIRST_PORT: Final = 1024
"""Ports below are not given out (RFC 4787 section 4.2.2)."""

STREAM_EXPIRY: Final = 7_440 * SECOND
"""Of mappings for TCP (RFC 5382 section 5)."""


class Depends(Enum):
    """On what of the outer end a mapping or a filter depends (RFC 4787 sections 4.1 and 5)."""

    NOTHING = "endpoint-independent"
    ADDRESS = "address-dependent"
    ENDPOINT = "address-and-port-dependent"


_Key: TypeAlias = tuple[Endpoint, Ip | Endpoint | None]


@dataclass(slots=True)
class _Mapping:
    inside: Endpoint
    key: _Key
    used: Nanos
    called: set[Ip | Endpoint | None] = field(default_factory=set)
    """Whom packets were sent to, as far as the filter cares."""


class Nat:
    """One translator with one outside address."""

    def __init__(
        self,
        outside: Ip,
        chance: Random,
        *,
        mapping: Depends = Depends.NOTHING,
        filtering: Depends = Depends.ENDPOINT,
        expiry: int = 120 * SECOND,
        fixed: Ip | None = None,
    ) -> None:
        """`expiry`: in nanoseconds, counted from the last packet out (section 4.3, REQ-6). `fixed`: a static NAT, which
        gives this inside address every port and lets everybody in."""
        self.outside = outside
        self.fixed = fixed
        self.forgot = 0
        """How often all mappings were lost."""
        self._chance = chance
        self._mapping = mapping
        self._filtering = filtering
        self._expiry = expiry
        self._by_port: dict[int, _Mapping] = {}
        self._by_key: dict[_Key, int] = {}
        self._of_streams: Nat | None = None

    @property
    def of_streams(self) -> "Nat":
        """The same for TCP, which has ports of its own, and mappings that last."""
        if self._of_streams is None:
            kinds: dict[str, Depends] = {"mapping": self._mapping, "filtering": self._filtering}
            self._of_streams = Nat(self.outside, self._chance, expiry=STREAM_EXPIRY, fixed=self.fixed, **kinds)
        return self._of_streams

    def outward(self, now: Nanos, inside: Endpoint, outer: Endpoint) -> Endpoint:
        """A packet leaves: its source as others see it."""
        if self.fixed is not None:
            return Endpoint(self.outside, inside.port)
        key = (inside, _part(self._mapping, outer))
        port = self._by_key.get(key)
        if port is not None and self._is_over(self._by_port[port], now):
            self._end(port)
            port = None
        if port is None:
            port = self._new(key, now)
        mapping = self._by_port[port]
        mapping.used = now
        mapping.called.add(_part(self._filtering, outer))
        return Endpoint(self.outside, port)

    def inward(self, now: Nanos, port: int, outer: Endpoint) -> Endpoint | None:
        """A packet comes in to this port: who gets it; None if nobody does."""
        if self.fixed is not None:
            return Endpoint(self.fixed, port)
        mapping = self._by_port.get(port)
        if mapping is None or self._is_over(mapping, now):
            return None
        return mapping.inside if _part(self._filtering, outer) in mapping.called else None

    def forget(self) -> None:
        """Lose all mappings, as a reboot does; new ones get other ports."""
        self.forgot += 1
        self._by_port.clear()
        self._by_key.clear()
        self._of_streams = None

    def _new(self, key: _Key, now: Nanos) -> int:
        while (port := self._chance.randrange(FIRST_PORT, 1 << 16)) in self._by_port:
            if self._is_over(self._by_port[port], now):
                self._end(port)
        self._by_port[port] = _Mapping(key[0], key, now)
        self._by_key[key] = port
        return port

    def _is_over(self, mapping: _Mapping, now: Nanos) -> bool:
        return now - mapping.used >= self._expiry

    def _end(self, port: int) -> None:
        del self._by_key[self._by_port.pop(port).key]


def _part(depends: Depends, outer: Endpoint) -> Ip | Endpoint | None:
    match depends:
        case Depends.NOTHING:
            return None
        case Depends.ADDRESS:
            return outer.ip
        case Depends.ENDPOINT:
            return outer
