"""What is wrong with a configuration: each problem names file, line and key."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher, get_close_matches
from typing import Final

from mobike.config.locate import Key

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
"""What TOML lets stand without quotes."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or (as a warning) unwise."""

    file: str
    line: int | None
    key: str
    message: str
    at: Key = field(default=(), compare=False)
    """The key as it is found, for who points into what was sent."""

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class ConfigError(Exception):
    """A configuration that cannot be used. All its problems at once, in the order of the files and of their lines."""

    def __init__(self, problems: Iterable[Problem], files: Sequence[str] = ()) -> None:
        def order(problem: Problem) -> tuple[int, int, str, str]:
            file = files.index(problem.file) if problem.file in files else len(files)
            return file, problem.line or 0, problem.key, problem.message

        self.problems = tuple(sorted(problems, key=order))
        super().__init__("\n".join(map(str, self.problems)))


def dotted(key: Key) -> str:
    """A key as people write it: `connections.office.remote[1]`."""
    text = ""
    for part in key:
        match part:
            case int():
                text += f"[{part}]"
            case str():
                name = part if _BARE.fullmatch(part) else json.dumps(part)
                text += f".{name}" if text else name
    return text


def unknown_key(name: str, valid: Iterable[str], elsewhere: Iterable[str] = ()) -> str:
    """What to say of a key that does not exist: the nearest one that does, or its table, or all there are."""
    names = sorted(valid)
    meant = nearest(name, names)
    if meant:
        return f"unknown key{meant}"
    tables = sorted(elsewhere)
    if tables:
        return f"unknown key; it belongs to {' or '.join(f'[{table}]' for table in tables)}"
    return f"unknown key; known are {', '.join(names)}"


def nearest(written: str, valid: Iterable[str]) -> str:
    """The end of a message: which of the valid words was meant, if one is nearest; else nothing."""
    near = get_close_matches(written, sorted(valid), n=2, cutoff=0.6)
    if len(near) == 2 and len({SequenceMatcher(None, word, written).ratio() for word in near}) == 1:
        return ""
    return f"; did you mean {near[0]}?" if near else ""
