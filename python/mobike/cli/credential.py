"""`mobike credential`: what connections of the daemon's own store prove themselves by."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mobike.cli import edits
from mobike.cli.api import Api, Target
from mobike.cli.configuration import Keep, Out, print_told
from mobike.cli.connection import New
from mobike.cli.failure import ExitCode, Failure
from mobike.cli.output import Format, tell
from mobike.kinds import KINDS

app = typer.Typer(
    help="Give the daemon secrets, keys and certificates to keep; it seals them, and never shows them.",
    no_args_is_help=True,
)

_LONGEST = 48 << 10
"""Octets of a credential."""


def _kinds(_: typer.Context, begun: str) -> list[tuple[str, str]]:
    return [(kind, what) for kind, what in KINDS.items() if kind.startswith(begun)]


Name = Annotated[str, typer.Argument(help="A credential; connections name it as stored:NAME.")]
Kind = Annotated[
    str, typer.Option("--kind", "-k", help=f"One of {', '.join(KINDS)}.", autocompletion=_kinds, show_default=False)
]
File = Annotated[Path, typer.Argument(help="What it says; - is the input. One newline at its end does not count.")]


@app.command("list")
def list_(context: typer.Context, output: Out = Format.TABLE) -> None:
    """List kinds, fingerprints, dates and users of all that the daemon keeps."""
    with Api(context.ensure_object(Target)) as api:
        told = edits.credentials(api)
    tell(told, lambda: edits.drawn_credentials(told), output)


@app.command("set")
def set_(
    context: typer.Context,
    name: Name,
    file: File,
    kind: Kind,
    *,
    keep: Keep = False,
    new: New = False,
    output: Out = Format.TABLE,
) -> None:
    """Make a credential, or replace it: a new revision of the configuration, which connections obey at once."""
    content = _content(file)
    with Api(context.ensure_object(Target)) as api:
        print_told(edits.put_credential(api, name, kind, content, keep=keep, only=edits.only_if(None, new=new)), output)


@app.command("delete")
def delete(context: typer.Context, name: Name, output: Out = Format.TABLE) -> None:
    """Remove a credential that no connection names."""
    with Api(context.ensure_object(Target)) as api:
        print_told(edits.delete_credential(api, name), output)


def _content(file: Path) -> str:
    try:
        if str(file) == "-":
            octets = sys.stdin.buffer.read(_LONGEST + 1)
        else:
            with file.open("rb") as opened:
                octets = opened.read(_LONGEST + 1)
        text = octets.decode()
    except OSError as problem:
        raise Failure(f"{file}: {problem.strerror}", code=ExitCode.USAGE) from None
    except UnicodeDecodeError:
        # What cannot be decoded is not told: it may be the secret.
        said = "is no text; write octets as 0x... or 0s..., certificates in PEM"
        raise Failure(f"{file}: {said}", code=ExitCode.USAGE) from None
    if len(octets) > _LONGEST:
        raise Failure(f"{file}: is too long", code=ExitCode.USAGE)
    return text.removesuffix("\n").removesuffix("\r")
