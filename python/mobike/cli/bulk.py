"""`mobike order`: one order about many IKE SAs or connections, followed to its end; and the operations behind it."""

import json
import secrets
import sys
import time
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from mobike.cli.api import Api, Json, Target
from mobike.cli.completion import complete_connection, complete_link, complete_local, complete_operation, complete_sa
from mobike.cli.draw import table, text
from mobike.cli.failure import ExitCode, Failure
from mobike.cli.plain import plain

KINDS: Final = (
    "move", "pin", "unpin", "probe", "rekey", "rekey-children", "reauthenticate", "terminate", "up", "down", "away",
    "back", "drain-link", "drain",
)  # fmt: skip
OF_CONNECTIONS: Final = ("up", "down", "away", "back")
DRAINS: Final = ("drain-link", "drain")
LOOK_EVERY_S: Final = 0.1
FAILURES_SHOWN: Final = 10

app = typer.Typer(help="Follow or cancel orders about many.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="An operation.", autocompletion=complete_operation)]


def order(  # noqa: PLR0917 - options of a command line have names
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="ORDER", help=", ".join(KINDS), autocompletion=lambda: [*KINDS])],
    every: Annotated[bool, typer.Option("--all", help="Of all of them; without it say which.")] = False,
    ids: Annotated[
        list[str] | None, typer.Option("--id", help="This IKE SA; several times.", autocompletion=complete_sa)
    ] = None,
    connection: Annotated[
        str | None, typer.Option("--connection", "-C", help="Of this connection.", autocompletion=complete_connection)
    ] = None,
    state: Annotated[str | None, typer.Option(help="In this state: established, updating, waiting, away.")] = None,
    role: Annotated[str | None, typer.Option(help="initiator or responder.")] = None,
    transport: Annotated[str | None, typer.Option(help="udp or tcp.")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="IP", help="On this address of ours.", autocompletion=complete_local)
    ] = None,
    peer: Annotated[str | None, typer.Option(metavar="IP", help="Whose peer is at this address.")] = None,
    local: Annotated[
        str | None,
        typer.Option(metavar="IP", help="Of move: to this address of ours.", autocompletion=complete_local),
    ] = None,
    remote: Annotated[str | None, typer.Option(metavar="IP", help="Of move: to this address of the peer.")] = None,
    link: Annotated[str | None, typer.Option(help="Of drain-link: this one.", autocompletion=complete_link)] = None,
    to: Annotated[list[str] | None, typer.Option(metavar="GATEWAY", help="Of drain: on to this one.")] = None,
    span: Annotated[str, typer.Option("--for", metavar="TIME", help="Of away: at most so long.")] = "8h",
    per_second: Annotated[
        int, typer.Option("--per-second", min=1, max=1000, help="So many at most are ordered.")
    ] = 200,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait: print its ID.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON.")] = False,
) -> None:
    """Order something of many at once, at a pace that storms nobody, and follow it. Ctrl-C cancels what is left of it.

    Ends with 0 when all have done it, and with 1 when one has not.
    """
    if kind not in KINDS:
        raise Failure(f"{kind!r} is no order", code=ExitCode.USAGE, hint=f"one of {', '.join(KINDS)}")
    select = {
        "ids": ids or None,
        "connection": connection,
        "state": state,
        "role": role,
        "transport": transport,
        "local": at,
        "remote": peer,
    }
    select = {name: value for name, value in select.items() if value is not None}
    body = _body(kind, select, every=every) | {"per_second": per_second}
    extra = {
        "local": local,
        "remote": remote,
        "link": link,
        "to": to or None,
        "span_s": _seconds(span) if kind == "away" else None,
    }
    body |= {name: value for name, value in extra.items() if value is not None}
    with Api(context.ensure_object(Target)) as api:
        begun = api.post("operations", body, headers={"Idempotency-Key": secrets.token_hex(16)})
        if detach:
            print(begun["id"])
            return
        told = follow_to_end(api, begun, quiet=as_json)
    finish(told, as_json=as_json)


@app.command("show")
def show(context: typer.Context, operation: Id) -> None:
    """Print how far it is, as JSON."""
    with Api(context.ensure_object(Target)) as api:
        print(json.dumps(api.get(f"operations/{operation}"), indent=2))


