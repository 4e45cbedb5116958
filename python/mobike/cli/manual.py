"""The manual pages, made of what the command and the configuration say of themselves.

`python -m mobike.cli.manual 1` (or 5) prints one, `make man` writes them to docs/man; a test holds them to what is made
here.
"""

import re
import sys
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

import typer.main
from typer.core import TyperGroup, TyperOption

from mobike.cli.app import app
from mobike.cli.failure import ExitCode
from mobike.config.describe import TABLES, about, default_of, effect_of, heading_of

_OF_COMMAND: Final = """\
An IKEv2 (RFC 7296) and MOBIKE (RFC 4555) gateway and client, and the command that asks and orders one that runs.

`mobike run` is the daemon. `check`, `config`, `import`, `doctor`, `cleanup`, `demo` and `sim` need none; all others ask
it over its Unix socket, or over TCP with a token."""

_FILES: Final = (
    ("/etc/mobike/mobike.toml", "The configuration, with the files of conf.d beside it: mobike.toml(5)."),
    ("/run/mobike/api.sock", "The API, for root and the user of the daemon."),
    ("/var/lib/mobike", "What survives a restart: the token of the API, its books, kept configurations."),
)
_CODES: Final = {
    ExitCode.FAILED: "It was refused, or failed.",
    ExitCode.USAGE: "The command line or the configuration makes no sense.",
    ExitCode.UNREACHABLE: "The daemon cannot be reached.",
}

_OF_FILE: Final = """\
TOML. A folder holds mobike.toml and, beside it, conf.d/*.toml in the order of their names; their tables are joined, and
what is said twice is an error. `mobike check` says all that is wrong, with file, line and key; `mobike config show`
every key with its value and where that comes from.

A key that names a file takes credential:NAME in place of a path, for a credential of systemd. Behind each key stands
what an edit of it means for SAs that live; `mobike config plan` says it of an edit."""


def of_command() -> Iterator[str]:
    """mobike(1)."""
    top = typer.main.get_group(app)
    yield from _head("MOBIKE", 1, "mobike", "IKEv2 and MOBIKE gateway and client")
    yield from (".SH SYNOPSIS", ".B mobike", f"[{_text('OPTIONS')}] COMMAND [ARGUMENTS]")
    yield from (".SH DESCRIPTION", *_paragraphs(_OF_COMMAND))
    yield from (".SH OPTIONS", *_parameters(top), ".SH COMMANDS")
    for name, command in _commands(top, ()):
        yield f".SS {_text(' '.join((name, *_arguments(command))))}"
        yield from _paragraphs(_plain(command.help or ""))
        yield from _parameters(command)
    yield from (".SH EXIT STATUS", *_listed(("0", "It is done."), *((str(int(c)), t) for c, t in _CODES.items())))
    yield from (".SH FILES", *_listed(*_FILES), ".SH SEE ALSO", ".BR mobike.toml (5)")


def of_file() -> Iterator[str]:
    """mobike.toml(5)."""
    yield from _head("MOBIKE.TOML", 5, "mobike.toml", "configuration of mobike")
    yield from (".SH DESCRIPTION", *_paragraphs(_OF_FILE), ".SH TABLES")
    for model in TABLES:
        yield f".SS {_text(heading_of(model))}"
        for name in model.model_fields:
            default = default_of(model, name)
            yield ".TP"
            yield rf"\fB{_text(name)}\fR" + (f" = {_text(default)}" if default else "")
            yield _text(f"{about(model, name)} An edit: {effect_of(model, name)}.")
    yield from (".SH SEE ALSO", ".BR mobike (1)")


def _head(title: str, section: int, name: str, what: str) -> Iterator[str]:
    yield r".\" Made by `make man`; do not edit."
    yield f'.TH {title} {section} "" "mobike" "mobike"'
    # No hyphenation, and ragged lines: names are to be found and copied.
    yield from (".nh", ".ad l", ".SH NAME", rf"{_text(name)} \- {_text(what)}")


def _commands(group: TyperGroup, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """By their whole names. What typer makes of them has no public type."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if isinstance(command, TyperGroup):
            yield from _commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def _arguments(command: Any) -> list[str]:  # noqa: ANN401 - as above
    names = ((each, _value_of(each)) for each in command.params if not isinstance(each, TyperOption))
    return [name if each.required or name.startswith("[") else f"[{name}]" for each, name in names]


def _parameters(command: Any) -> Iterator[str]:  # noqa: ANN401 - as above
    """Options; arguments that say more than their name as well."""
    for parameter in command.params:
        if parameter.hidden:
            continue
        if isinstance(parameter, TyperOption):
            # As --no-... where it has one.
            names = ", ".join((*parameter.opts, *parameter.secondary_opts))
            value = "" if parameter.is_flag else f" {_value_of(parameter)}"
            yield from (".TP", rf"\fB{_text(names)}\fR{_text(value)}", _text(_said_of(parameter)))
        elif parameter.help:
            yield from (".TP", rf"\fI{_text(_value_of(parameter))}\fR", _text(_plain(parameter.help)))


def _value_of(parameter: Any) -> str:  # noqa: ANN401 - as above
    if parameter.metavar:
        return str(parameter.metavar)
    if isinstance(parameter.default, Enum):
        return "|".join(str(each.value) for each in type(parameter.default))
    return str(parameter.name).replace("_", "-").upper()


def _said_of(option: TyperOption) -> str:
    said = [_plain(option.help or "")]
    if option.envvar:
        said.append(f"Or ${option.envvar}.")
    default = getattr(option.default, "value", option.default)
    if isinstance(default, (str, int, float)) and not isinstance(default, bool) and default != "":
        said.append(f"Default: {default}.")
    return " ".join(each for each in said if each)


def _listed(*entries: tuple[str, str]) -> Iterator[str]:
    for name, what in entries:
        yield from (".TP", rf"\fB{_text(name)}\fR", _text(what))


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        yield from (".PP", _text(" ".join(paragraph.split())))


def _plain(text: str) -> str:
    return " ".join(re.sub(r"\[/?[a-z ]+\]", "", text).split())


def _text(text: str) -> str:
    """As roff takes it, on one line."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("`", "").replace("~", r"\(ti").replace("^", r"\(ha")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main(section: str) -> None:
    """Print one."""
    pages = {"1": of_command, "5": of_file}
    sys.stdout.write("\n".join(pages[section]()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
