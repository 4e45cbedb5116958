"""What `mobike list` can list: where the API tells it, and the columns that people see."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from mobike.cli.draw import state as state_of
from mobike.cli.output import Column


class Reading(Enum):
    """How the API tells a list."""

    STREAM = auto()
    """As lines, whatever its length."""
    WHOLE = auto()
    """At once."""
    BACK = auto()
    """In pages, newest first."""
    COUNTS = auto()
    """As one object of numbers."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One list of the API."""

    path: str
    columns: tuple[Column, ...]
    empty: str
    reading: Reading = Reading.STREAM


IKE_SAS: Final = Kind(
    "ike-sas",
    (
        Column("id", wide=True),
        Column("connection", style="bold"),
        Column("peer_id", "peer", gives=True),
        Column("state", paint=state_of),
        Column("local", spare=1, gives=True),
        Column("remote", gives=True),
        Column("virtual_ips", "inner", spare=3, gives=True),
        Column("role", wide=True),
        Column("transport", wide=True),
        Column("nat", wide=True),
        Column("mobike", wide=True),
        Column("suite", wide=True),
        Column("moves", ">moves", spare=4),
        Column("up", ">up", spare=2),
    ),
    "There is no such IKE SA.",
)
CHILD_SAS: Final = Kind(
    "child-sas",
    (
        Column("id", wide=True),
        Column("connection", style="bold"),
        Column("name"),
        Column("local_ts", "here", gives=True),
        Column("remote_ts", "there", gives=True),
        Column("suite", spare=1),
        Column("encap", "in UDP", wide=True),
        Column("spi_in", wide=True),
        Column("spi_out", wide=True),
        Column("ike_sa", "IKE SA", wide=True),
    ),
    "There is no such Child SA.",
)
LEASES: Final = Kind(
    "leases",
    (
        Column("ip", style="bold"),
        Column("connection"),
        Column("peer_id", "peer", gives=True),
        Column("up", ">for"),
        Column("ike_sa", "IKE SA", wide=True),
    ),
    "No peer has an inner address.",
)
PATHS: Final = Kind(
    "paths",
    (
        Column("local"),
        Column("remote"),
        Column("transport", wide=True),
        Column("link"),
        Column("state", style="bold"),
        Column("nat", spare=4),
        Column("rtt_ms", ">RTT ms", spare=1),
        Column("loss", ">loss", spare=2),
        Column("lapses", ">lapses", wide=True),
        Column("seen", ">seen", spare=3),
    ),
    "Nothing is known of any path.",
    Reading.WHOLE,
)
POOLS: Final = Kind(
    "pools",
    (
        Column("name", style="bold"),
        Column("connections", gives=True),
        Column("rows", "addresses", gives=True),
        Column("leased", ">leased"),
        Column("size", ">of"),
        Column("sticky_s", ">sticky s", wide=True),
    ),
    "There is no pool.",
    Reading.WHOLE,
)
CERTIFICATES: Final = Kind(
    "certificates",
    (
        Column("subject", style="bold", gives=True),
        Column("use"),
        Column("connections", gives=True, spare=1),
        Column("ends"),
        Column("key", spare=2),
        Column("issuer", wide=True),
        Column("names", wide=True),
        Column("serial", wide=True),
        Column("fingerprint", wide=True),
    ),
    "No connection uses a certificate.",
    Reading.WHOLE,
)
POLICIES: Final = Kind(
    "policies",
    (
        Column("connection", style="bold"),
        Column("role", spare=2),
        Column("kind", "policy", gives=True),
        Column("rows", "links", gives=True),
        Column("transports", spare=1),
        Column("local_ts", "here", wide=True),
        Column("remote_ts", "there", wide=True),
        Column("blocks", wide=True),
    ),
    "There is no connection.",
    Reading.WHOLE,
)
CONNECTIONS: Final = Kind(
    "connections",
    (
        Column("name", "connection", style="bold"),
        Column("role", spare=1),
        Column("state", paint=state_of),
        Column("ike_sas", ">IKE SAs"),
        Column("children", wide=True),
        Column("last_error", "last error", style="red", gives=True),
    ),
    "There is no connection.",
    Reading.WHOLE,
)
ADDRESSES: Final = Kind(
    "addresses",
    (Column("ip", style="bold"), Column("link"), Column("available"), Column("standing")),
    "This host has no address that could be used.",
    Reading.WHOLE,
)
OPERATIONS: Final = Kind(
    "operations",
    (
        Column("id", style="bold"),
        Column("order"),
        Column("phase"),
        Column("done", ">done"),
        Column("failed", ">failed"),
        Column("waiting", ">waiting", spare=1),
        Column("total", ">of"),
        Column("by", spare=2),
        Column("began_ago", ">began"),
    ),
    "There was no operation since the daemon began.",
    Reading.WHOLE,
)
EVENTS: Final = Kind(
    "events/past",
    (
        Column("seq", wide=True),
        Column("when", ">when"),
        Column("kind", style="bold"),
        Column("connection", spare=1),
        Column("sa", "IKE SA", wide=True),
        Column("text", "what happened", gives=True),
    ),
    "Nothing of this kind has happened, as far as the daemon remembers.",
    Reading.BACK,
)
AUDIT: Final = Kind(
    "audit",
    (
        Column("seq", wide=True),
        Column("when", ">when"),
        Column("caller", style="bold"),
        Column("address", "from", spare=2),
        Column("target", "what", gives=True),
        Column("said", wide=True),
        Column("status", ">status"),
        Column("problem", gives=True, spare=1),
    ),
    "Nobody has changed anything.",
    Reading.BACK,
)
COUNTERS: Final = Kind(
    "counters",
    (Column("name"), Column("count", ">count", style="bold")),
    "Nothing was counted yet.",
    Reading.COUNTS,
)
