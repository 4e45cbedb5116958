"""Who calls: found out once for each request, and then carried in the ASGI scope."""

from dataclasses import dataclass
from typing import Final

from starlette.types import Scope as AsgiScope

from mobike.facade.books import Scope

_KEY: Final = "mobike.caller"

ANYBODY: Final = "anybody"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, from where, and what they may do."""

    name: str
    """For people and for the record: `user 0`, `token 3f2a (deploy)`."""
    address: str
    """An IP address, or `unix`."""
    scope: Scope | None
    """None: a stranger, for whom only what is open to all is there."""


def remember(scope: AsgiScope, caller: Caller) -> None:
    scope[_KEY] = caller


def caller_of(scope: AsgiScope) -> Caller:
    """As it was found out; a stranger if nobody did."""
    found = scope.get(_KEY)
    return found if isinstance(found, Caller) else Caller(ANYBODY, address_of(scope), None)


def address_of(scope: AsgiScope) -> str:
    client = scope.get("client")
    return str(client[0]) if client and client[0] else "unix"
