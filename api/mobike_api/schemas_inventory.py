"""What connections rest on, as it is sent. It mirrors the views of `mobike.facade.inventory`."""

from typing import Annotated, Literal

from pydantic import Field

from mobike_api.schemas import Answer, Asked, Left


class PoolRange(Answer):
    """Inner addresses in a row."""

    first: str
    last: str
    size: int


class Pool(Answer):
    """Inner addresses that peers may lease."""

    name: str | None
    """As in `[pools.NAME]`; null: of one connection alone."""
    connections: tuple[str, ...]
    ranges: tuple[PoolRange, ...]
    sticky_s: float
    """A peer gets the address that it had before, for so long after it left; 0: whichever is free."""
    size: int
    """Addresses in all ranges."""
    leased: int
    """Those that peers have now: `GET /leases` says which."""


class Pools(Answer):
    """All pools, those with a name first."""

    items: tuple[Pool, ...]


class Certificate(Answer):
    """One certificate that connections show, or trust."""

    fingerprint: str
    """SHA-256 of it, in hexadecimal."""
    use: Literal["own", "issuer", "authority"]
    """Our own, one that we send behind it, or one at which peers' certificates must end."""
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


class Certificates(Answer):
    """All certificates; the one that ends first is the first."""

    items: tuple[Certificate, ...]


class LinkRule(Answer):
    """What is said of the links whose names match."""

    match: str
    rank: int
    cost: int
    allowed: bool


class Policy(Answer):
    """How it is decided which pair the SAs of a connection use, and what they carry."""

    connection: str
    role: Literal["initiator", "responder"]
    kind: str
    """`ordered`, or the operator's class that decides."""
    links: tuple[LinkRule, ...]
    """The first rule that matches a link speaks for it."""
    transports: tuple[str, ...]
    """`udp` is tried before `tcp`."""
    local_ts: tuple[str, ...]
    """What the first Child SA carries, on our side; empty: the inner address, or our outer one."""
    remote_ts: tuple[str, ...]
    blocks: bool
    """What they carry leaves protected or not at all (`while_down`)."""


class Policies(Answer):
    """One of each connection."""

    items: tuple[Policy, ...]


class InventoryQuery(Asked):
    """Which of them."""

    connection: Annotated[str, Field(max_length=64)] | Left = None
    """Of this connection only."""
