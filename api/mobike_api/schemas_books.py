"""Tokens and the record of changes, as they are sent and received."""

from typing import Annotated, Final

from pydantic import Field

from mobike.facade.books import Scope
from mobike_api.schemas import Answer, Asked, Left, Order

LONGEST_LIFE_S: Final = 366 * 86_400


class Token(Answer):
    """A token that was given out."""

    id: str
    name: str
    scope: Scope
    """What its holder may do: `metrics`, `read`, `operate`, `configure` or `admin`; each allows those before it."""
    made: float
    """Seconds since the epoch."""
    expires: float
    """Seconds since the epoch; from then on it opens nothing."""
    made_by: str


class Tokens(Answer):
    """All tokens."""

    items: tuple[Token, ...]


class NewToken(Answer):
    """A new token, and what it is made of."""

    token: Token
    text: str
    """To be sent as `Authorization: Bearer TEXT`. Only its hash is kept."""


class TokenOrder(Order):
    """Make a token."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$")]
    """Who or what it is for."""
    scope: Scope = Scope.READ
    lifetime_s: Annotated[int, Field(ge=60, le=LONGEST_LIFE_S)] = 90 * 86_400
    """How long it opens anything."""


class Deed(Answer):
    """A change, or an attempt at one."""

    seq: int
    at: float
    """Seconds since the epoch."""
    caller: str
    address: str
    """From where: an IP address, or `unix`."""
    action: str
    """The operation's id in this document."""
    target: str
    """Method and path."""
    status: int
    """The HTTP status that it ended with."""
    problem: str | None
    """The name of the problem's type, where it ended with one."""
    said: str | None
    """What was ordered, as JSON; of what may hold secrets only the names of its members."""


class DeedPage(Answer):
    """A page of the record, newest first."""

    items: tuple[Deed, ...]
    before: int | None
    """Ask with this as `before` for the next page; null on the last."""


class DeedQuery(Asked):
    """Which part of the record."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """At most so many."""
    before: Annotated[int, Field(ge=1, le=1 << 62)] | Left = None
    """Older than this: `before` of the page before."""
    caller: Annotated[str, Field(max_length=128)] | Left = None
    """Of this caller only."""
    action: Annotated[str, Field(max_length=64)] | Left = None
    """Of this operation only."""
