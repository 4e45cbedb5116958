"""`mobike list`: everything the daemon can list, by filters, for people and for programs."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from mobike.cli.api import Api, Json, Target
from mobike.cli.completion import complete_connection, complete_link
from mobike.cli.draw import ago
from mobike.cli.draw import state as state_of
from mobike.cli.output import Column, Format, emit

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


@dataclass(frozen=True, slots=True)
class Kind:
    """One list of the API."""

    path: str
    columns: tuple[Column, ...]
    empty: str
    streams: bool = True
    """The API tells it as lines, whatever its length."""


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
    streams=False,
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
    streams=False,
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
    streams=False,
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
    streams=False,
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
    streams=False,
)
ADDRESSES: Final = Kind(
    "addresses",
    (Column("ip", style="bold"), Column("link"), Column("available"), Column("standing")),
    "This host has no address that could be used.",
    streams=False,
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
    streams=False,
)


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
    if kind.streams:
        # More than a page holds comes as all there is.
        return api.lines(kind.path, query | ({"limit": most} if 0 < most <= _PAGE else {}))
    items: list[Json] = api.get(kind.path, query)["items"]
    return items


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
