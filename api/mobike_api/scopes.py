"""What a caller must be allowed for each operation. What nobody has said anything about is for administrators."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from fastapi import Request

from mobike.facade.books import Scope
from mobike_api.caller import caller_of
from mobike_api.problems import FORBIDDEN, ApiProblem

_NEEDED: Final[dict[str, Scope]] = {}
"""By operation id, which is the name of the function."""

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def needs(scope: Scope) -> Callable[[Endpoint], Endpoint]:
    """Say what callers of an endpoint must be allowed."""

    def marked(endpoint: Endpoint) -> Endpoint:
        name = endpoint.__name__
        if name in _NEEDED:
            raise ValueError(f"two endpoints are called {name}")
        _NEEDED[name] = scope
        return endpoint

    return marked


def needed(operation: str) -> Scope:
    """What callers of this operation must be allowed."""
    return _NEEDED.get(operation, Scope.ADMIN)


async def permitted(request: Request) -> None:
    """Let those pass that are allowed to."""
    caller, wanted = caller_of(request.scope), needed(request.scope["endpoint"].__name__)
    if caller.scope is None or not caller.scope.covers(wanted):
        has = "nothing" if caller.scope is None else f"'{caller.scope.value}'"
        hint = f"use a token of scope '{wanted.value}'; mobike token create makes one"
        raise ApiProblem(FORBIDDEN, f"this needs scope '{wanted.value}', and {caller.name} has {has}", hint=hint)
