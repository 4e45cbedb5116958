"""Attempts: why something did not come up."""

from typing import Annotated

from fastapi import APIRouter, Query

from mobike.facade.books import Scope
from mobike_api.deps import FacadeDep
from mobike_api.schemas_attempts import Attempt, AttemptQuery, Attempts
from mobike_api.scopes import needs

router = APIRouter(prefix="/attempts", tags=["Attempts"])


@router.get("", summary="List attempts")
@needs(Scope.READ)
async def list_attempts(facade: FacadeDep, query: Annotated[AttemptQuery, Query()]) -> Attempts:
    """What was tried of late and did not come about, ours and that of peers: what was offered beside what is taken,
    where they part first, and what to do. The last eight of each peer are kept, of a thousand peers that nobody knows.
    What came up after that is told too; what came up at once is not."""
    found = facade.attempts(peer=query.peer, limit=query.limit)
    return Attempts(items=tuple(map(Attempt.model_validate, found)))
