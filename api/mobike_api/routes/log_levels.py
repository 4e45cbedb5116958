"""Levels of the log, of single peers and for a while."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from mobike.facade.books import Scope
from mobike_api.caller import caller_of
from mobike_api.deps import FacadeDep
from mobike_api.schemas_loudness import LogLevels, LogRule, LogRuleOrder
from mobike_api.scopes import needs

router = APIRouter(prefix="/log-levels", tags=["System"])

RulePath = Annotated[str, Path(alias="id", description="The id of a level.", pattern=r"^[0-9a-f]{16}$")]


@router.get("", summary="List levels of the log")
@needs(Scope.READ)
async def list_log_levels(facade: FacadeDep) -> LogLevels:
    """That of everything, and those of single peers."""
    levels = facade.log_levels
    return LogLevels(general=levels.general(), items=tuple(map(LogRule.model_validate, levels.rules())))


@router.post("", status_code=201, summary="Log more of a peer, or less")
@needs(Scope.OPERATE)
async def set_log_level(facade: FacadeDep, request: Request, order: LogRuleOrder) -> LogRule:
    """For a while, then it is logged like all others again. One of the same peer is replaced; 32 have one at most."""
    by = caller_of(request.scope).name
    return LogRule.model_validate(facade.log_levels.set_rule(order.peer, order.level, order.for_s, by=by))


@router.delete("/{id}", summary="Log a peer like all others again")
@needs(Scope.OPERATE)
async def end_log_level(facade: FacadeDep, rule: RulePath) -> LogLevels:
    """Now, whatever time is left."""
    facade.log_levels.end_rule(rule)
    return await list_log_levels(facade)
