"""Inner addresses that peers have of us."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import JSONResponse

from mobike.facade.books import Scope
from mobike_api import lists
from mobike_api.deps import FacadeDep
from mobike_api.routes.listing import LINES, PAGE, asked_of, told_as_lines, wants_lines
from mobike_api.schemas_lists import LeasePage, LeaseQuery
from mobike_api.scopes import needs

router = APIRouter(prefix="/leases", tags=["Leases"])


@router.get("", summary="List leases", response_model=LeasePage, responses=LINES)
@needs(Scope.READ)
async def list_leases(request: Request, facade: FacadeDep, query: Annotated[LeaseQuery, Query()]) -> Response:
    """Who has which inner address now, in the order of IKE SAs."""
    look = lists.leases(facade, connection=query.connection)
    if wants_lines(request):
        return told_as_lines(look, lists.LEASE_FIELDS, query)
    items, after = await lists.page(asked_of(look, lists.LEASE_FIELDS, query, limit=query.limit or PAGE))
    return JSONResponse({"items": items, "after": after})
