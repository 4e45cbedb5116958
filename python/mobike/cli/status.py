"""What is shown of a daemon, taken in one go."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from mobike.cli.api import Api, Json
from mobike.cli.failure import Failure, Missing


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A daemon at one moment. IKE SAs may be fewer than there are: `total` counts them all."""

    health: Json
    connections: list[Json]
    ike_sas: list[Json]
    total: int

    def as_json(self) -> Json:
        return {
            "health": self.health,
            "connections": self.connections,
            "ike_sas": self.ike_sas,
            "total": self.total,
        }


def snapshot(api: Api, limit: int) -> Snapshot:
    """The daemon with its connections and at most `limit` IKE SAs in full."""
    page = api.get("ike-sas", {"limit": max(limit, 1)})
    return Snapshot(
        health=api.get("health"),
        connections=api.get("connections")["items"],
        ike_sas=list(_in_full(api, page["items"][:limit])),
        total=page["total"],
    )


def _in_full(api: Api, rows: list[Json]) -> Iterator[Json]:
    for row in rows:
        try:
            yield detail(api, row["id"])
        except Missing:
            continue  # it ended while we asked


def detail(api: Api, sa: str) -> Json:
    """One IKE SA in full."""
    return api.get(f"ike-sas/{quote(sa, safe='')}")


def explanation(api: Api, sa: str, without: str | None) -> Json:
    """What one IKE SA would do."""
    return api.get(f"ike-sas/{quote(sa, safe='')}/explain", None if without is None else {"without": without})


def find_sa(api: Api, name: str) -> str:
    """The id of an IKE SA, named by its id or by a connection that has only this one."""
    names = {connection["name"] for connection in api.get("connections")["items"]}
    if name not in names:
        try:
            found: str = detail(api, name)["sa"]["id"]
        except Missing:
            raise Failure(f"there is no connection and no IKE SA {name!r}", hint="'mobike status' lists both") from None
        return found
    page = api.get("ike-sas", {"connection": name, "limit": 1})
    match page["items"], page["total"]:
        case [only], 1:
            return str(only["id"])
        case [], _:
            raise Failure(f"{name} has no IKE SA", hint=f"bring it up with 'mobike up {name}'")
        case _:
            raise Failure(f"{name} has {page['total']} IKE SAs", hint="name one by its id; 'mobike status' lists them")
