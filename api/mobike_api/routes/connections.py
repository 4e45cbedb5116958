"""Connections: what is configured, and the orders to bring it up or down."""

from fastapi import APIRouter

from mobike.facade.books import Scope
from mobike_api.deps import FacadeDep, NamePath
from mobike_api.schemas import Accepted, AwayOrder, Connection, Connections
from mobike_api.scopes import needs

router = APIRouter(prefix="/connections", tags=["Connections"])


@router.get("", summary="List connections")
@needs(Scope.READ)
async def list_connections(facade: FacadeDep) -> Connections:
    """Every configured connection and its state."""
    return Connections(items=tuple(map(Connection.model_validate, facade.connections())))


@router.post("/{name}/up", status_code=202, summary="Bring a connection up")
@needs(Scope.OPERATE)
async def bring_up(facade: FacadeDep, name: NamePath) -> Accepted:
    """Bring a connection up, and keep it up."""
    facade.up(name)
    return Accepted(order="up", target=name)


@router.post("/{name}/down", status_code=202, summary="Take a connection down")
@needs(Scope.OPERATE)
async def take_down(facade: FacadeDep, name: NamePath) -> Accepted:
    """Close all IKE SAs of a connection, and keep it down."""
    facade.down(name)
    return Accepted(order="down", target=name)


@router.post("/{name}/away", status_code=202, summary="Be away with a connection")
@needs(Scope.OPERATE)
async def go_away(facade: FacadeDep, name: NamePath, order: AwayOrder) -> Accepted:
    """Ask the peer for leave: it keeps the IKE SA and its inner address for so long, and sends nothing.

    An event `away` or `away-refused` says what it answered. Both ends must offer the extension `away`."""
    facade.away(name, order.span_s)
    return Accepted(order="away", target=name)


@router.post("/{name}/back", status_code=202, summary="Come back with a connection")
@needs(Scope.OPERATE)
async def come_back(facade: FacadeDep, name: NamePath) -> Accepted:
    """End being away, from the best pair of addresses there is by now."""
    facade.back(name)
    return Accepted(order="back", target=name)
