"""What commands print: for people as a table, for programs as JSON, as lines of JSON, or as YAML."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from mobike.cli.api import Json
from mobike.cli.draw import GAP, table, text
from mobike.cli.plain import plain


class Format(Enum):
    """For whom."""

    TABLE = "table"
    WIDE = "wide"
    """A table with every column, whatever the width of the terminal."""
    JSON = "json"
    NDJSON = "ndjson"
    YAML = "yaml"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    key: str
    """Member of the row."""
    title: str = ""
    """`>` before it: its numbers stand on the right."""
    wide: bool = False
    """Only shown in the wide format."""
    style: str = ""
    spare: int = 0
    """Left out where the terminal is too narrow for all: those with the highest number first; 0: never."""
    gives: bool = False
    """Long names in it are cut first."""
    paint: Callable[[str], Text] | None = None
    """How its words look."""

    @property
    def head(self) -> str:
        """For `table`."""
        return self.title or self.key.replace("_", " ")

    @property
    def bare(self) -> str:
        return self.head.removeprefix(">")

    def words(self, row: Json) -> str:
        return self.drawn(row).plain

    def drawn(self, row: Json) -> Text:
        words = cell(row.get(self.key))
        if words == NOTHING:
            return text(words, "dim")
        return text(words, self.style) if self.paint is None else self.paint(words)


NOTHING: Final = "-"
COMFORTABLE: Final = 24
"""Letters of a name that is cut, before columns are left out for it."""
SHORTEST: Final = 8
"""After."""
WIDEST: Final = 10_000
"""Columns of the terminal in the wide format: lines are not broken."""


def emit(rows: Iterable[Json], columns: Sequence[Column], format_: Format, *, limit: int, empty: str) -> None:
    """Print them as they come, or, as a table, at most so many."""
    match format_:
        case Format.NDJSON:
            for row in rows:
                print(json.dumps(row), flush=True)
        case Format.JSON:
            print(json.dumps(list(rows), indent=2))
        case Format.YAML:
            print("\n".join(yaml(list(rows))))
        case Format.TABLE | Format.WIDE:
            _draw(list(rows), columns, limit, empty, wide=format_ is Format.WIDE)


def show(told: object, drawn: Callable[[bool], RenderableType], format_: Format) -> None:
    """One thing in the format that was asked for: drawn for people (True: as wide as it is), or as the API told it.
    Of a list each member is a line of NDJSON."""
    match format_:
        case Format.NDJSON:
            for each in told if isinstance(told, list) else [told]:
                print(json.dumps(each), flush=True)
        case Format.JSON:
            print(json.dumps(told, indent=2))
        case Format.YAML:
            print("\n".join(yaml(told)))
        case Format.TABLE:
            Console(highlight=False).print(drawn(False))
        case Format.WIDE:
            everything = drawn(True)
            console = Console(highlight=False, width=WIDEST)
            console.width = max(1, console.measure(everything).maximum)
            console.print(everything)


def tell(told: object, lines: Callable[[], Iterable[str]], format_: Format) -> None:
    """One thing in the format that was asked for: for people in lines, which no terminal breaks."""
    match format_:
        case Format.TABLE | Format.WIDE:
            for line in lines():
                print(plain(line))
        case Format.JSON | Format.NDJSON | Format.YAML:
            show(told, lambda _wide: "", format_)


def _draw(rows: list[Json], columns: Sequence[Column], limit: int, empty: str, *, wide: bool) -> None:
    console = Console(highlight=False, width=WIDEST) if wide else Console(highlight=False)
    if not rows:
        console.print(Text(empty, "dim"))
        return
    told = rows[:limit] if limit else rows
    shown = columns if wide else [each for each in columns if not each.wide]
    console.print(compact(told, shown, console.width))
    if limit and len(rows) > limit:
        console.print(Text(f"... and more than these {limit:,}; --limit shows more, 0 all", "dim"))


def compact(rows: Sequence[Json], columns: Sequence[Column], width: int) -> Table:
    """A row is a line, whatever the width: long names are cut, then columns left out, then names cut further."""
    natural = {each.key: max([len(each.bare), *(len(each.words(row)) for row in rows)]) for each in columns}
    shown = list(columns)
    most = _cut(shown, natural, width, COMFORTABLE)
    while sum(most.values()) + GAP * (len(shown) - 1) > width:
        spare = max(shown, key=lambda each: each.spare)
        if not spare.spare:
            break
        shown.remove(spare)
        most = _cut(shown, natural, width, COMFORTABLE)
    most = _cut(shown, natural, width, SHORTEST)
    drawn = table(*(each.head for each in shown))
    for column, each in zip(drawn.columns, shown, strict=True):
        column.no_wrap, column.overflow, column.max_width = True, "ellipsis", most[each.key]
    for row in rows:
        drawn.add_row(*(each.drawn(row) for each in shown))
    return drawn


def _cut(columns: Sequence[Column], natural: Mapping[str, int], width: int, least: int) -> dict[str, int]:
    """How wide each may be, so that all fit, if it can be done by cutting those that give down to this."""
    most = {each.key: natural[each.key] for each in columns}
    over = sum(most.values()) + GAP * (len(columns) - 1) - width
    for each in sorted((each for each in columns if each.gives), key=lambda each: -most[each.key]):
        given = min(max(0, over), max(0, most[each.key] - least))
        most[each.key] -= given
        over -= given
    return most


def cell(value: object) -> str:
    """One value in a table."""
    match value:
        case None | [] | "":
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
        case list() | tuple():
            return ", ".join(map(cell, value))
        case _:
            return str(value)


def yaml(value: object, depth: int = 0) -> Iterator[str]:
    """Lines of YAML 1.2, block style; strings are quoted as in JSON, which YAML reads."""
    pad = "  " * depth
    match value:
        case dict() if value:
            for key, member in value.items():
                yield from _member(f"{pad}{_key(key)}:", member, depth + 1)
        case list() | tuple() if value:
            for member in value:
                first, *rest = [*yaml(member, depth + 1)] if _is_block(member) else [f"  {_scalar(member)}"]
                yield f"{pad}- {first.strip()}"
                yield from rest
        case _:
            yield f"{pad}{_scalar(value)}"


_WORDS: Final = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
"""What old readers of YAML take for something else than a name."""


def _member(head: str, member: object, depth: int) -> Iterator[str]:
    if _is_block(member):
        yield head
        yield from yaml(member, depth)
    else:
        yield f"{head} {_scalar(member)}"


def _is_block(value: object) -> bool:
    return isinstance(value, dict | list | tuple) and bool(value)


def _key(key: object) -> str:
    name = str(key)
    return name if name.isidentifier() and name.lower() not in _WORDS else json.dumps(name)


def _scalar(value: object) -> str:
    return json.dumps(value)
