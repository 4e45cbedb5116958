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
class PathRow:
    """What this host knows of one pair of addresses, whichever of its own SAs has found it out."""

    local: str
    remote: str
    transport: str
    link: str | None
    """Of our address; None: it is gone."""
    state: str
    """`verified`, `worked`, `untried`, `faded`, `silent`, `one-way`, `refused`, `unreachable`, or `into-tunnel`."""
    nat: str
    """`none`, `translated`, or `unknown`."""
    at: float
    """When that was seen last, in seconds since the epoch."""
    lapses: int
    """How often it worked and then did not, of late."""
    forward: bool | None
    """Path probes: what we send there arrives. None, like the next three, where nobody probes of late."""
    backward: bool | None
    rtt_ms: float | None
    loss: float | None
    """From 0 to 1."""


@dataclass(frozen=True, slots=True)
class ChildRows:
    """Those of some IKE SAs, all of each; `after` is where the next part begins, None at the end."""

    items: tuple[ChildRow, ...]
    after: str | None
