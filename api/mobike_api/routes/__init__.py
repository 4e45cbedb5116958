"""The endpoints, by what they are about."""

from fastapi import APIRouter

from mobike_api.routes import addresses, connections, events, ike_sas, links, system

api = APIRouter(prefix="/api/v1")
for _part in (ike_sas, connections, events, addresses, links, system):
    api.include_router(_part.router)

__all__ = ["api", "system"]
