"""What is sent and received about the configuration. Answers mirror the views of `mobike.facade.configuration`."""

from typing import Annotated, Any, Final, Literal, TypeAlias

from fastapi import Path
from pydantic import Field, SecretStr, StrictBool

from mobike.facade.keys import KEYS, REQUIRED
from mobike_api.schemas import Answer, Asked, Left, Order

TABLE_KEYS: Final[dict[str, Any]] = {
    "properties": {name: {"description": meaning} for name, meaning in KEYS["connections.NAME"].items()},
    "additionalProperties": False,
}
"""Of a connection, for the description: which keys there are. Their values the configuration checks."""
WHOLE_TABLE: Final[dict[str, Any]] = {**TABLE_KEYS, "required": list(REQUIRED["connections.NAME"])}


CREDENTIAL_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
LONGEST_CREDENTIAL: Final = 49_152
"""Characters; with all around it, it fits into a body."""
CredentialKind = Literal[
    "psk",
    "ppk",
    "password",
    "users",
    "radius",
    "private-key",
    "certificate",
    "identity",
    "authority",
    "public-key",
]


class ConfigChange(Answer):
    """A key that has another value. Secrets are masked."""

    key: str
    """Like `connections.office.liveness`."""
    old: Any
    new: Any
    effect: str
    """What it means for SAs that live: `nothing`, `next`, `child`, `ike` or `restart`."""
    place: str | None
    """Where the new value is written: file and line; null: it is the default."""


class ConfigStep(Answer):
    """What becomes of one connection."""

    connection: str
    what: str
    """`added`, `changed` or `removed`."""
    touch: str
    """What becomes of its IKE SAs: `nothing`, `next` (the next ones have it), `rekey` (Child SAs are rekeyed),
    `reauthenticate` (another one is made first) or `close`."""
    words: str
    """The same for people."""
    ike_sas: int
    """How many it has now."""
    changes: tuple[ConfigChange, ...]


class CredentialStep(Answer):
    """What becomes of one credential."""

    name: str
    what: str
    """`added`, `changed` or `removed`."""


class ConfigPlan(Answer):
    """What an edit of the configuration does, or did."""

    steps: tuple[ConfigStep, ...]
    """Connections; those that stay as they are have none, and nothing happens to them."""
    rest: tuple[ConfigChange, ...]
    """Of everything that is no connection."""
    restart: tuple[ConfigChange, ...]
    """Not obeyed before the daemon starts anew."""
    warnings: tuple[str, ...]
    """What is unwise."""
    credentials: tuple[CredentialStep, ...]
    """Those that come, go, or become others."""
    revision: int | None
    """That it made; null: nothing was applied."""
    confirm_by: float | None
    """Without a confirmation it is taken back then, in seconds since the epoch; null: it stays."""


class ConfigState(Answer):
    """The configuration in force."""

    revision: int
    since: float
    """Seconds since the epoch."""
    confirm_by: float | None
    """Without a confirmation it is taken back then; null: it stays."""
    restart: tuple[ConfigChange, ...]
    """Written, and not obeyed before the daemon starts anew."""
    stored: tuple[str, ...]
    """Connections that were made over the API; all others are in files."""
    pinned: bool
    """What the files said when this revision was made is in force, not what they say now."""


class Revision(Answer):
    """A configuration that was in force."""

    number: int
    at: float
    """When it came into force, in seconds since the epoch."""
    who: str
    """Who wanted it."""
    origin: str
    """How that came: `api`, `signal`, `timer` (it was not confirmed) or `start`."""
    what: str
    """One line: what it changed."""
    current: bool
    """It is in force."""


class Revisions(Answer):
    """A page of revisions, newest first."""

    items: tuple[Revision, ...]
    before: int | None
    """Ask with this as `before` for the next page; null on the last."""


class ConnectionTable(Answer):
    """One connection as it is written, without its secrets."""

    name: str
    place: str
    """File and line; or `the store`."""
    stored: bool
    """It was made over the API, and can be changed there."""
    table: dict[str, Any]
    """Keys and values as in a file; only what is written."""
    secrets: tuple[str, ...]
    """Keys that are written, and never shown."""
    mark: str | None
    """`hmac-sha256:` of these secrets under a key that is this daemon's: another one as soon as any of them is another,
    so that the `ETag` is, too. It says nothing to who guesses. null: there are none, or they are of a file."""


class Credential(Answer):
    """A credential that the daemon keeps, without what it says."""

    name: str
    kind: str
    """What it is, as in the order that made it."""
    fingerprints: tuple[str, ...]
    """`sha256:` of the public key, or of each certificate; `hmac-sha256:` of a secret, under a key that is this
    daemon's: it says whether two are the same, and nothing to who guesses."""
    ends: float | None
    """When the first of its certificates does, in seconds since the epoch."""
    made: float
    changed: float
    """When it last became another one."""
    used_by: tuple[str, ...]
    """Connections that name it; while there are any it cannot go."""


class Credentials(Answer):
    """Credentials of the store, by name."""

    items: tuple[Credential, ...]


class CredentialOrder(Order):
    """A credential. It is taken, sealed, and never told."""

    kind: CredentialKind
    """`psk`, `ppk`, `password` (a client's, in EAP), `users` (a gateway's, in EAP: TOML), `radius`, `private-key`,
    `certificate` (with its chain), `identity` (both), `authority`, `public-key`."""
    content: Annotated[SecretStr, Field(min_length=1, max_length=LONGEST_CREDENTIAL)]
    """As in a file: a text, `0x` and hexadecimal digits or `0s` and base64 for keys, PEM."""


class ConfigOrder(Order):
    """An edit of the configuration."""

    reload: StrictBool = True
    """Read the files again, as `mobike reload` does."""
    connections: Annotated[
        dict[str, Annotated[dict[str, Any], Field(json_schema_extra=WHOLE_TABLE)] | None], Field(default_factory=dict)
    ]
    """Connections of the store, each as a whole, with the keys of a file; null: it goes."""
    credentials: Annotated[
        dict[Annotated[str, Field(pattern=CREDENTIAL_NAME)], CredentialOrder | None],
        Field(default_factory=dict, json_schema_extra={"additionalProperties": False}),
    ]
    """Credentials of the store; null: it goes. So a new one and the connections that name it are one edit."""
    keep: StrictBool = False
    """Leave the IKE SAs of connections that stay alone, whatever the change means for them."""
    confirm_s: Annotated[int, Field(ge=1, le=86_400)] | None = None
    """Take it back after so many seconds unless it is confirmed. It holds over a restart of the daemon."""


class RollbackOrder(Order):
    """Back to an earlier revision."""

    revision: Annotated[int, Field(ge=1, le=1 << 53)]
    keep: StrictBool = False
    """Leave the IKE SAs of connections that stay alone."""


class RevisionQuery(Asked):
    """Which part of the list."""

    limit: Annotated[int, Field(ge=1, le=500)] = 50
    """At most so many."""
    before: Annotated[int, Field(ge=1, le=1 << 53)] | Left = None
    """Before this one: `before` of the page before."""


RevisionPath: TypeAlias = Annotated[int, Path(ge=1, le=1 << 53)]


class ChangesQuery(Asked):
    """What it is compared with."""

    since: Annotated[int, Field(ge=1, le=1 << 53)] | Left = None
    """Another revision; left out: the one before it."""


class EditQuery(Asked):
    """How a connection is changed."""

    keep: bool = False
    """Leave its IKE SAs alone, whatever the change means for them."""
    confirm_s: Annotated[int, Field(ge=1, le=86_400)] | Left = None
    """Take it back after so many seconds unless it is confirmed."""
