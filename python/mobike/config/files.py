"""The files of a configuration: `mobike.toml` and those of `conf.d` beside it, read and put together.

Tables that stand in several files are joined key by key. What may stand once (a key, a connection, a pool) and stands
in two files is a problem that names both: which of them was meant cannot be known.
"""

import os
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from mobike.config.locate import Key, KeyLines, first_repetition
from mobike.config.named import exposure
from mobike.config.problems import ConfigError, Problem, dotted

MAIN: Final = "mobike.toml"
BESIDE: Final = "conf.d"
"""The folder beside the main file; its `*.toml` are read in the order of their names."""

STORED: Final = "the store"
"""The place of what was sent over the API, and is in no file."""

MAX_OCTETS: Final = 64 << 20
"""Of all files together; a hundred thousand connections fit."""

WHOLE: Final = frozenset({"connections", "pools"})
"""Tables whose members stand in one file each: nobody changes a connection of another file by accident."""

_AT_LINE: Final = re.compile(r" \(at line (\d+), column \d+\)$")

_REPEATED: Final = ("Cannot overwrite", "Cannot declare", "Duplicate inline table key")
_DECLARED: Final = re.compile(r"Cannot (?:declare|mutate immutable namespace) \((.*)\)(?: twice)?")
_QUOTED: Final = re.compile(r"'([^']*)'")


class Source(NamedTuple):
    """A file that was read."""

    file: str
    text: str
    exposed_to: str | None = None
    """Who besides its owner can read it."""


class Place(NamedTuple):
    """Where something is written."""

    file: str
    line: int | None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


class Places:
    """Where every key of all files stands."""

    def __init__(self, files: Sequence[tuple[str, KeyLines]], stored: Collection[str] = ()) -> None:
        """`stored`: connections that are in no file."""
        self._files = tuple(files)
        self._stored = frozenset(stored)

    def __getitem__(self, key: Key) -> Place:
        """The place of a key, or of the innermost table around it that is written down."""
        if self.is_stored(key):
            return Place(STORED, None)
        while key:
            place = self.of(key)
            if place is not None:
                return place
            key = key[:-1]
        return Place(self._files[0][0] if self._files else "", 1)

    def of(self, key: Key) -> Place | None:
        """The place of a key itself; None: nobody wrote it."""
        if self.is_stored(key):
            return Place(STORED, None)
        return next((Place(file, line) for file, lines in self._files if (line := lines.of(key)) is not None), None)

    def is_stored(self, key: Key) -> bool:
        """Is it of a connection that is in no file?"""
        return len(key) > 1 and key[0] == "connections" and key[1] in self._stored

    def beside(self, stored: Collection[str]) -> "Places":
        """The same, with these connections beside the files."""
        return Places(self._files, stored)

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files, in the order in which they were read."""
        return tuple(file for file, _ in self._files)

    def written(self) -> Iterator[tuple[str, Key]]:
        """Every key of every file."""
        return ((file, key) for file, lines in self._files for key in lines.known())


@dataclass(frozen=True, slots=True)
class Document:
    """All files as one."""

    values: dict[str, Any]
    places: Places


def read_files(path: Path) -> tuple[list[Source], Path]:
    """The main file (or that of a folder), then those of `conf.d` beside it; and where relative paths begin."""
    main = path / MAIN if path.is_dir() else path
    left = MAX_OCTETS
    sources = []
    for file in (main, *_beside(main.parent / BESIDE)):
        sources.append(_read(file, left))
        left -= len(sources[-1].text)
    return sources, main.parent


def _beside(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.name.endswith(".toml") and each.name[0] != ".")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as problem:
        raise ConfigError([Problem(str(folder), None, "", problem.strerror or "cannot be read")]) from None


def _read(path: Path, most: int) -> Source:
    try:
        with path.open("rb") as file:
            exposed_to = exposure(os.fstat(file.fileno()).st_mode)
            content = file.read(most + 1)
    except OSError as problem:
        raise ConfigError([Problem(str(path), None, "", problem.strerror or "cannot be read")]) from None
    if len(content) > most:
        raise ConfigError([Problem(str(path), None, "", "is too long for a configuration")])
    try:
        return Source(str(path), content.decode(), exposed_to)
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise ConfigError([Problem(str(path), line, "", "is not UTF-8")]) from None


def put_together(sources: Iterable[Source]) -> Document:
    """One document; ConfigError holds what is no TOML, and what is said twice."""
    problems: list[Problem] = []
    parts: list[tuple[str, dict[str, Any], KeyLines]] = []
    for source in sources:
        try:
            values = tomllib.loads(source.text)
        except tomllib.TOMLDecodeError as problem:
            problems.append(_syntax_problem(source, str(problem)))
        else:
            parts.append((source.file, values, KeyLines(source.text.replace("\r\n", "\n"))))
    places = Places([(file, lines) for file, _, lines in parts])
    whole: dict[str, Any] = {}
    for file, values, lines in parts:
        for key in _joined(whole, values, ()):
            message = f"is in {places[key]} already; say it in one of both"
            problems.append(Problem(file, lines[key], dotted(key), message))
    if problems:
        raise ConfigError(problems, places.files)
    return Document(whole, places)


def with_stored(document: Document, stored: Mapping[str, Any]) -> Document:
    """Connections of the store beside those of the files: each name is of one of both."""
    written = document.values.get("connections", {})
    if not isinstance(written, dict):
        return document
    problems = []
    for name in stored:
        if name in written:
            place = document.places["connections", name]
            message = "was made over the API; delete it there first, or give this one another name"
            problems.append(Problem(place.file, place.line, dotted(("connections", name)), message))
    if problems:
        raise ConfigError(problems, document.places.files)
    values = {**document.values, "connections": {**written, **stored}}
    return Document(values, document.places.beside(stored))


def _joined(whole: dict[str, Any], part: dict[str, Any], table: Key) -> Iterator[Key]:
    """Puts `part` into `whole`; yields what is in both and cannot be."""
    for name, value in part.items():
        key = (*table, name)
        there = whole.get(name)
        if name not in whole:
            # A table of its own: what later files add to it must not reach into what was parsed.
            whole[name] = dict(value) if isinstance(value, dict) else value
        elif isinstance(there, dict) and isinstance(value, dict) and not (table and table[0] in WHOLE):
            yield from _joined(there, value, key)
        else:
            yield key


def _syntax_problem(source: Source, message: str) -> Problem:
    at = _AT_LINE.search(message)
    line = int(at[1]) if at else source.text.count("\n") + 1
    repeated = message.startswith(_REPEATED)
    twice = first_repetition(source.text.replace("\r\n", "\n"), line) if repeated else None
    if twice is not None:
        key, before, again = twice
        return Problem(source.file, again, dotted(key), f"is in line {before} already; say it once")
    declared = _DECLARED.fullmatch(_AT_LINE.sub("", message))
    if declared is not None:
        key = tuple(_QUOTED.findall(declared[1]))
        return Problem(source.file, line, dotted(key), "is a table already; say all of it in one place")
    return Problem(source.file, line, "", _AT_LINE.sub("", message).removesuffix(" (at end of document)"))
