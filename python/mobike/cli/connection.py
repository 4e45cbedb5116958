"""`mobike connection`: connections that are kept by the daemon, beside those of its files."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from mobike.cli import edits
from mobike.cli.api import Api, Json, Target
from mobike.cli.configuration import Keep, Out, print_told
from mobike.cli.failure import ExitCode, Failure
from mobike.cli.output import Format
from mobike.cli.plain import plain

app = typer.Typer(
    help="Show how connections are written; make, edit, replace and remove those that the daemon keeps itself.",
    no_args_is_help=True,
)

_LONGEST = 1 << 20
"""Characters of a connection."""

Name = Annotated[str, typer.Argument(help="A connection.")]
IfMatch = Annotated[
    str | None,
    typer.Option(
        "--if-match", metavar="TAG", help="Only while it is as it was for 'show --tag'; else nothing changes."
    ),
]
New = Annotated[bool, typer.Option("--new", help="Only if there is none of this name yet.")]


@app.command("show")
def show(
    context: typer.Context,
    name: Name,
    tag: Annotated[
        bool, typer.Option("--tag", help="Only what --if-match takes: another one after each change.")
    ] = False,
) -> None:
    """Print how a connection is written, as JSON, and where. Secrets are named and not shown."""
    with Api(context.ensure_object(Target)) as api:
        told, now = edits.show(api, name)
    print(now if tag else json.dumps(told, indent=2))


@app.command("set")
def set_(
    context: typer.Context,
    name: Name,
    file: Annotated[Path, typer.Argument(help="Its keys in TOML or JSON, without [connections.NAME]; - is the input.")],
    *,
    keep: Keep = False,
    if_match: IfMatch = None,
    new: New = False,
    output: Out = Format.TABLE,
) -> None:
    """Make a connection, or replace it. It is kept by the daemon; a name that stands in a file is refused."""
    only, table = edits.only_if(if_match, new=new), _table(file)
    with Api(context.ensure_object(Target)) as api:
        print_told(edits.put(api, name, table, keep=keep, only=only), output)


@app.command("edit")
def edit(context: typer.Context, name: Name, keep: Keep = False, output: Out = Format.TABLE) -> None:
    """Open a connection that the daemon keeps in $VISUAL or $EDITOR, and obey what was saved.

    Only what was edited changes: secrets, which are not shown, stay. If somebody else changed it meanwhile, nothing
    does.
    """
    with Api(context.ensure_object(Target)) as api:
        told, tag = edits.show(api, name)
    if not told["stored"]:
        raise Failure(f"{name} is written in {told['place']}", hint="edit that, then 'mobike reload'")
    draft = _draft(name, told)
    done: Json | None = None
    try:
        if changes := edits.merge_patch(told["table"], _saved(name, draft)):
            with Api(context.ensure_object(Target)) as api:
                done = edits.patch(api, name, changes, keep=keep, only={"If-Match": tag})
    except Failure as failure:
        hint = f"{failure.hint}; " if failure.hint else ""
        raise Failure(str(failure), code=failure.code, hint=f"{hint}your text is kept in {draft}") from None
    draft.unlink()
    if done is None:
        print(plain(f"{name}: nothing was changed"))
    else:
        print_told(done, output)


@app.command("delete")
def delete(context: typer.Context, name: Name, if_match: IfMatch = None, output: Out = Format.TABLE) -> None:
    """Remove a connection that the daemon keeps; its IKE SAs are closed."""
    with Api(context.ensure_object(Target)) as api:
        print_told(edits.delete(api, name, only=edits.only_if(if_match, new=False)), output)


def _table(file: Path) -> Json:
    import tomllib  # noqa: PLC0415 - of this command alone

    try:
        text = sys.stdin.read(_LONGEST) if str(file) == "-" else file.read_text()
        read = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (OSError, ValueError) as problem:
        raise Failure(f"{file}: {problem}", code=ExitCode.USAGE) from None
    table: Json = read
    return table


def _draft(name: str, told: Json) -> Path:
    """A file for its owner alone."""
    from mobike.swanctl.writer import write  # noqa: PLC0415 - of this command alone

    heading = "Saved, it is obeyed; unchanged, nothing happens."
    if told["secrets"]:
        heading += f"\nNot shown, and kept if not written here: {', '.join(told['secrets'])}."
    descriptor, path = tempfile.mkstemp(prefix="mobike-", suffix=".toml")
    with os.fdopen(descriptor, "w") as file:
        file.write(write({"connections": {name: told["table"]}}, heading))
    return Path(path)


def _saved(name: str, draft: Path) -> Json:
    """What the editor leaves."""
    import tomllib  # noqa: PLC0415

    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        code = subprocess.run([*shlex.split(editor), str(draft)], check=False).returncode
    except OSError as problem:
        raise Failure(f"{editor}: {problem.strerror}", code=ExitCode.USAGE, hint="set EDITOR") from None
    if code != 0:
        raise Failure(f"{editor} ended with {code}")
    try:
        table: Json = tomllib.loads(draft.read_text())["connections"][name]
    except (OSError, ValueError) as problem:
        raise Failure(f"{draft}: {problem}", code=ExitCode.USAGE) from None
    except KeyError:
        raise Failure(f"{draft}: there is no [connections.{name}] in it any more", code=ExitCode.USAGE) from None
    return table
