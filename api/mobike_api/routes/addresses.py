"""Local addresses: which there are, and a hand on the plug where the configuration allows it."""

from typing import Annotated

from fastapi import APIRouter, Path

from mobike.facade.books import Scope
from mobike_api.deps import FacadeDep
from mobike_api.schemas import Accepted, Address, Addresses, AddressOrder, Ip
from mobike_api.scopes import needs

router = APIRouter(prefix="/addresses", tags=["Addresses"])


@router.get("", summary="List local addresses")
@needs(Scope.READ)
async def list_addresses(facade: FacadeDep) -> Addresses:
    """Every local address and whether it can be used now."""
    return Addresses(items=tuple(map(Address.model_validate, facade.addresses())))


@router.put("/{ip}", status_code=202, summary="Plug or unplug an address")
@needs(Scope.OPERATE)
async def set_address(
    facade: FacadeDep, ip: Annotated[Ip, Path(description="A local address.")], order: AddressOrder
) -> Accepted:
    """Pull a cable without touching one. Only where the configuration says `[links] source = "manual"`."""
    facade.set_address(str(ip), available=order.available, announce=order.announce)
    return Accepted(order="plug" if order.available else "unplug", target=str(ip))
