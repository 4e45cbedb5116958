"""`mobike config`: what a configuration says, what of it is obeyed, and what an edit would change."""

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mobike.cli import edits
from mobike.cli.api import Api, Json, Target
from mobike.cli.failure import ExitCode, Failure
from mobike.cli.output import Format, tell
from mobike.cli.plain import plain as cleaned

if TYPE_CHECKING:
    from mobike.config.diff import Change, Difference

app = typer.Typer(
    help="Look into configurations: their schema, what is obeyed, what an edit changes; apply one and take it back.",
    no_args_is_help=True,
)

Out = Annotated[Format, typer.Option("--output", "-o", help="For people, or for programs.")]
_FILE_HELP = "A file, or the folder of mobike.toml; with its conf.d."


class Shape(Enum):
    """For whom."""

    TOML = "toml"
    JSON = "json"


@app.command()
def schema() -> None:
    """Print the JSON Schema of mobike.toml, for editors and generators."""
    from mobike.config.schema import schema as made  # noqa: PLC0415 - pydantic takes longer to import than help to show

    print(json.dumps(made(), indent=2))


@app.command()
def keys() -> None:
    """Print what each key means, its default, and what an edit of it does, as Markdown: docs/keys.md."""
    from mobike.config.describe import page  # noqa: PLC0415

    for line in page():
        print(line)


@app.command()
def show(
    config: Annotated[Path, typer.Option("--config", "-c", help=_FILE_HELP)],
    written: Annotated[bool, typer.Option("--written", help="Only what is written, no defaults.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="With what each key means above it.")] = False,
    output: Annotated[Shape, typer.Option("--output", "-o", help="For people or for programs.")] = Shape.TOML,
) -> None:
    """Print every key with its value and where it comes from: file and line, a default, or what follows from others.

    Secrets are masked.
    """
    from mobike.cli import start  # noqa: PLC0415
    from mobike.config.show import as_toml, shown  # noqa: PLC0415

    found = (each for each in shown(start.check(config)) if each.place is not None or not written)
    match output:
        case Shape.JSON:
            print(json.dumps([each.as_json() for each in found], indent=2))
        case Shape.TOML:
            for line in as_toml(found, explained=explain):
                print(cleaned(line))


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help=_FILE_HELP)],
    new: Annotated[Path, typer.Argument(help="The same, edited.")],
    output: Out = Format.TABLE,
) -> None:
    """Say which connections an edit adds, removes and changes, by which keys, and what that means for SAs that live.

    Ends with 0 whether or not they differ, with 2 if one of them is wrong.
    """
    from mobike.cli import start  # noqa: PLC0415
    from mobike.config.diff import difference  # noqa: PLC0415

    found = difference(start.check(old).tables, start.check(new).tables)
    tell(found.as_json(), lambda: _lines(found), output)


Keep = Annotated[
    bool, typer.Option("--keep", help="Leave IKE SAs of connections that stay alone, whatever their change means.")
]


ConfirmIn = Annotated[
    str | None,
    typer.Option("--confirm-in", metavar="TIME", help="Take it back then, unless 'mobike config confirm' comes first."),
]


@app.command()
def plan(
    context: typer.Context,
    keep: Keep = False,
    output: Out = Format.TABLE,
) -> None:
    """Ask the daemon what reading its files again would do, and to which of its IKE SAs. Nothing changes."""
    with Api(context.ensure_object(Target)) as api:
        print_told(edits.plan(api, keep=keep), output)


@app.command()
def apply(
    context: typer.Context,
    keep: Keep = False,
    confirm_in: ConfirmIn = None,
    output: Out = Format.TABLE,
) -> None:
    """Make the daemon read its files again: what changed is applied, all of it or nothing."""
    with Api(context.ensure_object(Target)) as api:
        print_told(edits.apply(api, keep=keep, confirm_s=_seconds(confirm_in)), output)


@app.command()
def confirm(context: typer.Context) -> None:
    """Keep what was applied with --confirm-in."""
    with Api(context.ensure_object(Target)) as api:
        print(edits.confirm(api))


@app.command()
def state(
    context: typer.Context,
    output: Out = Format.TABLE,
) -> None:
    """Say which configuration is in force, until when, and what of the files waits for a restart."""
    with Api(context.ensure_object(Target)) as api:
        told = edits.state(api)
    tell(told, lambda: edits.drawn_state(told), output)


@app.command()
def revisions(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="Show so many.")] = 20,
    output: Out = Format.TABLE,
) -> None:
    """List configurations that were in force, newest first: when, who wanted each, and what it changed."""
    with Api(context.ensure_object(Target)) as api:
        told = edits.revisions(api, limit)
    tell(told, lambda: edits.drawn_revisions(told), output)


_REVISION_HELP = "As 'mobike config revisions' lists it."


@app.command()
def changes(
    context: typer.Context,
    revision: Annotated[int, typer.Argument(min=1, help=_REVISION_HELP)],
    since: Annotated[int | None, typer.Option("--since", min=1, help="Than this one, not the one before it.")] = None,
    output: Out = Format.TABLE,
) -> None:
    """Say what a configuration that was in force says otherwise than another one. Secrets are masked."""
    with Api(context.ensure_object(Target)) as api:
        told = edits.changes(api, revision, since)
    tell(told, lambda: edits.drawn_changes(told), output)


@app.command()
def rollback(
    context: typer.Context,
    revision: Annotated[int, typer.Argument(min=1, help=_REVISION_HELP)],
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it would do.")] = False,
    keep: Keep = False,
    output: Out = Format.TABLE,
) -> None:
    """Bring an earlier configuration back, as a new revision. Files are not written to."""
    with Api(context.ensure_object(Target)) as api:
        if plan:
            print_told(edits.changes(api, revision, edits.state(api)["revision"]), output)
            return
        print_told(edits.rollback(api, revision, keep=keep), output)


def print_applied(context: typer.Context, *, keep: bool) -> None:
    """For `mobike reload`."""
    apply(context, keep=keep, confirm_in=None, output=Format.TABLE)


def _seconds(text: str | None) -> int | None:
    if text is None:
        return None
    from mobike.config.durations import parse_duration  # noqa: PLC0415

    try:
        return parse_duration(text) // 1_000_000_000
    except ValueError as problem:
        raise Failure(str(problem), code=ExitCode.USAGE) from None


def print_told(told: Json, output: Format) -> None:
    """What an edit does, or did."""
    tell(told, lambda: edits.drawn(told), output)


def _lines(found: "Difference") -> list[str]:
    if found.empty:
        return ["They say the same."]
    lines = [f"+ connections.{name}: new" for name in found.added]
    lines += [f"- connections.{name}: gone, its IKE SAs end" for name in found.removed]
    for name, changes in found.changed.items():
        lines.append(f"~ connections.{name}: {found.effect(name).words}")
        lines += [_line(change, skip=2) for change in changes]
    if found.rest:
        lines += ["~ the rest", *(_line(change, skip=0) for change in found.rest)]
    return lines


def _line(change: "Change", *, skip: int) -> str:
    from mobike.config.problems import dotted  # noqa: PLC0415

    values = f"{_value(change.old)} -> {_value(change.new)}"
    origin = "now the default" if change.place is None else str(change.place)
    return f"    {dotted(change.key[skip:])}: {values}\n        {change.effect.words} ({origin})"


def _value(value: object) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
