"""Connections: what is configured, and the orders to bring it up or down."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Query, Request

from mobike.facade.books import Scope
from mobike.facade.configuration import Edit
from mobike_api.deps import FacadeDep, NamePath
from mobike_api.routes.config import author, told
from mobike_api.schemas import Accepted, AwayOrder, Connection, Connections
from mobike_api.schemas_config import TABLE_KEYS, WHOLE_TABLE, ConfigPlan, ConnectionTable, EditQuery
from mobike_api.scopes import needs

router = APIRouter(prefix="/connections", tags=["Connections"])


@router.get("", summary="List connections")
@needs(Scope.READ)
async def list_connections(facade: FacadeDep) -> Connections:
    """Every configured connection and its state."""
    return Connections(items=tuple(map(Connection.model_validate, facade.connections())))


@router.get("/{name}", summary="Show how a connection is written")
@needs(Scope.READ)
async def show_connection(facade: FacadeDep, name: NamePath) -> ConnectionTable:
    """The keys that are written, and where; secrets are never shown."""
    return ConnectionTable.model_validate(facade.configuration.table(name))


Edits = Annotated[EditQuery, Query()]
_ABOUT: Final = "Keys and values as in [connections.NAME] of a file; docs/mobike.schema.json says their forms."
SomeKeys = Annotated[dict[str, Any], Body(description=_ABOUT, json_schema_extra=TABLE_KEYS)]
WholeTable = Annotated[dict[str, Any], Body(description=_ABOUT, json_schema_extra=WHOLE_TABLE)]


@router.put("/{name}", summary="Make a connection, or replace it")
@needs(Scope.CONFIGURE)
async def put_connection(
    facade: FacadeDep, request: Request, name: NamePath, table: WholeTable, query: Edits
) -> ConfigPlan:
    """It is kept in the store, beside those of the files; a name is owned by one of both. What names a program that the
    daemon runs (hooks, `policy`, `authorise`) is for files alone."""
    edit = Edit(connections={name: table})
    done = facade.configuration.apply(edit, author(request), keep=query.keep, confirm_s=query.confirm_s)
    return await told(done, named=False)


@router.patch("/{name}", summary="Change some keys of a connection")
@needs(Scope.CONFIGURE)
async def patch_connection(
    facade: FacadeDep, request: Request, name: NamePath, patch: SomeKeys, query: Edits
) -> ConfigPlan:
    """A merge patch (RFC 7396): null takes a key away. Secrets that are not named stay."""
    edit = Edit(patches={name: patch})
    done = facade.configuration.apply(edit, author(request), keep=query.keep, confirm_s=query.confirm_s)
    return await told(done, named=False)


@router.delete("/{name}", summary="Remove a connection")
@needs(Scope.CONFIGURE)
async def delete_connection(facade: FacadeDep, request: Request, name: NamePath, query: Edits) -> ConfigPlan:
    """One of the store; its IKE SAs are closed."""
    edit = Edit(connections={name: None})
    done = facade.configuration.apply(edit, author(request), keep=query.keep, confirm_s=query.confirm_s)
    return await told(done, named=False)


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
