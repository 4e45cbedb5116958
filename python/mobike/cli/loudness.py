"""`mobike log`: how much is logged of single peers, for a while."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from mobike.cli.api import Api, Json, Target
from mobike.cli.completion import complete_peer
from mobike.cli.draw import table, text
from mobike.cli.failure import ExitCode, Failure
from mobike.cli.output import Format, show
from mobike.cli.plain import plain

app = typer.Typer(help="Log more of one peer, or less, for a while.", no_args_is_help=True)

Peer = Annotated[
    str,
    typer.Argument(help="Its address, its identity, a connection, or an IKE SA.", autocompletion=complete_peer),
]


@app.command("set")
def set_(
    context: typer.Context,
    peer: Peer,
    level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "debug",
    span: Annotated[str, typer.Option("--for", metavar="SPAN", help="Then it is over: 90s, 10m, 2h.")] = "10m",
) -> None:
    """From now on. With debug each event and each order about that peer is a line of its own."""
    with Api(context.ensure_object(Target)) as api:
        rule = api.post("log-levels", {"peer": peer, "level": level, "for_s": _seconds(span)})
    print(plain(f"{rule['peer']}: {rule['level']} until {_when(rule['until'])}"))


@app.command("list")
def list_(
    context: typer.Context,
    output: Annotated[Format, typer.Option("--output", "-o", help="For people, or for programs.")] = Format.TABLE,
) -> None:
    """Show the level of everything, and those of single peers."""
    with Api(context.ensure_object(Target)) as api:
        told: Json = api.get("log-levels")
    show(told, lambda _wide: _drawn(told), output)


@app.command("reset")
def reset(context: typer.Context, peer: Peer) -> None:
    """Log it like all others again."""
    with Api(context.ensure_object(Target)) as api:
        found = [each["id"] for each in api.get("log-levels")["items"] if each["peer"] == peer]
        if not found:
            raise Failure(f"{peer} has no level of its own", hint="mobike log list")
        for id_ in found:
            api.delete(f"log-levels/{id_}")
    print(plain(f"{peer} is logged like all others again"))


def _drawn(told: Json) -> Table:
    rows = table("peer", "level", "until", "by")
    for each in told["items"]:
        rows.add_row(*map(text, (each["peer"], each["level"], _when(each["until"]), each["by"])))
    rows.add_row("everybody else", text(told["general"]))
    return rows


def _seconds(span: str) -> int:
    from mobike.config.durations import parse_duration  # noqa: PLC0415 - config takes longer to import than this to do

    try:
        return max(1, parse_duration(span) // 1_000_000_000)
    except ValueError as problem:
        raise Failure(f"--for: {problem}", code=ExitCode.USAGE) from None


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