@app.command("follow")
def follow(context: typer.Context, operation: Id) -> None:
    """Follow it to its end, like `order` does. Ctrl-C leaves it running."""
    with Api(context.ensure_object(Target)) as api:
        told = follow_to_end(api, api.get(f"operations/{operation}"), cancels=False)
    finish(told)


@app.command("cancel")
def cancel(context: typer.Context, operation: Id) -> None:
    """Order nothing more of it. What was ordered goes on."""
    with Api(context.ensure_object(Target)) as api:
        told = api.delete(f"operations/{operation}")
    print(f"{operation}: cancelled after {told['done'] + told['failed'] + told['waiting']:,} of {told['total']:,}")


def follow_to_end(api: Api, told: Json, *, cancels: bool = True, quiet: bool = False) -> Json:
    """Show progress until it has ended; what came of it."""
    from mobike.cli.bar import bar  # noqa: PLC0415 - what few commands need would hold up all of them

    try:
        with bar(more="more", disable=quiet) as shown:
            task = shown.add_task(told["order"], total=None, more="")
            while told["phase"] == "running":
                told = api.get(f"operations/{told['id']}")
                shown.update(
                    task,
                    total=told["total"] or None,
                    completed=told["done"] + told["failed"],
                    more=_more(told),
                )
                if told["phase"] == "running":
                    time.sleep(LOOK_EVERY_S)
    except KeyboardInterrupt:
        if cancels:
            api.delete(f"operations/{told['id']}")
            print(f"mobike: {told['id']} is cancelled; what was ordered goes on", file=sys.stderr)
        else:
            print(f"mobike: {told['id']} goes on", file=sys.stderr)
        raise
    return told


def finish(told: Json, *, as_json: bool = False) -> None:
    """Say what came of it, and end so."""
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        print(plain(summary(told)))
        if told["failures"]:
            rows = table("failed", "why")
            for each in told["failures"][:FAILURES_SHOWN]:
                rows.add_row(text(each["target"] or "-", "bold"), text(each["why"], "red"))
            console = Console(highlight=False)
            console.print(rows)
            more = told["failed"] - min(len(told["failures"]), FAILURES_SHOWN)
            if more > 0:
                console.print(f"... and {more:,} more", style="dim")
    if told["failed"] or told["phase"] != "done":
        sys.exit(ExitCode.FAILED)


def summary(told: Json) -> str:
    """One line."""
    took = max(0.0, (told["ended"] or told["began"]) - told["began"])
    parts = [f"{told['done']:,} of {told['total']:,} done"]
    if told["failed"]:
        parts.append(f"{told['failed']:,} failed")
    if told["phase"] == "cancelled":
        parts.append("cancelled")
    return f"{told['order']}: {', '.join(parts)} in {took:.1f} s"


def _more(told: Json) -> str:
    parts = [f"{told['failed']:,} failed"] if told["failed"] else []
    return ", ".join([*parts, f"{told['waiting']:,} waited for"])


def _body(kind: str, select: dict[str, Any], *, every: bool) -> Json:
    if kind in DRAINS:
        if select or every:
            raise Failure(f"{kind} is of all that there are: say nothing else", code=ExitCode.USAGE)
        return {"order": kind}
    if kind in OF_CONNECTIONS and set(select) - {"connection"}:
        raise Failure(f"{kind} is of connections: only --connection says which", code=ExitCode.USAGE)
    if bool(select) is every:
        what = "--all, or which" if not every else "--all or which, not both"
        raise Failure(f"say of whom: {what}", code=ExitCode.USAGE, hint=f"like: mobike order {kind} --connection NAME")
    return {"order": kind, "select": select}


def _seconds(span: str) -> int:
    from mobike.config.durations import parse_duration  # noqa: PLC0415 - config takes longer to import than most to do

    try:
        seconds = parse_duration(span) // 1_000_000_000
    except ValueError as problem:
        raise Failure(str(problem), code=ExitCode.USAGE) from None
    if seconds < 1:
        raise Failure("--for must be a second or more", code=ExitCode.USAGE)
    return seconds
