"""Draining the gateway: all peers go on to another one."""

from fastapi import APIRouter

from mobike.facade.books import Scope
from mobike_api.deps import FacadeDep
from mobike_api.schemas import Accepted, RedirectOrder
from mobike_api.scopes import needs

router = APIRouter(prefix="/drain", tags=["Drain"])


@router.put("", status_code=202, summary="Send all peers on to another gateway")
@needs(Scope.OPERATE)
async def drain(facade: FacadeDep, order: RedirectOrder) -> Accepted:
    """Those that ask are sent on instead of served, and those that have an IKE SA are asked to go, 2,000 a second.
    Peers that do not know how (RFC 5685) stay. Until it is taken back, or the daemon ends."""
    facade.drain(order.to)
    return Accepted(order="drain", target=order.to[0])


@router.delete("", status_code=202, summary="Serve peers here again")
@needs(Scope.OPERATE)
async def serve(facade: FacadeDep) -> Accepted:
    """Those that went do not come back by themselves."""
    facade.drain(())
    return Accepted(order="serve", target="gateway")
