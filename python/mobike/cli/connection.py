"""`mobike connection`: connections that are kept by the daemon, beside those of its files."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from mobike.cli import edits
from mobike.cli.api import Api, Json, Target
from mobike.cli.configuration import Keep, Output, print_told
from mobike.cli.failure import ExitCode, Failure

app = typer.Typer(
    help="Show how connections are written; make, replace and remove those that the daemon keeps itself.",
    no_args_is_help=True,
)

_LONGEST = 1 << 20
"""Characters of a connection."""

Name = Annotated[str, typer.Argument(help="A connection.")]
Out = Annotated[Output, typer.Option("--output", "-o", help="For people or for programs.")]


@app.command("show")
def show(context: typer.Context, name: Name) -> None:
    """Print how a connection is written, as JSON, and where. Secrets are named and not shown."""
    with Api(context.ensure_object(Target)) as api:
        print(json.dumps(edits.show(api, name), indent=2))


@app.command("set")
def set_(
    context: typer.Context,
    name: Name,
    file: Annotated[Path, typer.Argument(help="Its keys in TOML or JSON, without [connections.NAME]; - is the input.")],
    keep: Keep = False,
    output: Out = Output.TEXT,
) -> None:
    """Make a connection, or replace it. It is kept by the daemon; a name that stands in a file is refused."""
    with Api(context.ensure_object(Target)) as api:
        print_told(edits.put(api, name, _table(file), keep=keep), output)


@app.command("delete")
def delete(context: typer.Context, name: Name, output: Out = Output.TEXT) -> None:
    """Remove a connection that the daemon keeps; its IKE SAs are closed."""
    with Api(context.ensure_object(Target)) as api:
        print_told(edits.delete(api, name), output)


def _table(file: Path) -> Json:
    import tomllib  # noqa: PLC0415 - of this command alone

    try:
        text = sys.stdin.read(_LONGEST) if str(file) == "-" else file.read_text()
        read = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (OSError, ValueError) as problem:
        raise Failure(f"{file}: {problem}", code=ExitCode.USAGE) from None
    table: Json = read
    return table
