"""`mobike list`: everything the daemon can list, by filters, for people and for programs."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Final

import typer

from mobike.cli.api import Api, Json, Target
from mobike.cli.completion import complete_connection, complete_link
from mobike.cli.draw import ago
from mobike.cli.lists import (
    ADDRESSES,
    AUDIT,
    CERTIFICATES,
    CHILD_SAS,
    CONNECTIONS,
    COUNTERS,
    EVENTS,
    IKE_SAS,
    LEASES,
    OPERATIONS,
    PATHS,
    POLICIES,
    POOLS,
    Kind,
    Reading,
)
from mobike.cli.output import Format, emit

app = typer.Typer(
    help="List what there is: IKE SAs, Child SAs, leases, paths, pools, certificates, and more.",
    no_args_is_help=True,
)

SHOWN: Final = 100
"""Rows of a table where nobody says how many."""

Out = Annotated[Format, typer.Option("--output", "-o", help="For people, or for programs.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=0, help="So many rows; 0: all, as programs get them anyway.")]
ByConnection = Annotated[
    str | None, typer.Option("--connection", "-C", help="Of this connection.", autocompletion=complete_connection)
]


@app.command("ike-sas")
def list_ike_sas(  # noqa: PLR0917 - options of a command line have names
    context: typer.Context,
    connection: ByConnection = None,
    state: Annotated[str | None, typer.Option(help="established, updating, waiting or away.")] = None,
    role: Annotated[str | None, typer.Option(help="initiator or responder.")] = None,
    transport: Annotated[str | None, typer.Option(help="udp or tcp.")] = None,
    local: Annotated[str | None, typer.Option(metavar="IP", help="On this address of ours.")] = None,
    remote: Annotated[str | None, typer.Option(metavar="IP", help="Whose peer is at this address.")] = None,
    output: Out = Format.TABLE,
    limit: Limit = SHOWN,
) -> None:
    """IKE SAs with their paths."""
    query = {
        "connection": connection,
        "state": state,
        "role": role,
        "transport": transport,
        "local": local,
        "remote": remote,
    }
    _list(context, IKE_SAS, query, output, limit)


@app.command("child-sas")
def list_child_sas(
    context: typer.Context,
    connection: ByConnection = None,
    name: Annotated[str | None, typer.Option(help="Of this name.")] = None,
    output: Out = Format.TABLE,
    limit: Limit = SHOWN,
) -> None:
    """Child SAs with their traffic."""
    _list(context, CHILD_SAS, {"connection": connection, "name": name}, output, limit)


@app.command("leases")
def list_leases(
    context: typer.Context, connection: ByConnection = None, output: Out = Format.TABLE, limit: Limit = SHOWN
) -> None:
    """Which peer has which inner address of us."""
    _list(context, LEASES, {"connection": connection}, output, limit)


@app.command("paths")
def list_paths(  # noqa: PLR0917
    context: typer.Context,
    local: Annotated[str | None, typer.Option(metavar="IP", help="From this address of ours.")] = None,
    remote: Annotated[str | None, typer.Option(metavar="IP", help="To this address.")] = None,
    link: Annotated[str | None, typer.Option(help="From this link.", autocompletion=complete_link)] = None,
    state: Annotated[str | None, typer.Option(help="verified, worked, untried, faded, silent, ..")] = None,
    output: Out = Format.TABLE,
    limit: Limit = SHOWN,
) -> None:
    """What is known of pairs of addresses."""
    _list(context, PATHS, {"local": local, "remote": remote, "link": link, "state": state}, output, limit)


@app.command("pools")
def list_pools(
    context: typer.Context, connection: ByConnection = None, output: Out = Format.TABLE, limit: Limit = SHOWN
) -> None:
    """Inner addresses that peers may lease, and how many are."""
    _list(context, POOLS, {"connection": connection}, output, limit)


@app.command("certificates")
def list_certificates(
    context: typer.Context, connection: ByConnection = None, output: Out = Format.TABLE, limit: Limit = SHOWN
) -> None:
    """Certificates that connections show or trust; the one that ends first is the first."""
    _list(context, CERTIFICATES, {"connection": connection}, output, limit)


@app.command("policies")
def list_policies(
    context: typer.Context, connection: ByConnection = None, output: Out = Format.TABLE, limit: Limit = SHOWN
) -> None:
    """By which rules it is decided where the IKE SAs of a connection go."""
    _list(context, POLICIES, {"connection": connection}, output, limit)


@app.command("connections")
def list_connections(context: typer.Context, output: Out = Format.TABLE, limit: Limit = SHOWN) -> None:
    """Connections and how they are."""
    _list(context, CONNECTIONS, {}, output, limit)


@app.command("addresses")
def list_addresses(context: typer.Context, output: Out = Format.TABLE, limit: Limit = SHOWN) -> None:
    """Addresses of this host, with their links."""
    _list(context, ADDRESSES, {}, output, limit)


@app.command("operations")
def list_operations(context: typer.Context, output: Out = Format.TABLE, limit: Limit = SHOWN) -> None:
    """Orders about many: those that run, and the last hundred that have ended."""
    _list(context, OPERATIONS, {}, output, limit)


@app.command("events")
def list_events(  # noqa: PLR0917
    context: typer.Context,
    connection: ByConnection = None,
    sa: Annotated[str | None, typer.Option("--sa", metavar="ID", help="Of this IKE SA.")] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND,..", help="moved, sa-down, ..: as `watch` names them.")
    ] = None,
    output: Out = Format.TABLE,
    limit: Limit = SHOWN,
) -> None:
    """What happened, newest first, as far as the daemon remembers; `watch` shows what happens."""
    _list(context, EVENTS, {"connection": connection, "sa": sa, "kind": kind}, output, limit)


@app.command("audit")
def list_audit(
    context: typer.Context,
    caller: Annotated[str | None, typer.Option(help="By this caller, as `mobike caller` says it.")] = None,
    action: Annotated[str | None, typer.Option(help="Of this operation of the API, like move_ike_sa.")] = None,
    output: Out = Format.TABLE,
    limit: Limit = SHOWN,
) -> None:
    """Who changed what over the API, or tried to, newest first."""
    _list(context, AUDIT, {"caller": caller, "action": action}, output, limit)


@app.command("counters")
def list_counters(context: typer.Context, output: Out = Format.TABLE, limit: Limit = 0) -> None:
    """Everything that the daemon counts; every drop has its reason."""
    _list(context, COUNTERS, {}, output, limit)


def _list(context: typer.Context, kind: Kind, query: dict[str, str | None], output: Format, limit: int) -> None:
    said: dict[str, str | int] = {name: value for name, value in query.items() if value is not None}
    for_people = output in {Format.TABLE, Format.WIDE}
    with Api(context.ensure_object(Target)) as api:
        rows = _rows(api, kind, said, limit + 1 if for_people and limit else 0)
        emit(
            map(_told, rows) if for_people else rows,
            kind.columns,
            output,
            limit=limit,
            empty=kind.empty,
        )


def _rows(api: Api, kind: Kind, query: dict[str, str | int], most: int) -> Iterable[Json]:
    match kind.reading:
        case Reading.STREAM:
            # More than a page holds comes as all there is.
            return api.lines(kind.path, query | ({"limit": most} if 0 < most <= _PAGE else {}))
        case Reading.WHOLE:
            items: list[Json] = api.get(kind.path, query)["items"]
            return items
        case Reading.BACK:
            return _back(api, kind.path, query, most)
        case Reading.COUNTS:
            counts = api.get(kind.path, query)[kind.path]
            return [{"name": name, "count": count} for name, count in sorted(counts.items())]


def _back(api: Api, path: str, query: dict[str, str | int], most: int) -> Iterator[Json]:
    """Page after page, as far as they are wanted."""
    left = most or None
    before: int | None = None
    while left is None or left > 0:
        asked = query | {"limit": min(left or _PAGE, _PAGE)} | ({} if before is None else {"before": before})
        page = api.get(path, asked)
        yield from page["items"]
        if (before := page["before"]) is None:
            return
        left = None if left is None else left - len(page["items"])


_PAGE: Final = 1000
"""The most that the API takes as a limit."""


def _told(row: Json) -> Json:
    """A row with what people want to know instead of a moment."""
    spans: dict[str, tuple[str, Callable[[float], str]]] = {
        "since": ("up", ago),
        "at": ("seen", lambda span: f"{ago(span)} ago"),
        "began": ("began_ago", lambda span: f"{ago(span)} ago"),
    }
    now = time.time()
    row = row | _in_words(row)
    if "seq" in row:
        row["when"] = f"{ago(now - row.pop('at'))} ago"
    return row | {name: say(now - row[key]) for key, (name, say) in spans.items() if key in row}


def _in_words(row: Json) -> Json:
    """Members that are tables of their own, in a few words."""
    said: Json = {}
    if "ranges" in row:
        said["rows"] = [f"{each['first']}-{each['last']}" for each in row["ranges"]]
    if "links" in row:
        said["rows"] = [_link(each) for each in row["links"]]
    if "not_after" in row:
        said["ends"] = time.strftime("%Y-%m-%d", time.gmtime(row["not_after"]))
    return said


def _link(rule: Json) -> str:
    if not rule["allowed"]:
        return f"not {rule['match']}"
    return f"{rule['match']} {rule['rank']}" + (f"/{rule['cost']}" if rule["cost"] else "")
