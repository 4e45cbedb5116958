"""Connections: what is configured, and the orders to bring it up or down."""

from fastapi import APIRouter

from mobike_api.deps import FacadeDep, NamePath
from mobike_api.schemas import Accepted, Connection, Connections

router = APIRouter(prefix="/connections", tags=["Connections"])


@router.get("", summary="List connections")
async def list_connections(facade: FacadeDep) -> Connections:
    """Every configured connection and its state."""
    return Connections(items=tuple(map(Connection.model_validate, facade.connections())))


@router.post("/{name}/up", status_code=202, summary="Bring a connection up")
async def bring_up(facade: FacadeDep, name: NamePath) -> Accepted:
    """Bring a connection up, and keep it up."""
    facade.up(name)
    return Accepted(order="up", target=name)


@router.post("/{name}/down", status_code=202, summary="Take a connection down")
async def take_down(facade: FacadeDep, name: NamePath) -> Accepted:
    """Close all IKE SAs of a connection, and keep it down."""
    facade.down(name)
    return Accepted(order="down", target=name)
