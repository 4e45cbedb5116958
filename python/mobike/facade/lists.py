"""Rows of lists that stand beside that of the IKE SAs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChildRow:
    """One Child SA, as a row of a list. What it has carried is told with its IKE SA: a core is asked for that."""

    id: str
    ike_sa: str
    connection: str
    name: str
    spi_in: str
    spi_out: str
    suite: str
    local_ts: tuple[str, ...]
    remote_ts: tuple[str, ...]
    encap: bool


@dataclass(frozen=True, slots=True)
class ChildRows:
    """Those of some IKE SAs, all of each; `after` is where the next part begins, None at the end."""

    items: tuple[ChildRow, ...]
    after: str | None
