"""Who asks: for those who hold a token and want to know what it opens."""

from fastapi import APIRouter, Request

from mobike.facade.books import Scope
from mobike_api.caller import caller_of
from mobike_api.schemas import Caller
from mobike_api.scopes import needs

router = APIRouter(tags=["Tokens"])


@router.get("/caller", summary="Say who asks")
@needs(Scope.METRICS)
async def show_caller(request: Request) -> Caller:
    """Who you are for the daemon, and what you may do."""
    caller = caller_of(request.scope)
    return Caller(name=caller.name, scope=caller.scope or Scope.METRICS)
