"""Tables as the text of mobike.toml."""

from collections.abc import Iterator, Mapping
from typing import Any

from mobike.config.toml import write_key, write_value

_MOST_COLUMNS = 120


def write(document: Mapping[str, Any], heading: str) -> str:
    """The text of a file; a comment stands first."""
    lines = [f"# {line}" for line in heading.splitlines()]
    for section, tables in document.items():
        if not all(isinstance(each, dict) for each in tables.values()):
            lines += _table((section,), tables)
            continue
        for name, table in tables.items():
            lines += _table((section, name), table)
    return "\n".join(lines) + "\n"


def write_users(users: Mapping[str, str]) -> str:
    """A file of users: name and password, a line each."""
    return "".join(f"{write_value(user)} = {write_value(password)}\n" for user, password in users.items())


def _table(names: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"[{write_key(*names)}]"
    several = {key: value for key, value in table.items() if _is_tables(value)}
    for key, value in table.items():
        if key not in several:
            yield from _key(key, value)
    for key, tables in several.items():
        for each in tables:
            yield ""
            yield f"[[{write_key(*names, key)}]]"
            for name, value in each.items():
                yield from _key(name, value)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _key(key: str, value: object) -> Iterator[str]:
    line = f"{write_key(key)} = {write_value(value)}"
    if len(line) <= _MOST_COLUMNS or not isinstance(value, list):
        yield line
        return
    yield f"{write_key(key)} = ["
    yield from (f"  {write_value(each)}," for each in value)
    yield "]"
