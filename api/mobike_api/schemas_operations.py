"""Operations, as they are sent and received."""

from typing import Annotated, Literal

from pydantic import Field

from mobike_api.operations import Kind, Phase
from mobike_api.schemas import Answer, Ip, Order

SaId = Annotated[str, Field(pattern=r"^[0-9A-Za-z._:-]{1,64}$")]


Gateway = Annotated[str, Field(min_length=1, max_length=253)]


class SelectionOrder(Order):
    """Which IKE SAs: those that fit all that is said. An empty one selects all. Of connections: `connection` alone."""

    ids: Annotated[tuple[SaId, ...], Field(min_length=1, max_length=1000)] | None = None
    connection: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    state: Literal["established", "updating", "waiting", "away"] | None = None
    role: Literal["initiator", "responder"] | None = None
    transport: Literal["udp", "tcp"] | None = None
    local: Ip | None = None
    """Those that use this address of ours."""
    remote: Ip | None = None
    """Those whose peer is at this address."""


class OperationOrder(Order):
    """An order about many IKE SAs or connections, or a drain."""

    order: Kind
    select: SelectionOrder | None = None
    """`{}` is all of them. Every order but a drain must say it."""
    local: Ip | None = None
    """Of `move`: our address. What is left out is chosen by policy."""
    remote: Ip | None = None
    """Of `move`: the peer's address."""
    span_s: Annotated[int, Field(ge=1, le=365 * 86_400)] | None = None
    """Of `away`: for so many seconds at most."""
    link: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$")] | None = None
    """Of `drain-link`: which one."""
    to: Annotated[tuple[Gateway, ...], Field(min_length=1, max_length=8)] | None = None
    """Of `drain`: gateways, by address or host name."""
    per_second: Annotated[int, Field(ge=1, le=1000)] = 200
    """So many at most are ordered in a second."""


class Failure(Answer):
    """An IKE SA, or a connection, that did not do what was ordered."""

    target: str
    """The id of the IKE SA, or the name of the connection."""
    why: str


class Operation(Answer):
    """How far an operation is."""

    id: str
    order: Kind
    by: str
    """Who ordered it."""
    phase: Phase
    """`running`, `done` (also where some have failed), or `cancelled`."""
    began: float
    """Seconds since the epoch."""
    ended: float | None
    total: int
    """IKE SAs or connections that were selected when it began."""
    done: int
    failed: int
    waiting: int
    """Ordered, and not heard of yet."""
    failures: tuple[Failure, ...]
    """The first hundred."""


class Operations(Answer):
    """Operations that run, and the last hundred that have ended; newest first."""

    items: tuple[Operation, ...]
