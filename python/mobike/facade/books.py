"""Who may do what over the API, and who did: tokens and the record of changes, as the API sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol


class Scope(Enum):
    """What a caller may do. Each of them allows what those before it allow."""

    METRICS = "metrics"
    """Numbers and health: nothing that tells who the peers are."""
    READ = "read"
    OPERATE = "operate"
    """Orders: up, down, move, rekey, drain."""
    CONFIGURE = "configure"
    ADMIN = "admin"
    """Tokens and the record of changes."""

    def covers(self, needed: "Scope") -> bool:
        return _LADDER.index(self) >= _LADDER.index(needed)


_LADDER: Final = tuple(Scope)


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token that was given out. What it is made of is known to its holder alone."""

    id: str
    name: str
    scope: Scope
    made: float
    """Seconds since the epoch, like `expires`."""
    expires: float
    made_by: str


@dataclass(frozen=True, slots=True)
class Deed:
    """One change, or an attempt at one."""

    at: float
    """Seconds since the epoch."""
    caller: str
    address: str
    """From where: an IP address, or `unix`."""
    action: str
    """The operation's id in the OpenAPI document."""
    target: str
    """Method and path."""
    status: int
    """The HTTP status that it ended with."""
    problem: str | None
    """The name of the problem's type, where it ended with one."""
    said: str | None
    """What was ordered, as JSON; of what may hold secrets only the names of its members."""


@dataclass(frozen=True, slots=True)
class DeedView:
    """A deed in the record; numbers grow."""

    seq: int
    deed: Deed


@dataclass(frozen=True, slots=True)
class DeedPage:
    """Deeds, newest first; the next page begins before `before`, None at the end."""

    items: tuple[DeedView, ...]
    before: int | None


class BooksError(Exception):
    """What must be written cannot be; one line says why."""


class Access(Protocol):
    """Tokens. None of them is kept, only what proves one."""

    def holder(self, token: str) -> TokenView | None:
        """Whose token this is; None if it is none of ours, or no longer. Takes as long for either."""
        ...

    def tokens(self) -> Sequence[TokenView]:
        """All, those that have expired among them until they are revoked."""
        ...

    async def make_token(self, name: str, scope: Scope, lifetime_s: int, *, by: str) -> tuple[TokenView, str]:
        """A new token and its text, which nobody will tell again. Refused if there are too many."""
        ...

    async def revoke_token(self, id_: str) -> None:
        """From now on it opens nothing; or NotFound."""
        ...


class Record(Protocol):
    """The record of changes. Bounded: the oldest go first."""

    async def write(self, deed: Deed) -> None:
        """It is in the file when this returns; BooksError if it cannot be."""
        ...

    async def page(self, *, before: int | None, limit: int, caller: str | None, action: str | None) -> DeedPage: ...


class Books(Protocol):
    """Both, in one file."""

    @property
    def access(self) -> Access: ...

    @property
    def record(self) -> Record: ...

    def close(self) -> None: ...
