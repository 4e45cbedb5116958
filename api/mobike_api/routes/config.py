"""The configuration: what is in force, what an edit would do, and doing it."""

from collections.abc import Awaitable
from typing import Final

from fastapi import APIRouter, Request

from mobike.configurations import Author, Edit, FlawView, Invalid, PlanView
from mobike_api.deps import FacadeDep
from mobike_api.problems import ApiProblem, FieldError, Kind
from mobike_api.schemas_config import ConfigOrder, ConfigPlan, ConfigState

router = APIRouter(prefix="/config", tags=["Configuration"])

NOT_VALID: Final = Kind("invalid-configuration", "The configuration cannot be in force", 422)


@router.get("", summary="Show which configuration is in force")
async def show_config(facade: FacadeDep) -> ConfigState:
    """Its revision, and what of the files is not obeyed before a restart."""
    return ConfigState.model_validate(facade.configuration.state())


@router.post("/plan", summary="Say what an edit would do")
async def plan_config(facade: FacadeDep, order: ConfigOrder) -> ConfigPlan:
    """Which connections would come, change and go, and what would become of their IKE SAs. Nothing changes."""
    return await _told(facade.configuration.plan(Edit(), keep=order.keep))


@router.post("/apply", summary="Apply an edit")
async def apply_config(facade: FacadeDep, request: Request, order: ConfigOrder) -> ConfigPlan:
    """All of it or nothing: what is wrong with it is answered, and then nothing has changed."""
    return await _told(facade.configuration.apply(Edit(), author(request), keep=order.keep))


def author(request: Request) -> Author:
    """Who asks."""
    host = None if request.client is None else request.client.host
    return Author("the API" if not host else f"the API, from {host}", "api")


async def _told(done: Awaitable[PlanView]) -> ConfigPlan:
    try:
        return ConfigPlan.model_validate(await done)
    except Invalid as problem:
        raise ApiProblem(NOT_VALID, str(problem), errors=list(map(_error, problem.flaws))) from None


def _error(flaw: FlawView) -> FieldError:
    return FieldError(detail=str(flaw), pointer=flaw.pointer)
