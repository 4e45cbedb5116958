"""Links: leave one alone for a while, and take that back."""

from typing import Annotated

from fastapi import APIRouter, Path

from mobike.facade.books import Scope
from mobike_api.deps import FacadeDep
from mobike_api.schemas import Accepted, LinkOrder
from mobike_api.scopes import needs

router = APIRouter(prefix="/links", tags=["Links"])

LinkPath = Annotated[
    str, Path(description="The name of a link.", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$", examples=["wwan0"])
]


@router.put("/{name}", status_code=202, summary="Avoid a link, or no longer")
@needs(Scope.OPERATE)
async def avoid_link(facade: FacadeDep, name: LinkPath, order: LinkOrder) -> Accepted:
    """Use a link only where nothing else is left, before maintenance for example; or as configured again."""
    facade.avoid(name, avoid=order.avoid)
    return Accepted(order="avoid" if order.avoid else "lift", target=name)
