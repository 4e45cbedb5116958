"""What is wrong with a configuration: each problem names file, line and key."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
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

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class ConfigError(Exception):
    """A configuration that cannot be used. All its problems at once, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.key, problem.message)))
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
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"unknown key; did you mean {near[0]}?"
    tables = sorted(elsewhere)
    if tables:
        return f"unknown key; it belongs to {' or '.join(f'[{table}]' for table in tables)}"
    return f"unknown key; known are {', '.join(names)}"
