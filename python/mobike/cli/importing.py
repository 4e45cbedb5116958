"""`mobike import`: configurations of others in, ours out, and a report about each of their values."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mobike.cli.configuration import Out
from mobike.cli.failure import ExitCode, Failure
from mobike.cli.output import Format, tell

if TYPE_CHECKING:
    from mobike.swanctl.findings import Finding
    from mobike.swanctl.mapping import Imported

app = typer.Typer(help="Take over the configuration of another IPsec daemon.", no_args_is_help=True)

_HEADINGS: Final = {
    "unsupported": "Unsupported, and not in what was made",
    "changed": "Changed in meaning: read these",
    "mapped": "The same here",
}
_FILE_MODE: Final = 0o600


@app.callback()
def imports() -> None:
    """Take over the configuration of another IPsec daemon."""


@app.command()
def swanctl(
    source: Annotated[Path, typer.Argument(metavar="DIR|FILE", help="/etc/swanctl, or a swanctl.conf.")],
    into: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write mobike.toml and files of secrets here. Nothing is replaced."),
    ] = None,
    output: Out = Format.TABLE,
) -> None:
    """Say a configuration of strongSwan in ours, with a report of what mapped, what changed and what is unsupported.

    Ends with 0 if everything is in it, though some of it changed in meaning; with 1 if something is unsupported, or if
    what was made has problems; with 2 if the source cannot be read or the files cannot be written.
    """
    from mobike.cli import start  # noqa: PLC0415
    from mobike.swanctl.findings import Kind  # noqa: PLC0415
    from mobike.swanctl.tree import SwanctlError  # noqa: PLC0415
    from mobike.swanctl.writer import write  # noqa: PLC0415

    try:
        made = start.import_swanctl(source)
    except SwanctlError as problem:
        raise Failure(str(problem), code=ExitCode.USAGE) from None
    text = write(made.document(), f"Made from {source} by mobike import swanctl; its report says what changed.")
    problems = [] if into is None else _written(into, {"mobike.toml": text, **made.files})
    told = {"toml": text, "files": sorted(made.files), "findings": [each.as_json() for each in made.findings]}
    tell({**told, "problems": problems}, lambda: (*_report(made, text if into is None else ""), *problems), output)
    if made.of(Kind.UNSUPPORTED) or problems:
        sys.exit(ExitCode.FAILED)


def _report(made: "Imported", text: str) -> Iterator[str]:
    if text:
        yield text
    for kind, heading in _HEADINGS.items():
        found: list[Finding] = sorted(
            (each for each in made.findings if each.kind.value == kind), key=lambda each: each.place
        )
        if found:
            yield f"{heading} ({len(found)}):"
            yield from (f"  {each}" for each in found)
            yield ""
    count = len(made.connections)
    yield f"{count} connection{'' if count == 1 else 's'} imported"


def _written(into: Path, files: dict[str, str]) -> list[str]:
    """Writes the files, for their owner alone; what is wrong with them then, as a list of lines."""
    from mobike import config  # noqa: PLC0415
    from mobike.cli import start  # noqa: PLC0415

    there = [name for name in files if (into / name).exists()]
    if there:
        raise Failure(f"{into} has {', '.join(there)} already", code=ExitCode.USAGE, hint="give another folder")
    try:
        into.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            descriptor = os.open(into / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
    except OSError as problem:
        raise Failure(f"cannot write {problem.filename}: {problem.strerror}", code=ExitCode.USAGE) from None
    try:
        start.read_quietly(into)
    except config.ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []
