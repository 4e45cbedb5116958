"""What connections rest on, as the API sees it: pools, certificates, and who decides about their SAs."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RangeView:
    """Inner addresses in a row."""

    first: str
    last: str
    size: int


@dataclass(frozen=True, slots=True)
class PoolView:
    """Inner addresses that peers may lease."""

    name: str | None
    """As in `[pools.NAME]`; None: of one connection alone."""
    connections: tuple[str, ...]
    ranges: tuple[RangeView, ...]
    sticky_s: float
    """A peer gets the address that it had before, for so long after it left; 0: whichever is free."""


@dataclass(frozen=True, slots=True)
class CertificateView:
    """One certificate that connections show, or trust."""

    fingerprint: str
    """SHA-256 of it, in hexadecimal."""
    use: str
    """`own`, `issuer` (sent behind our own), or `authority` (peers' certificates must end at it)."""
    connections: tuple[str, ...]
    subject: str
    issuer: str
    serial: str
    """In hexadecimal."""
    names: tuple[str, ...]
    """Further names of its owner, like `DNS:gw.example.net`."""
    not_before: float
    """In seconds since the epoch."""
    not_after: float
    key: str
    """Like `RSA 3072`, `ECDSA secp256r1` or `Ed25519`."""


@dataclass(frozen=True, slots=True)
class ExpiryView:
    """What is good for a time only: a certificate, a revocation list, an OCSP response."""

    use: str
    """As of a certificate; `crl`, `ocsp`; `api` and `api-authority` of the API over TLS."""
    name: str
    """Its subject, or whose list it is."""
    connections: tuple[str, ...]
    """That rest on it; none: the API does."""
    not_after: float
    """In seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class LinkRuleView:
    """What is said of the links whose names match."""

    match: str
    rank: int
    cost: int
    allowed: bool


@dataclass(frozen=True, slots=True)
class PolicyView:
    """How it is decided which pair the SAs of a connection use, and what they carry."""

    connection: str
    role: str
    kind: str
    """`ordered`, or the program that decides."""
    links: tuple[LinkRuleView, ...]
    """The first rule that matches a link speaks for it."""
    transports: tuple[str, ...]
    """`udp` is tried before `tcp`."""
    local_ts: tuple[str, ...]
    remote_ts: tuple[str, ...]
    blocks: bool
    """What they carry leaves protected or not at all (`while_down`)."""


class Inventory(Protocol):
    """Of the configuration in force."""

    def pools(self) -> tuple[PoolView, ...]: ...

    def certificates(self) -> tuple[CertificateView, ...]: ...

    def policies(self) -> tuple[PolicyView, ...]: ...

    def expiries(self) -> tuple[ExpiryView, ...]:
        """The one that ends first is the first."""
        ...
