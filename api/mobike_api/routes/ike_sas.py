"""IKE SAs: the list, one with its pairs, and the orders to move, rekey or close it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import JSONResponse

from mobike.facade import Refused
from mobike.facade.books import Scope
from mobike_api import lists
from mobike_api.deps import ChildPath, FacadeDep, SaPath
from mobike_api.operations import Selection
from mobike_api.routes.listing import LINES, PAGE, asked_of, told_as_lines, wants_lines
from mobike_api.schemas import (
    Accepted,
    ChildOrder,
    ExplainQuery,
    Explanation,
    IkeSaDetail,
    IkeSaPage,
    IkeSaQuery,
    MoveOrder,
    RedirectOrder,
    RekeyOrder,
)
from mobike_api.schemas_exchanges import Exchange, ExchangeList
from mobike_api.scopes import needs

router = APIRouter(prefix="/ike-sas", tags=["IKE SAs"])


@router.get("", summary="List IKE SAs", response_model=IkeSaPage, responses=LINES)
@needs(Scope.READ)
async def list_ike_sas(request: Request, facade: FacadeDep, query: Annotated[IkeSaQuery, Query()]) -> Response:
    """A page of IKE SAs. Ask again with `after` of the answer as `after` until it is null; or ask with
    `Accept: application/x-ndjson` for all of them as one stream of lines."""
    selection = _selection(query)
    look = lists.ike_sas(facade, selection)
    if wants_lines(request):
        return told_as_lines(look, lists.FIELDS, query)
    items, after = await lists.page(asked_of(look, lists.FIELDS, query, limit=query.limit or PAGE))
    # How many fit is told where that is known without looking at all.
    plain = selection == Selection(connection=selection.connection)
    total = facade.list_ike_sas(limit=1, connection=selection.connection).total if plain else None
    return JSONResponse({"items": items, "after": after, "total": total})


@router.get("/{id}", summary="Show an IKE SA")
@needs(Scope.READ)
async def show_ike_sa(facade: FacadeDep, sa: SaPath) -> IkeSaDetail:
    """One IKE SA with its children, every pair that could carry it as policy ranks them, and why it is where it is."""
    return IkeSaDetail.model_validate(facade.ike_sa(sa))


@router.get("/{id}/explain", summary="Explain where an IKE SA is, or would be")
@needs(Scope.READ)
async def explain_ike_sa(facade: FacadeDep, sa: SaPath, query: Annotated[ExplainQuery, Query()]) -> Explanation:
    """What policy says of this IKE SA now, or would say without a link or an address of ours. Changes nothing."""
    return Explanation.model_validate(facade.explain(sa, without=query.without))


@router.get("/{id}/exchanges", summary="List the last exchanges of an IKE SA")
@needs(Scope.READ)
async def list_exchanges(facade: FacadeDep, sa: SaPath) -> ExchangeList:
    """What its ends asked each other since it came up, or since the daemon started: the last sixteen, with how often
    each was sent and how long its answer took. Tests of the peer that are answered at once are told as one."""
    return ExchangeList(items=tuple(map(Exchange.model_validate, facade.exchanges(sa))))


@router.put("/{id}/pin", status_code=202, summary="Keep an IKE SA where it is")
@needs(Scope.OPERATE)
async def pin_ike_sa(facade: FacadeDep, sa: SaPath) -> Accepted:
    """The pair that it uses now is kept while it can be used, whatever policy prefers: as after a move to it."""
    facade.pin(sa)
    return Accepted(order="pin", target=sa)


@router.delete("/{id}/pin", status_code=202, summary="Let policy choose again")
@needs(Scope.OPERATE)
async def unpin_ike_sa(facade: FacadeDep, sa: SaPath) -> Accepted:
    """Take an order to move back."""
    facade.unpin(sa)
    return Accepted(order="unpin", target=sa)


@router.post("/{id}/move", status_code=202, summary="Move an IKE SA")
@needs(Scope.OPERATE)
async def move_ike_sa(facade: FacadeDep, sa: SaPath, order: MoveOrder) -> Accepted:
    """Use this pair from now on. The move itself takes a round trip to the peer; the events tell how it ends."""
    if order.local is None and order.remote is None:
        raise Refused("nothing is said of where to", hint="say local, remote, or both")
    if order.local and order.remote and order.local.version != order.remote.version:
        raise Refused(f"{order.local} and {order.remote} are of different families", field="remote")
    facade.move(sa, local=_text(order.local), remote=_text(order.remote))
    return Accepted(order="move", target=sa)


@router.post("/{id}/probe", status_code=202, summary="Ask the peer of an IKE SA for a sign of life")
@needs(Scope.OPERATE)
async def probe_ike_sa(facade: FacadeDep, sa: SaPath) -> Accepted:
    """Over the path in use, now. An event `probe-answered` tells the round trip; `path-silent` that there is none."""
    facade.probe(sa)
    return Accepted(order="probe", target=sa)


@router.post("/{id}/rekey", status_code=202, summary="Rekey an IKE SA")
@needs(Scope.OPERATE)
async def rekey_ike_sa(facade: FacadeDep, sa: SaPath, order: RekeyOrder) -> Accepted:
    """New keys for the IKE SA, or for each of its Child SAs. Id, path and traffic stay; its SPIs are others then."""
    facade.rekey(sa, children=order.children)
    return Accepted(order="rekey", target=sa)


@router.post("/{id}/reauth", status_code=202, summary="Reauthenticate an IKE SA")
@needs(Scope.OPERATE)
async def reauthenticate_ike_sa(facade: FacadeDep, sa: SaPath) -> Accepted:
    """Set up another IKE SA, with new proofs of both ends and Child SAs of its own; then this one ends."""
    facade.reauth(sa)
    return Accepted(order="reauth", target=sa)


@router.post("/{id}/redirect", status_code=202, summary="Send the peer of an IKE SA on to another gateway")
@needs(Scope.OPERATE)
async def redirect_ike_sa(facade: FacadeDep, sa: SaPath, order: RedirectOrder) -> Accepted:
    """The peer sets up an IKE SA there and ends this one; if it has not after a minute, we do (RFC 5685)."""
    facade.redirect(sa, order.to)
    return Accepted(order="redirect", target=sa)


@router.post("/{id}/children", status_code=202, summary="Open a Child SA")
@needs(Scope.OPERATE)
async def open_child(facade: FacadeDep, sa: SaPath, order: ChildOrder) -> Accepted:
    """Open one more of the Child SAs that the connection names. An event says what came of it."""
    facade.open_child(sa, order.name)
    return Accepted(order="open-child", target=order.name)


@router.delete("/{id}/children/{child}", status_code=202, summary="Close a Child SA")
@needs(Scope.OPERATE)
async def close_child(facade: FacadeDep, sa: SaPath, child: ChildPath) -> Accepted:
    """Delete one Child SA; the others and the IKE SA stay. It stays closed until it is opened, or the IKE SA is new."""
    facade.close_child(sa, child)
    return Accepted(order="close-child", target=child)


@router.delete("/{id}", status_code=202, summary="Close an IKE SA")
@needs(Scope.OPERATE)
async def close_ike_sa(facade: FacadeDep, sa: SaPath) -> Accepted:
    """Delete the IKE SA and all its Child SAs; the peer is told. A connection that starts by itself comes up again."""
    facade.close(sa)
    return Accepted(order="close", target=sa)


def _selection(query: IkeSaQuery) -> Selection:
    return Selection(
        connection=query.connection,
        state=query.state,
        role=query.role,
        transport=query.transport,
        local=_text(query.local),
        remote=_text(query.remote),
    )


def _text(ip: object | None) -> str | None:
    return None if ip is None else str(ip)
