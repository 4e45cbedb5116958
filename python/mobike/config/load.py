"""From a file to settings, or to all that is wrong with it."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from mobike.config.build import ConnectionProblem, build_connection, build_settings
from mobike.config.checks import Checks
from mobike.config.fields import Context
from mobike.config.locate import Key, KeyLines
from mobike.config.messages import Complaint, complaints
from mobike.config.models import SECTIONS, ConnectionTable, PoolTable, Table
from mobike.config.pools import pools_apart, with_orders, with_ranges
from mobike.config.problems import ConfigError, Problem, dotted, unknown_key
from mobike.config.secrets import exposure
from mobike.config.settings import Connection, Settings

_MAX_FILE: Final = 64 << 20
"""Octets of a configuration that are read; a hundred thousand connections fit."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Names of connections stand in URLs, logs and commands."""

_AT_LINE: Final = re.compile(r" \(at line (\d+), column \d+\)$")

_T = TypeVar("_T", bound=Table)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and what is unwise in it."""

    settings: Settings
    warnings: tuple[Problem, ...]


def load(path: Path, checks: Checks, *, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read a file; ConfigError holds everything that is wrong with it."""
    try:
        with path.open("rb") as file:
            exposed_to = exposure(os.fstat(file.fileno()).st_mode)
            content = file.read(_MAX_FILE + 1)
    except OSError as problem:
        raise ConfigError([Problem(str(path), None, "", problem.strerror or "cannot be read")]) from None
    if len(content) > _MAX_FILE:
        raise ConfigError([Problem(str(path), None, "", "is too long for a configuration")])
    try:
        text = content.decode()
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise ConfigError([Problem(str(path), line, "", "is not UTF-8")]) from None
    return parse(text, checks, file=str(path), base=path.parent, environ=environ, exposed_to=exposed_to)


def parse(
    text: str,
    checks: Checks,
    *,
    file: str = "mobike.toml",
    base: Path = Path(),
    environ: Mapping[str, str] | None = None,
    exposed_to: str | None = None,
) -> Loaded:
    """Read a text; relative paths in it begin at `base`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError([_syntax_problem(file, text, str(problem))]) from None
    lines = KeyLines(text.replace("\r\n", "\n"))
    reader = _Reader(file, lines, Context(checks), base, os.environ if environ is None else environ)
    loaded = reader.read(document)
    if exposed_to is None:
        return loaded
    message = f"a key stands in a file that can be read by {exposed_to}; chmod 600 it, or use psk_file"
    return replace(
        loaded,
        warnings=(*loaded.warnings, *(Problem(file, lines[key], dotted(key), message) for key in _inline_keys(lines))),
    )


def _inline_keys(lines: KeyLines) -> list[Key]:
    return [key for key in lines.known() if len(key) == 3 and key[0] == "connections" and key[2] == "psk"]


def _syntax_problem(file: str, text: str, message: str) -> Problem:
    at = _AT_LINE.search(message)
    line = int(at[1]) if at else text.count("\n") + 1
    return Problem(file, line, "", _AT_LINE.sub("", message).removesuffix(" (at end of document)"))


class _Reader:
    """Reads every table even where others are wrong, so that one run shows all problems."""

    def __init__(self, file: str, lines: KeyLines, context: Context, base: Path, environ: Mapping[str, str]) -> None:
        self._file = file
        self._lines = lines
        self._context = context
        self._base = base
        self._environ = environ
        self._problems: list[Problem] = []
        self._warnings: list[Problem] = []

    def read(self, document: dict[str, Any]) -> Loaded:
        for name in document.keys() - SECTIONS.keys() - {"connections", "pools"}:
            self._problem((name,), unknown_key(name, [*SECTIONS, "connections", "pools"]))
        sections = {name: self._table((name,), model, document.get(name, {})) for name, model in SECTIONS.items()}
        pools = dict(self._pools(document.get("pools", {})))
        connections = tuple(self._connections(document.get("connections", {}), pools))
        pools_apart(connections, pools, self._problem)
        if None in sections.values():
            raise ConfigError(self._problems)
        settings = build_settings(sections, connections, self._base, self._problem, self._environ)
        if self._problems:
            raise ConfigError(self._problems)
        return Loaded(settings, tuple(self._warnings))

    def _connections(self, tables: object, pools: Mapping[str, PoolTable]) -> Iterator[Connection]:
        for name, table in self._named("connections", ConnectionTable, tables):
            whole = with_ranges(name, table, pools, self._problem)
            connection = build_connection(name, whole, self._base, self._environ)
            for found in connection.problems:
                self._connection_problem(("connections", name), found)
            if connection.built is not None:
                yield with_orders(connection.built, table, pools)

    def _pools(self, tables: object) -> Iterator[tuple[str, PoolTable]]:
        for name, table in self._named("pools", PoolTable, tables):
            if len({each.first.version for each in table.ranges}) != len(table.ranges):
                self._problem(("pools", name, "ranges"), "may have one range of IPv4 and one of IPv6")
            yield name, table

    def _named(self, section: str, model: type[_T], tables: object) -> Iterator[tuple[str, _T]]:
        if not isinstance(tables, dict):
            self._problem((section,), f"must hold tables: [{section}.NAME]")
            return
        for name, values in tables.items():
            if not _NAME.fullmatch(name):
                self._problem((section, name), "a name is made of letters, digits, '.', '_' and '-', at most 64")
            table = self._table((section, name), model, values)
            if table is not None:
                yield name, table

    def _table(self, key: Key, model: type[_T], values: object) -> _T | None:
        try:
            return model.model_validate(values, context=self._context)
        except ValidationError as error:
            for found in complaints(error, model):
                self._complaint(key, found)
        return None

    def _complaint(self, table: Key, found: Complaint) -> None:
        self._problem((*table, *found.key), found.message)

    def _connection_problem(self, table: Key, found: ConnectionProblem) -> None:
        key = (*table, *found.key)
        (self._warnings if found.harmless else self._problems).append(self._at(key, found.message))

    def _problem(self, key: Key, message: str) -> None:
        self._problems.append(self._at(key, message))

    def _at(self, key: Key, message: str) -> Problem:
        return Problem(self._file, self._lines[key], dotted(key), message)
