"""What the API may see and do of the configuration: one Protocol and frozen views. No secret is in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

MOST_TOLD: Final = 3
"""Flaws that one sentence tells of; a list has them all."""


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A key that has another value. Secrets are masked."""

    key: str
    old: Any
    new: Any
    effect: str
    """What it means for SAs that live: `nothing`, `next`, `child`, `ike` or `restart`."""
    place: str | None
    """Where the new value is written: file and line; None: it is the default."""


@dataclass(frozen=True, slots=True)
class StepView:
    """What becomes of one connection."""

    connection: str
    what: str
    """`added`, `changed` or `removed`."""
    touch: str
    """What becomes of its IKE SAs: `nothing`, `next`, `rekey`, `reauthenticate` or `close`."""
    words: str
    """The same for people."""
    ike_sas: int
    """How many it has now."""
    changes: tuple[ChangeView, ...]


@dataclass(frozen=True, slots=True)
class PlanView:
    """What an edit does, or did."""

    steps: tuple[StepView, ...]
    rest: tuple[ChangeView, ...]
    """Of everything that is no connection."""
    restart: tuple[ChangeView, ...]
    """Not obeyed before the daemon starts anew."""
    warnings: tuple[str, ...]
    """What is unwise."""
    credentials: tuple["CredentialStepView", ...] = ()
    """Those that come, go, or become others."""
    revision: int | None = None
    """That it made; None: nothing was applied."""
    confirm_by: float | None = None
    """Without a confirmation it is taken back then, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class FlawView:
    """One thing that is wrong with a configuration."""

    detail: str
    key: str
    """Like `connections.office.remote[0]`."""
    place: str | None
    """File and line; None: it was sent."""
    connection: str | None = None
    """If it was sent with one: which connection it is about."""
    within: tuple[str | int, ...] = ()
    """And where in its table."""
    credential: str | None = None
    """The same of a credential."""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.key, self.detail) if part)


class Invalid(ValueError):
    """A configuration that cannot be in force: all that is wrong with it. Nothing has changed."""

    def __init__(self, flaws: Sequence[FlawView]) -> None:
        more = len(flaws) - MOST_TOLD
        told = [*map(str, flaws[:MOST_TOLD]), *([f"and {more} more"] if more > 0 else [])]
        super().__init__("; ".join(told))
        self.flaws = tuple(flaws)


@dataclass(frozen=True, slots=True)
class Author:
    """Who wants it, and how it came to us."""

    who: str
    origin: str
    """`signal`, `api`, `timer` or `start`."""


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A credential as it is sent. It is never told again."""

    kind: str
    content: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CredentialView:
    """A credential that the daemon keeps, without what it says."""

    name: str
    kind: str
    fingerprints: tuple[str, ...]
    """`sha256:` of a public key or of each certificate; `hmac-sha256:` of a secret, under a key of this daemon."""
    ends: float | None
    """When the first of its certificates does."""
    made: float
    changed: float
    used_by: tuple[str, ...]
    """Connections that name it."""


@dataclass(frozen=True, slots=True)
class CredentialStepView:
    """What becomes of one credential."""

    name: str
    what: str
    """`added`, `changed` or `removed`."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be another."""

    files: bool = False
    """Read them again."""
    connections: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    """Of the store: whole tables by name; None: it goes."""
    patches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The same as merge patches (RFC 7396)."""
    credentials: Mapping[str, NewCredential | None] = field(default_factory=dict)
    """Of the store, by name; None: it goes."""


@dataclass(frozen=True, slots=True)
class RevisionView:
    """A configuration that was in force."""

    number: int
    at: float
    who: str
    origin: str
    what: str
    """One line: what it changed."""
    current: bool


@dataclass(frozen=True, slots=True)
class RevisionPage:
    """Newest first; the next page is that before `before`, None at the end."""

    items: tuple[RevisionView, ...]
    before: int | None


@dataclass(frozen=True, slots=True)
class StateView:
    """The configuration in force."""

    revision: int
    since: float
    confirm_by: float | None
    """Without a confirmation it is taken back then."""
    restart: tuple[ChangeView, ...]
    """Written, and not obeyed before the daemon starts anew."""
    stored: tuple[str, ...]
    """Connections of the store; all others are of files."""
    pinned: bool = False
    """What the files said when this revision was made is in force, not what they say now: it is one that came back."""


@dataclass(frozen=True, slots=True)
class TableView:
    """One connection as it is written."""

    name: str
    place: str
    """File and line; or `the store`."""
    stored: bool
    """It was made over the API, and can be changed there."""
    table: Mapping[str, Any]
    """Only what is written, without secrets."""
    secrets: tuple[str, ...]
    """Keys that are written, and never shown."""
    mark: str | None = None
    """Another one as soon as any of these secrets is another; None: it has none, or is of a file."""


class Configurations(Protocol):
    """Everything the API can see and ask of the configuration."""

    def state(self) -> StateView: ...

    def table(self, name: str) -> TableView:
        """One connection, or NotFound."""
        ...

    def credentials(self) -> Sequence[CredentialView]:
        """Those of the store, by name."""
        ...

    async def plan(self, edit: Edit, *, keep: bool = False) -> PlanView:
        """What an edit would do; Invalid, or Refused."""
        ...

    async def apply(self, edit: Edit, by: Author, *, keep: bool = False, confirm_s: int | None = None) -> PlanView:
        """Do it, all of it or nothing; Invalid, NotFound, or Refused. `keep`: IKE SAs of connections that stay are left
        alone.

        `confirm_s`: it is taken back after so many seconds unless it is confirmed."""
        ...

    async def confirm(self, by: Author) -> StateView:
        """What waits for that stays; Refused if nothing does."""
        ...

    async def rollback(self, revision: int, by: Author, *, keep: bool = False) -> PlanView:
        """An earlier one comes back, as a new revision; or NotFound, Invalid, Refused."""
        ...

    def revisions(self, *, before: int | None = None, limit: int = 50) -> RevisionPage: ...

    async def changes(self, revision: int, *, since: int | None = None) -> PlanView:
        """What a revision says otherwise than another, None: than the one before it; or NotFound, Invalid, Refused."""
        ...
