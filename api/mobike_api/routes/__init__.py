"""The endpoints, by what they are about."""

from fastapi import APIRouter, Depends

from mobike_api.deps import each_once
from mobike_api.routes import addresses, connections, drain, events, ike_sas, links, system

api = APIRouter(prefix="/api/v1", dependencies=[Depends(each_once)])
for _part in (ike_sas, connections, drain, events, addresses, links, system):
    api.include_router(_part.router)

__all__ = ["api", "system"]
