"""The record of changes."""

from typing import Annotated

from fastapi import APIRouter, Query

from mobike.facade.books import DeedView, Scope
from mobike_api.deps import BooksDep
from mobike_api.schemas_books import Deed, DeedPage, DeedQuery
from mobike_api.scopes import needs

router = APIRouter(prefix="/audit", tags=["Audit"])


@router.get("", summary="Show who changed what")
@needs(Scope.ADMIN)
async def list_deeds(books: BooksDep, query: Annotated[DeedQuery, Query()]) -> DeedPage:
    """Changes and attempts at changes, newest first. The record is bounded; the oldest go first."""
    page = await books.record.page(before=query.before, limit=query.limit, caller=query.caller, action=query.action)
    return DeedPage(items=tuple(map(_deed, page.items)), before=page.before)


def _deed(view: DeedView) -> Deed:
    deed = view.deed
    return Deed(
        seq=view.seq,
        at=deed.at,
        caller=deed.caller,
        address=deed.address,
        action=deed.action,
        target=deed.target,
        status=deed.status,
        problem=deed.problem,
        said=deed.said,
    )
