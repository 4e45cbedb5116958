"""Names that a shell may offer: those of the daemon that runs. Where none answers there are none, and nobody
complains."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, cast

import typer

from mobike.cli.api import Api, Target
from mobike.cli.failure import Failure

_MOST: Final = 200
"""Names that are offered: a terminal shows no more."""


def complete_connection(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Connections, with how they are."""
    return _offer(context, incomplete, _connections)


def complete_sa(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """IKE SAs and connections."""
    return _offer(context, incomplete, lambda api: [*_connections(api), *_ike_sas(api)])


def complete_peer(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Peers of whom something failed of late."""
    return _offer(context, incomplete, _peers)


def complete_link(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Links of this host."""
    return _offer(context, incomplete, lambda api: [(each["link"], each["ip"]) for each in _items(api, "addresses")])


def complete_local(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Addresses of this host."""
    return _offer(context, incomplete, lambda api: [(each["ip"], each["link"]) for each in _items(api, "addresses")])


def complete_operation(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Operations, with what they are."""
    return _offer(
        context,
        incomplete,
        lambda api: [(each["id"], f"{each['order']}, {each['phase']}") for each in _items(api, "operations")],
    )


def _connections(api: Api) -> list[tuple[str, str]]:
    return [(each["name"], each["state"]) for each in _items(api, "connections")]


def _ike_sas(api: Api) -> list[tuple[str, str]]:
    rows = api.get("ike-sas", {"limit": _MOST, "fields": "id,peer_id"})["items"]
    return [(each["id"], each["peer_id"]) for each in rows]


def _peers(api: Api) -> list[tuple[str, str]]:
    names: dict[str, str] = {}
    for each in api.get("attempts", {"limit": _MOST})["items"]:
        for name in (each["peer_id"], each["peer"], each["connection"]):
            if name:
                names.setdefault(name, each["reason"])
    return [*names.items()]


def _items(api: Api, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.get(path)["items"]
    return items


def _offer(
    context: typer.Context, incomplete: str, names: Callable[[Api], list[tuple[str, str]]]
) -> list[tuple[str, str]]:
    try:
        with Api(_target(context)) as api:
            found = dict(names(api))
    except (Failure, OSError, LookupError, TypeError):
        return []
    fitting = ((name, about) for name, about in found.items() if name.startswith(incomplete) and name.isprintable())
    return [each for each, _ in zip(fitting, range(_MOST), strict=False)]


def _target(context: typer.Context) -> Target:
    """What was said before the command, or stands in the environment."""
    said = dict(_said(context))
    files = {name: Path(said[name]) for name in ("socket", "token_file", "ca_file") if name in said}
    return Target(url=said.get("url"), **files)


def _said(context: typer.Context | None) -> Iterator[tuple[str, str]]:
    while context is not None:
        yield from ((name, str(value)) for name, value in context.params.items() if value and name in _OF_TARGET)
        context = cast("typer.Context | None", context.parent)


_OF_TARGET: Final = ("socket", "url", "token_file", "ca_file")
