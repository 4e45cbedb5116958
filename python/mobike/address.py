"""Addresses, endpoints, pairs and paths: the words everything else is said in.

A *pair* (RFC 4555: "a source and destination address") is what policy chooses between. A *path* is a pair with its
ports, and is what the engine and the data plane work on.
"""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NewType, Self, TypeAlias

Ip: TypeAlias = IPv4Address | IPv6Address

Nanos = NewType("Nanos", int)
"""Nanoseconds on the shell's monotonic clock."""

SaId = NewType("SaId", int)
"""One IKE SA; stays the same when the SA is rekeyed."""

ChildId = NewType("ChildId", int)
"""One Child SA: both directions together."""

Generation = NewType("Generation", int)
"""The version of a decision about one SA: answers that carry an older one are about the past."""

Token = NewType("Token", int)
"""Names an order to connect until the SA it makes has an id."""


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One end of a path: an address and a UDP port."""

    ip: Ip
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `192.0.2.1:4500` or `[2001:db8::1]:4500`; ValueError says what is wrong."""
        host, separator, port = text.rpartition(":")
        if not separator or not port.isdigit():
            raise ValueError(f"{text!r} is not ADDRESS:PORT")
        return cls(ip_address(host.removeprefix("[").removesuffix("]")), int(port))

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if self.ip.version == 6 else f"{self.ip}:{self.port}"


class Transport(StrEnum):
    """What goes between two addresses."""

    UDP = "udp"
    TCP = "tcp"
    """A stream (RFC 9329)."""

    @property
    def suffix(self) -> str:
        return "" if self is Transport.UDP else " (TCP)"


@dataclass(frozen=True, slots=True)
class Pair:
    """A local and a remote address of one family that could carry an SA, in UDP or in TCP."""

    local: Ip
    remote: Ip
    transport: Transport = Transport.UDP

    @property
    def in_udp(self) -> "Pair":
        """The same addresses: routes do not depend on what goes there."""
        return self if self.transport is Transport.UDP else Pair(self.local, self.remote)

    def __str__(self) -> str:
        return f"{self.local} -> {self.remote}{self.transport.suffix}"


@dataclass(frozen=True, slots=True)
class Path:
    """A pair with its ports, seen from this host."""

    local: Endpoint
    remote: Endpoint
    transport: Transport = Transport.UDP

    @property
    def pair(self) -> Pair:
        return Pair(self.local.ip, self.remote.ip, self.transport)

    def __str__(self) -> str:
        return f"{self.local} -> {self.remote}{self.transport.suffix}"
