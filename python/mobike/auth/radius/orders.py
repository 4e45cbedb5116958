"""Servers, and what is sent to them."""

from dataclasses import dataclass, field

from mobike.address import Ip

Place = tuple[Ip, int]
"""Where a server listens."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, and the secret it knows us by."""

    ip: Ip
    port: int
    secret: bytes = field(repr=False)
    accounting: int = 0
    """The port for accounts; 0: it wants none."""


@dataclass(frozen=True, slots=True)
class RadiusOrders:
    """Who judges the peers of a connection."""

    name: str
    """What we call ourselves (NAS-Identifier)."""
    servers: tuple[Server, ...]
    """Most wanted first."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A datagram for a server."""

    ip: Ip
    port: int
    octets: bytes = field(repr=False)
