"""From files to settings, or to all that is wrong with them."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from mobike.config.build import ConnectionProblem, build_connection, build_settings
from mobike.config.checks import Checks
from mobike.config.fields import CREDENTIALS, Context
from mobike.config.files import MAIN, Places, Source, put_together, read_files, with_stored
from mobike.config.held import Held
from mobike.config.locate import Key
from mobike.config.messages import Complaint, complaints
from mobike.config.models import SECTIONS, ApiTable, ConnectionTable, PoolTable, Table
from mobike.config.named import Shelf
from mobike.config.pools import pools_apart, with_orders, with_ranges
from mobike.config.problems import ConfigError, Problem, dotted, unknown_key
from mobike.config.settings import Connection, Settings
from mobike.config.tables import SECRET_KEYS, Tables

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Names of connections stand in URLs, logs and commands."""

_T = TypeVar("_T", bound=Table)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and what is unwise in it."""

    settings: Settings
    warnings: tuple[Problem, ...]
    tables: Tables
    """What the files say, before anything is made of it."""


def load(path: Path, checks: Checks, *, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read a file, or the `mobike.toml` of a folder, and what is in `conf.d` beside it; ConfigError holds everything
    that is wrong with it."""
    sources, base = read_files(path)
    return _loaded(sources, checks, base, os.environ if environ is None else environ)


def parse(
    text: str,
    checks: Checks,
    *,
    file: str = MAIN,
    base: Path = Path(),
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Read a text; relative paths in it begin at `base`."""
    return _loaded([Source(file, text)], checks, base, os.environ if environ is None else environ)


def assemble(
    sources: Sequence[Source],
    stored: Mapping[str, Any],
    checks: Checks,
    *,
    base: Path,
    environ: Mapping[str, str] | None = None,
    credentials: Mapping[str, Held] = MappingProxyType({}),
) -> Loaded:
    """The same of files that were read before, with connections that are in no file, and what they may name."""
    return _loaded(sources, checks, base, os.environ if environ is None else environ, stored, credentials=credentials)


def _loaded(
    sources: Sequence[Source],
    checks: Checks,
    base: Path,
    environ: Mapping[str, str],
    stored: Mapping[str, Any] = MappingProxyType({}),
    *,
    credentials: Mapping[str, Held] = MappingProxyType({}),
) -> Loaded:
    document = with_stored(put_together(sources), stored)
    folder = environ.get(CREDENTIALS)
    context = Context(checks, None if folder is None else Path(folder))
    loaded = _Reader(document.places, context, base, environ, credentials).read(document.values)
    exposed = {source.file: source.exposed_to for source in sources if source.exposed_to}
    return replace(loaded, warnings=(*loaded.warnings, *_exposed_keys(document.places, exposed)))


def _exposed_keys(places: Places, exposed: Mapping[str, str]) -> Iterator[Problem]:
    """Secrets in files that others can read."""
    for file, key in places.written() if exposed else ():
        if file in exposed and key[-1] in SECRET_KEYS and key[0] == "connections" and len(key) > 2:
            message = f"a key stands in a file that can be read by {exposed[file]}; chmod 600 it, or use {key[-1]}_file"
            yield Problem(file, places[key].line, dotted(key), message)


def _folders(api: Table | None, base: Path) -> tuple[Path, ...]:
    return tuple(base / each for each in api.folders) if isinstance(api, ApiTable) else ()


class _Reader:
    """Reads every table even where others are wrong, so that one run shows all problems."""

    def __init__(
        self,
        places: Places,
        context: Context,
        base: Path,
        environ: Mapping[str, str],
        credentials: Mapping[str, Held],
    ) -> None:
        self._places = places
        self._context = context
        self._of_stored = replace(context, stored={name: each.kind for name, each in credentials.items()})
        self._base = base
        self._shelf = Shelf(base, {name: each.text for name, each in credentials.items()})
        self._environ = environ
        self._problems: list[Problem] = []
        self._warnings: list[Problem] = []

    def read(self, document: dict[str, Any]) -> Loaded:
        for name in document.keys() - SECTIONS.keys() - {"connections", "pools"}:
            self._problem((name,), unknown_key(name, [*SECTIONS, "connections", "pools"]))
        sections = {name: self._table((name,), model, document.get(name, {})) for name, model in SECTIONS.items()}
        self._of_stored = replace(self._of_stored, folders=(self._base, *_folders(sections["api"], self._base)))
        pools = dict(self._pools(document.get("pools", {})))
        tables = dict(self._named("connections", ConnectionTable, document.get("connections", {})))
        connections = tuple(self._connections(tables, pools))
        pools_apart(connections, pools, self._problem)
        good = {name: table for name, table in sections.items() if table is not None}
        if len(good) < len(sections):
            raise self._wrong()
        settings = build_settings(sections, connections, self._base, self._problem, self._environ)
        if self._problems:
            raise self._wrong()
        return Loaded(settings, tuple(self._warnings), Tables(good, pools, tables, self._places))

    def _wrong(self) -> ConfigError:
        return ConfigError(self._problems, self._places.files)

    def _connections(
        self, tables: Mapping[str, ConnectionTable], pools: Mapping[str, PoolTable]
    ) -> Iterator[Connection]:
        for name, table in tables.items():
            whole = with_ranges(name, table, pools, self._problem)
            connection = build_connection(name, whole, self._shelf, self._environ)
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
            if name in model.model_fields and not isinstance(values, dict):
                self._problem((section, name), f"belongs into a table with a name: [{section}.NAME]")
                continue
            if not _NAME.fullmatch(name):
                self._problem((section, name), "a name is made of letters, digits, '.', '_' and '-', at most 64")
            table = self._table((section, name), model, values)
            if table is not None:
                yield name, table

    def _table(self, key: Key, model: type[_T], values: object) -> _T | None:
        try:
            context = self._of_stored if self._places.is_stored(key) else self._context
            return model.model_validate(values, context=context)
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
        place = self._places[key]
        return Problem(place.file, place.line, dotted(key), message, key)
