"""Rows of lists that stand beside that of the IKE SAs, and what may be asked of them."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from mobike_api.lists import CHILD_FIELDS, LEASE_FIELDS
from mobike_api.schemas import Answer, Asked, Ip, Left, fields_pattern


class ChildRow(Answer):
    """One Child SA, as a row of a list."""

    id: str
    ike_sa: str
    """The IKE SA that it belongs to."""
    connection: str
    name: str
    """Which of the connection's Child SAs it is."""
    spi_in: str
    spi_out: str
    suite: str
    local_ts: tuple[str, ...]
    """Traffic on our side."""
    remote_ts: tuple[str, ...]
    """Traffic on the peer's side."""
    encap: bool
    """ESP goes in UDP (RFC 3948)."""


class ChildRowPart(ChildRow):
    """Of one Child SA what `fields` asked for."""

    model_config: ClassVar[ConfigDict] = ConfigDict(json_schema_extra=lambda schema: schema.update(required=[]))


class ChildPage(Answer):
    """A page of the list of Child SAs."""

    items: tuple[ChildRow, ...] | tuple[ChildRowPart, ...]
    """Whole, or what `fields` asked for."""
    after: str | None
    """Ask with this as `after` for the next page; null on the last."""


class ChildQuery(Asked):
    """Which part of the list."""

    limit: Annotated[int, Field(ge=1, le=1000)] | Left = None
    """About so many; 100 where nothing is said, and all in a stream of lines."""
    after: Annotated[str, Field(max_length=128)] | Left = None
    """From behind here: `after` of the page before."""
    connection: Annotated[str, Field(max_length=64)] | Left = None
    """Of this connection only."""
    name: Annotated[str, Field(max_length=64)] | Left = None
    """Only those of this name."""
    fields: Annotated[str, Field(pattern=fields_pattern(CHILD_FIELDS), max_length=256)] | Left = None
    """Only these members of each, with commas between: `id,ike_sa,suite`."""


class Lease(Answer):
    """An inner address that a peer has of us."""

    ip: str
    connection: str
    peer_id: str
    """Who has it."""
    ike_sa: str
    """By which IKE SA."""
    since: float
    """When that came up, in seconds since the epoch."""


class LeasePart(Lease):
    """Of one lease what `fields` asked for."""

    model_config: ClassVar[ConfigDict] = ConfigDict(json_schema_extra=lambda schema: schema.update(required=[]))


class LeasePage(Answer):
    """A page of the list of leases."""

    items: tuple[Lease, ...] | tuple[LeasePart, ...]
    """Whole, or what `fields` asked for."""
    after: str | None
    """Ask with this as `after` for the next page; null on the last."""


class LeaseQuery(Asked):
    """Which part of the list."""

    limit: Annotated[int, Field(ge=1, le=1000)] | Left = None
    """About so many; 100 where nothing is said, and all in a stream of lines."""
    after: Annotated[str, Field(max_length=128)] | Left = None
    """From behind here: `after` of the page before."""
    connection: Annotated[str, Field(max_length=64)] | Left = None
    """Of this connection only."""
    fields: Annotated[str, Field(pattern=fields_pattern(LEASE_FIELDS), max_length=256)] | Left = None
    """Only these members of each, with commas between: `ip,peer_id`."""


class PathRow(Answer):
    """What this host knows of one pair of addresses, whichever of its own IKE SAs has found it out."""

    local: str
    remote: str
    transport: str
    link: str | None
    """Of our address; null: it is gone."""
    state: Literal[
        "verified", "worked", "untried", "faded", "silent", "one-way", "refused", "unreachable", "into-tunnel"
    ]
    """What was last heard of it, and what that is worth now: `worked` and `faded` are old."""
    nat: Literal["none", "unknown", "translated"]
    at: float
    """When that was seen last, in seconds since the epoch."""
    lapses: int
    """How often it worked and then did not, of late: it rests the longer."""
    forward: bool | None
    """Path probes: what we send there arrives; null where nobody probes, like the next three."""
    backward: bool | None
    rtt_ms: float | None
    loss: float | None
    """From 0 to 1."""


class Paths(Answer):
    """Pairs, the latest news first."""

    items: tuple[PathRow, ...]


class PathQuery(Asked):
    """Which of the thousand with the latest news."""

    local: Ip | Left = None
    """From this address of ours."""
    remote: Ip | Left = None
    """To this address."""
    link: Annotated[str, Field(min_length=1, max_length=64)] | Left = None
    """From this link of ours."""
    state: (
        Literal["verified", "worked", "untried", "faded", "silent", "one-way", "refused", "unreachable", "into-tunnel"]
        | Left
    ) = None
