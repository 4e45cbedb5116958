"""The daemon itself: does it live, can it work, what has it counted."""

from fastapi import APIRouter

from mobike.facade.books import Scope
from mobike_api.deps import FacadeDep
from mobike_api.problems import NOT_READY, ApiProblem
from mobike_api.schemas import Counters, Health, Liveness, Readiness
from mobike_api.scopes import needs

router = APIRouter(tags=["Daemon"])
probes = APIRouter(tags=["Probes"])


@router.get("/counters", summary="Show counters")
@needs(Scope.METRICS)
async def show_counters(facade: FacadeDep) -> Counters:
    """All counters of engine, data plane and sockets. Every packet that was dropped was counted under its reason."""
    return Counters(counters=facade.counters())


@router.get("/health", summary="Show the daemon's health")
@needs(Scope.METRICS)
async def show_health(facade: FacadeDep) -> Health:
    """As the probes, with version and age."""
    return Health.model_validate(facade.health())


@probes.get("/livez", summary="Does the daemon live?")
async def livez(facade: FacadeDep) -> Liveness:
    """200 while the daemon's loop turns. Needs no token."""
    health = facade.health()
    if not health.live:
        raise ApiProblem(NOT_READY, "the daemon is not alive", reasons=health.reasons)
    return Liveness(live=True)


@probes.get("/readyz", summary="Can the daemon do its work?")
async def readyz(facade: FacadeDep) -> Readiness:
    """200 when it can, 503 with reasons when it cannot. Needs no token."""
    health = facade.health()
    if not health.ready:
        raise ApiProblem(NOT_READY, "the daemon is not ready", reasons=health.reasons)
    return Readiness(ready=True)
