"""The endpoints, by what they are about."""

from fastapi import APIRouter, Depends

from mobike_api.deps import each_once
from mobike_api.routes import (
    addresses,
    attempts,
    audit,
    caller,
    captures,
    child_sas,
    config,
    connections,
    credentials,
    drain,
    events,
    ike_sas,
    inventory,
    leases,
    links,
    log_levels,
    metrics,
    operations,
    paths,
    system,
    tokens,
)
from mobike_api.scopes import permitted

api = APIRouter(prefix="/api/v1", dependencies=[Depends(permitted), Depends(each_once)])
for _part in (
    ike_sas,
    captures,
    child_sas,
    leases,
    inventory,
    paths,
    attempts,
    connections,
    credentials,
    config,
    drain,
    events,
    addresses,
    links,
    log_levels,
    operations,
    system,
    tokens,
    audit,
    caller,
):
    api.include_router(_part.router)

__all__ = ["api", "metrics", "system"]
