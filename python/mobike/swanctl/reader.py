"""The text of swanctl.conf into a tree: sections, values, quotes, comments, references and includes.

section   := name [ : name.name, .. ] { .. }
value     := key = words, or "quoted", to the end of the line or the end of the section
include   := include PATTERN
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from mobike.swanctl.tree import MOST_NODES, Place, Reference, Section, SwanctlError, Value

DEEPEST: Final = 32
"""Sections within sections."""
DEEPEST_INCLUDE: Final = 16

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t\r]*")
_NAME: Final = re.compile(r'[^.,:{}="#\s]+')
_REFERENCE: Final = re.compile(r'[^,:{}="#\s]+')
_WORD: Final = re.compile(r'[^\s{}#"]+')
_INCLUDE: Final = re.compile(r"include[ \t]+(?![ \t=:{])")
_PATTERN: Final = re.compile(r'[^\s"#{}]+')
_PLAIN: Final = re.compile(r'[^"\\]+')
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "\n": ""}


class Source(NamedTuple):
    """A file that was read."""

    file: str
    text: str


Include = Callable[[str, Place], Sequence[Source]]
"""The files that a pattern at a place means; SwanctlError if they cannot be read."""


def read(source: Source, include: Include) -> Section:
    """The tree of a file and of what it includes."""
    root = Section("", Place(source.file, 1))
    _Reader(include).read(source, root)
    return root


class _Reader:
    def __init__(self, include: Include) -> None:
        self._include = include
        self._open: list[str] = []
        self._nodes = 0

    def read(self, source: Source, into: Section) -> None:
        self._open.append(source.file)
        _File(source, self).read(into)
        self._open.pop()

    def include(self, pattern: str, place: Place, into: Section) -> None:
        if len(self._open) >= DEEPEST_INCLUDE:
            raise SwanctlError(place, f"more than {DEEPEST_INCLUDE} files that include each other")
        for source in self._include(pattern, place):
            if source.file in self._open:
                raise SwanctlError(place, f"{source.file} includes itself")
            self.read(source, into)

    def count(self, place: Place) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise SwanctlError(place, f"more than {MOST_NODES} sections and values")


class _File:
    def __init__(self, source: Source, reader: _Reader) -> None:
        self._file = source.file
        self._text = source.text
        self._at = 0
        self._line = 1
        self._counted = 0
        self._reader = reader

    def read(self, root: Section) -> None:
        open_sections = [root]
        while not self._at_end():
            if self._take("}"):
                if len(open_sections) == 1:
                    raise self._error("a '}' that closes nothing")
                open_sections.pop()
            elif self._takes(_INCLUDE):
                self._include(open_sections[-1])
            else:
                self._section_or_value(open_sections)
        if len(open_sections) > 1:
            last = open_sections[-1]
            raise SwanctlError(last.place, f"section {last.name} is not closed: a '}}' is missing")

    def _section_or_value(self, open_sections: list[Section]) -> None:
        place = self._place()
        name = self._match(_NAME, "a name")
        self._skip(_SPACE)
        around = open_sections[-1]
        self._reader.count(place)
        if self._take("="):
            value = Value(self._value(), place)
            if name in around.values:
                around.replaced.append((name, around.values[name]))
            around.values[name] = value
            return
        references = self._references() if self._take(":") else []
        self._skip(_BLANK)
        if not self._take("{"):
            raise SwanctlError(place, f"after {name} there must be '= VALUE' or '{{'")
        if len(open_sections) > DEEPEST:
            raise SwanctlError(place, f"more than {DEEPEST} sections within each other")
        section = around.sections.setdefault(name, Section(name, place))
        section.references += references
        open_sections.append(section)

    def _references(self) -> list[Reference]:
        found = []
        while True:
            self._skip(_BLANK)
            place = self._place()
            names = self._match(_REFERENCE, "the name of a section").split(".")
            found.append(Reference(tuple(names), place))
            self._skip(_BLANK)
            if not self._take(","):
                return found

    def _include(self, into: Section) -> None:
        place = self._place()
        pattern = self._quoted() if self._take('"') else self._match(_PATTERN, "a file")
        self._reader.include(pattern, place, into)

    def _value(self) -> str:
        words = []
        while True:
            self._skip(_SPACE)
            if self._take('"'):
                words.append(self._quoted())
                continue
            word = _WORD.match(self._text, self._at)
            if word is None:
                break
            self._at = word.end()
            words.append(word[0])
        if self._text.startswith("{", self._at):
            raise self._error("a '{' within a value; put quotes around it")
        return " ".join(words)

    def _quoted(self) -> str:
        begin = self._place()
        text = ""
        while not self._take('"'):
            plain = _PLAIN.match(self._text, self._at)
            if plain is not None:
                self._at = plain.end()
                text += plain[0]
            elif self._take("\\") and self._at < len(self._text):
                escaped = self._text[self._at]
                self._at += 1
                text += _ESCAPES.get(escaped, escaped)
            else:
                raise SwanctlError(begin, "a quote that is not closed")
        return text

    def _at_end(self) -> bool:
        self._skip(_BLANK)
        return self._at >= len(self._text)

    def _place(self) -> Place:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return Place(self._file, self._line)

    def _error(self, message: str) -> SwanctlError:
        return SwanctlError(self._place(), message)

    def _match(self, pattern: re.Pattern[str], what: str) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            seen = self._text[self._at : self._at + 1]
            raise self._error(
                f"expected {what}, and there is {seen!r}" if seen else f"expected {what}, and the file ends"
            )
        self._at = found.end()
        return found[0]

    def _takes(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found is not None

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._takes(pattern)

    def _take(self, token: str) -> bool:
        if not self._text.startswith(token, self._at):
            return False
        self._at += len(token)
        return True
