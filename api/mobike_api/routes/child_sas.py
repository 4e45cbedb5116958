"""Child SAs of all IKE SAs."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import JSONResponse

from mobike.facade.books import Scope
from mobike_api import lists
from mobike_api.deps import FacadeDep
from mobike_api.routes.listing import LINES, PAGE, asked_of, told_as_lines, wants_lines
from mobike_api.schemas_lists import ChildPage, ChildQuery
from mobike_api.scopes import needs

router = APIRouter(prefix="/child-sas", tags=["Child SAs"])


@router.get("", summary="List Child SAs", response_model=ChildPage, responses=LINES)
@needs(Scope.READ)
async def list_child_sas(request: Request, facade: FacadeDep, query: Annotated[ChildQuery, Query()]) -> Response:
    """A page of Child SAs, in the order of their IKE SAs; those of one IKE SA are told together, so that a page may be
    some longer than `limit`. What one has carried is told with its IKE SA."""
    look = lists.child_sas(facade, connection=query.connection, name=query.name)
    if wants_lines(request):
        return told_as_lines(look, lists.CHILD_FIELDS, query)
    items, after = await lists.page(asked_of(look, lists.CHILD_FIELDS, query, limit=query.limit or PAGE))
    return JSONResponse({"items": items, "after": after})
