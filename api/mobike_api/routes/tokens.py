"""Tokens: make one, list them, revoke one."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from mobike.facade.books import Scope
from mobike_api.caller import caller_of
from mobike_api.deps import BooksDep
from mobike_api.schemas import Accepted
from mobike_api.schemas_books import NewToken, Token, TokenOrder, Tokens
from mobike_api.scopes import needs

router = APIRouter(prefix="/tokens", tags=["Tokens"])

TokenPath = Annotated[str, Path(alias="id", description="The id of a token.", pattern=r"^[0-9a-f]{12}$")]


@router.get("", summary="List tokens")
@needs(Scope.ADMIN)
async def list_tokens(books: BooksDep) -> Tokens:
    """All tokens, those that have expired among them. What they are made of is not kept."""
    return Tokens(items=tuple(map(Token.model_validate, books.access.tokens())))


@router.post("", status_code=201, summary="Make a token")
@needs(Scope.ADMIN)
async def make_token(request: Request, books: BooksDep, order: TokenOrder) -> NewToken:
    """The answer holds the token itself, and nobody will tell it again."""
    by = caller_of(request.scope).name
    token, text = await books.access.make_token(order.name, order.scope, order.lifetime_s, by=by)
    return NewToken(token=Token.model_validate(token), text=text)


@router.delete("/{id}", summary="Revoke a token")
@needs(Scope.ADMIN)
async def revoke_token(books: BooksDep, token: TokenPath) -> Accepted:
    """From the next request on it opens nothing."""
    await books.access.revoke_token(token)
    return Accepted(order="revoke", target=token)
