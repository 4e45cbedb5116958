"""Sections and values with their places. `effective` puts in what sections inherit from those that they refer to."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

MOST_NODES: Final = 1_000_000
"""Sections and values of a tree, inherited ones counted each time."""
DEEPEST_INHERITANCE: Final = 100


class Place(NamedTuple):
    """Where something is written."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class SwanctlError(Exception):
    """What cannot be read: where, and why."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


class Value(NamedTuple):
    """What follows a `=`."""

    text: str
    place: Place


class Reference(NamedTuple):
    """A section that another one inherits from, by its absolute name."""

    name: tuple[str, ...]
    place: Place


@dataclass(slots=True)
class Section:
    """A section; the root has no name."""

    name: str
    place: Place
    values: dict[str, Value] = field(default_factory=dict)
    sections: dict[str, "Section"] = field(default_factory=dict)
    references: list[Reference] = field(default_factory=list)
    replaced: list[tuple[str, Value]] = field(default_factory=list)
    """Values that later ones of the same key took the place of."""

    def walk(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], "Section"]]:
        """This one and all within it, with their names."""
        yield path, self
        for name, section in self.sections.items():
            yield from section.walk((*path, name))


def effective(root: Section) -> Section:
    """The tree with everything inherited in its place: own values first, then those of references, left to right."""
    whole = _Heir(root).of(root)
    _count(whole, {})
    return whole


def _count(section: Section, known: dict[int, int]) -> int:
    """Sections and values in it. What is inherited twice is one object, and counts twice."""
    if id(section) not in known:
        count = 1 + len(section.values) + sum(_count(inner, known) for inner in section.sections.values())
        if count > MOST_NODES:
            raise SwanctlError(section.place, f"more than {MOST_NODES} sections and values, inherited ones counted")
        known[id(section)] = count
    return known[id(section)]


class _Heir:
    def __init__(self, root: Section) -> None:
        self._root = root
        self._open: list[int] = []
        self._done: dict[int, Section] = {}
        self._nodes = 0

    def of(self, section: Section) -> Section:
        known = self._done.get(id(section))
        if known is not None:
            return known
        if id(section) in self._open:
            raise SwanctlError(section.place, f"section {section.name} inherits from itself")
        if len(self._open) >= DEEPEST_INHERITANCE:
            message = f"more than {DEEPEST_INHERITANCE} sections that inherit from each other"
            raise SwanctlError(section.place, message)
        self._open.append(id(section))
        own = self._copy(section)
        for name, inner in section.sections.items():
            own.sections[name] = self.of(inner)
        for reference in section.references:
            self._inherit(own, self.of(self._find(reference)))
        self._open.pop()
        self._done[id(section)] = own
        return own

    def _copy(self, section: Section) -> Section:
        self._count(section)
        return Section(section.name, section.place, dict(section.values), {}, [], list(section.replaced))

    def _inherit(self, own: Section, base: Section) -> None:
        self._count(base)
        for key, value in base.values.items():
            own.values.setdefault(key, value)
        for name, inner in base.sections.items():
            there = own.sections.get(name)
            if there is None:
                own.sections[name] = inner
                continue
            joined = self._copy(there)
            joined.sections = dict(there.sections)
            self._inherit(joined, inner)
            own.sections[name] = joined

    def _find(self, reference: Reference) -> Section:
        section = self._root
        for name in reference.name:
            if name not in section.sections:
                raise SwanctlError(reference.place, f"there is no section {'.'.join(reference.name)} to inherit from")
            section = section.sections[name]
        return section

    def _count(self, section: Section) -> None:
        self._nodes += 1 + len(section.values)
        if self._nodes > MOST_NODES:
            raise SwanctlError(section.place, f"more than {MOST_NODES} sections and values, inherited ones counted")
