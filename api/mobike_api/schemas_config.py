"""What is sent and received about the configuration. Answers mirror the views of `mobike.configurations`."""

from typing import Any

from pydantic import StrictBool

from mobike_api.schemas import Answer, Order


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


class ConfigOrder(Order):
    """An edit of the configuration. Nothing said: the files are read again, as `mobike reload` does."""

    keep: StrictBool = False
    """Leave the IKE SAs of connections that stay alone, whatever the change means for them."""
