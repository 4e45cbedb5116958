"""strongSwan's configuration language, written from nested mappings, and its pretty-printed answers, read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

Settings: TypeAlias = Mapping[str, "str | Settings"]
"""A section: keys to values or to sections. Lists are written as strongSwan reads them, separated by commas."""

Answer: TypeAlias = dict[str, "str | list[str] | Answer"]
"""A message of the daemon as `swanctl --pretty` shows it."""


def render(settings: Settings, depth: int = 0) -> str:
    """The text of a configuration file."""
    pad = "    " * depth
    lines = []
    for key, value in settings.items():
        if isinstance(value, str):
            lines.append(f'{pad}{key} = "{value}"\n')
        else:
            lines.append(f"{pad}{key} {{\n{render(value, depth + 1)}{pad}}}\n")
    return "".join(lines)


def merge(base: Settings, over: Settings) -> Settings:
    """`base` with every value that `over` gives; sections are merged, not replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = not isinstance(value, str) and old is not None and not isinstance(old, str)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def parse_pretty(text: str) -> list[Answer]:
    """Every message in the output of `swanctl --pretty`, without the word that introduces it."""
    lines = (line.strip() for line in text.splitlines())
    return [_section(lines) for line in lines if line.endswith("{")]


def _section(lines: Iterator[str]) -> Answer:
    section: Answer = {}
    for line in lines:
        if line == "}":
            break
        if line.endswith(" {"):
            section[line.removesuffix(" {")] = _section(lines)
        elif line.endswith(" = ["):
            section[line.removesuffix(" = [")] = _items(lines)
        elif " = " in line or line.endswith(" ="):
            key, _, value = line.partition(" =")
            section[key] = value.strip()
    return section


def _items(lines: Iterator[str]) -> list[str]:
    items = []
    for line in lines:
        if line == "]":
            break
        items.append(line)
    return items
