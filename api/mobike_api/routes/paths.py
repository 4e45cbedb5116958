"""Paths: what is known of pairs of addresses."""

from typing import Annotated

from fastapi import APIRouter, Query

from mobike.facade.books import Scope
from mobike_api.deps import FacadeDep
from mobike_api.schemas_lists import PathQuery, PathRow, Paths
from mobike_api.scopes import needs

router = APIRouter(prefix="/paths", tags=["Paths"])


@router.get("", summary="List paths")
@needs(Scope.READ)
async def list_paths(facade: FacadeDep, query: Annotated[PathQuery, Query()]) -> Paths:
    """What our own IKE SAs have found out about pairs of addresses, the latest news first, a thousand at most. A
    gateway knows nothing of pairs to peers that call it: they choose, and it is told with each IKE SA where it is."""
    wanted = {
        "local": None if query.local is None else str(query.local),
        "remote": None if query.remote is None else str(query.remote),
        "link": query.link,
        "state": query.state,
    }
    said = {name: value for name, value in wanted.items() if value is not None}
    rows = (row for row in facade.list_paths() if all(getattr(row, name) == value for name, value in said.items()))
    return Paths(items=tuple(map(PathRow.model_validate, rows)))
