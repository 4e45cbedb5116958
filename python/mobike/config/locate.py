"""Where in a TOML text a key stands. `tomllib` reads values and forgets lines; a person who made a typo wants the line.

The scanner walks text that `tomllib` has already accepted, so it only has to know where keys and values end, not
whether they are right.
"""

import re
import tomllib
from bisect import bisect_right
from typing import Final, TypeAlias

Key: TypeAlias = tuple[str | int, ...]
"""The way to a value: names of tables and keys, and positions in arrays."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[^,\]}\n#]*")
_BASIC: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL: Final = re.compile(r"'[^'\n]*'")
_LONG_BASIC: Final = re.compile(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}', re.DOTALL)
_LONG_LITERAL: Final = re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}", re.DOTALL)
_STRINGS: Final = (_LONG_BASIC, _LONG_LITERAL, _BASIC, _LITERAL)


class KeyLines:
    """The line (from 1) of every key, table and array element of a text."""

    def __init__(self, text: str) -> None:
        self._lines = _Scanner(text).scan()

    def __getitem__(self, key: Key) -> int:
        """The line of a key, or of the innermost table around it that is written down."""
        while key and key not in self._lines:
            key = key[:-1]
        return self._lines.get(key, 1)

    def of(self, key: Key) -> int | None:
        """The line of a key itself; None: it is not written down."""
        return self._lines.get(key)

    def known(self) -> dict[Key, int]:
        """Everything that was found."""
        return dict(self._lines)


def first_repetition(text: str, line: int) -> tuple[Key, int, int] | None:
    """The first key that is said again in a text up to a line, if `tomllib` accepts the text but for that."""
    scanner = _Scanner("".join(text.splitlines(keepends=True)[:line]))
    try:
        scanner.scan()
    except (ValueError, tomllib.TOMLDecodeError):
        return None
    return scanner.repeated[0] if scanner.repeated else None


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[Key, int] = {}
        self._tables: dict[Key, int] = {}
        """How many `[[headers]]` each array of tables has had so far."""
        self._written: set[Key] = set()
        self.repeated: list[tuple[Key, int, int]] = []
        """Keys and tables that are said again, with the line of each."""

    def scan(self) -> dict[Key, int]:
        table: Key = ()
        while not self._at_end():
            if self._take("[["):
                table = self._array_header()
            elif self._take("["):
                table = self._header()
            else:
                self._key_and_value(table)
        return self._lines

    def _at_end(self) -> bool:
        self._skip(_BLANK)
        return self._at >= len(self._text)

    def _header(self) -> Key:
        line = self._line()
        table: Key = ()
        for name in self._names():
            table = self._inside(table, name)
            self._lines.setdefault(table, line)
        if table[-1] == self._tables.get(table[:-1], 0) - 1:
            # `[[a]]` and then `[a]`.
            self.repeated.append((table[:-1], self._lines[table[:-1]], line))
        self._write_down(table, line)
        self._expect("]")
        return table

    def _write_down(self, key: Key, line: int) -> None:
        """A table or a value, which may stand once."""
        if key in self._written:
            self.repeated.append((key, self._lines[key], line))
        self._written.add(key)

    def _array_header(self) -> Key:
        line = self._line()
        *around, last = self._names()
        table: Key = ()
        for name in around:
            table = self._inside(table, name)
            self._lines.setdefault(table, line)
        array = (*table, last)
        position = self._tables.get(array, 0)
        self._tables[array] = position + 1
        self._lines.setdefault(array, line)
        self._lines[(*array, position)] = line
        self._expect("]]")
        return (*array, position)

    def _inside(self, table: Key, name: str) -> Key:
        """`name` in `table`; an array of tables means its newest element."""
        key = (*table, name)
        count = self._tables.get(key)
        return key if count is None else (*key, count - 1)

    def _key_and_value(self, table: Key) -> None:
        line = self._line()
        key = table
        for name in self._names():
            key = (*key, name)
            self._lines.setdefault(key, line)
        self._write_down(key, line)
        self._expect("=")
        self._value(key)

    def _value(self, key: Key) -> None:
        self._skip(_SPACE)
        if self._take("["):
            self._array(key)
        elif self._take("{"):
            self._inline_table(key)
        elif not self._string():
            self._skip(_SCALAR)

    def _array(self, key: Key) -> None:
        position = 0
        self._skip(_BLANK)
        while not self._take("]"):
            self._not_at_end()
            self._lines[(*key, position)] = self._line()
            begin = self._at
            self._value((*key, position))
            position += 1
            self._skip(_BLANK)
            self._take(",")
            self._skip(_BLANK)
            if self._at == begin:
                raise ValueError(f"no value in line {self._line()}")

    def _inline_table(self, key: Key) -> None:
        self._skip(_BLANK)
        while not self._take("}"):
            self._not_at_end()
            self._key_and_value(key)
            self._skip(_BLANK)
            self._take(",")
            self._skip(_BLANK)

    def _names(self) -> list[str]:
        """A key of one or more parts: bare, quoted, joined by dots."""
        names = [self._name()]
        while self._take("."):
            names.append(self._name())
        return names

    def _name(self) -> str:
        self._skip(_SPACE)
        bare = _BARE_KEY.match(self._text, self._at)
        if bare is not None:
            self._at = bare.end()
            name = bare[0]
        else:
            begin = self._at
            if not self._string():
                raise ValueError(f"no key in line {self._line()}")
            name = tomllib.loads(f"key = {self._text[begin : self._at]}")["key"]
        self._skip(_SPACE)
        return name

    def _string(self) -> bool:
        for pattern in _STRINGS:
            match = pattern.match(self._text, self._at)
            if match is not None:
                self._at = match.end()
                return True
        return False

    def _line(self) -> int:
        return bisect_right(self._ends, self._at - 1) + 1

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        if match is not None:
            self._at = match.end()

    def _take(self, token: str) -> bool:
        if not self._text.startswith(token, self._at):
            return False
        self._at += len(token)
        return True

    def _not_at_end(self) -> None:
        if self._at >= len(self._text):
            raise ValueError(f"the text ends in line {self._line()}, within a value")

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise ValueError(f"expected {token!r} in line {self._line()}")
