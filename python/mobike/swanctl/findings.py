"""What became of each value of a tree, and why."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from mobike.config.problems import nearest
from mobike.swanctl.tree import Place, Section, Value


class Kind(Enum):
    """From the least to the most to look at."""

    MAPPED = "mapped"
    """It means the same here."""
    CHANGED = "changed"
    """It means something else here, or nothing is said and the default is another one."""
    UNSUPPORTED = "unsupported"
    """It is not in what was written."""


@dataclass(frozen=True, slots=True)
class Finding:
    """About one value or section."""

    kind: Kind
    place: Place
    key: str
    to: str = ""
    """The key of ours that says it."""
    reason: str = ""

    def __str__(self) -> str:
        arrow = f" -> {self.to}" if self.to else ""
        why = f": {self.reason}" if self.reason else ""
        return f"{self.place}: {self.key}{arrow}{why}"

    def as_json(self) -> dict[str, object]:
        return {
            "kind": self.kind.value,
            "file": self.place.file,
            "line": self.place.line,
            "key": self.key,
            "to": self.to or None,
            "reason": self.reason or None,
        }


class Unmappable(Exception):
    """A connection that is not imported: the finding that says why has been written."""


@dataclass(slots=True)
class Taker:
    """Takes values out of a section one by one; what nobody took is found at the end."""

    section: Section
    path: str
    findings: list[Finding]
    _left: dict[str, Value] = field(init=False)

    def __post_init__(self) -> None:
        self._left = dict(self.section.values)
        for key, old in self.section.replaced:
            new = self.section.values[key].place
            self._add(Kind.CHANGED, old.place, key, reason=f"what {new} says takes its place, as in strongSwan")

    def peek(self, key: str) -> str:
        """The text of a value; empty: nothing is said."""
        value = self.section.values.get(key)
        return "" if value is None else value.text.strip()

    def mapped(self, key: str, to: str = "", reason: str = "") -> None:
        self._about(Kind.MAPPED, key, to, reason)

    def changed(self, key: str, to: str, reason: str) -> None:
        self._about(Kind.CHANGED, key, to, reason)

    def lost(self, key: str, reason: str) -> None:
        self._about(Kind.UNSUPPORTED, key, "", reason)

    def refuse(self, key: str, reason: str) -> Unmappable:
        """The connection cannot be imported, because of this value (or of its absence)."""
        self._about(Kind.UNSUPPORTED, key, "", f"{reason}; the connection is not imported")
        return Unmappable()

    def finish(self, known: dict[str, tuple[frozenset[str], str]]) -> None:
        """What is left: known keys by their neutral values and the reason otherwise; else nobody knows them."""
        for key, value in dict(self._left).items():
            neutral, reason = known.get(key, (frozenset(), ""))
            if value.text.strip().lower() in neutral or (reason and not value.text.strip()):
                self.mapped(key, reason="so it is here always, or it has no effect")
            elif reason:
                self.lost(key, reason)
            else:
                self.lost(key, f"strongSwan has no such key here, or it is not known to us{self._near(key, known)}")

    def _near(self, key: str, known: Iterable[str]) -> str:
        return nearest(key, {*known, *(self.section.values.keys() - self._left.keys())})

    def _about(self, kind: Kind, key: str, to: str, reason: str) -> None:
        value = self._left.pop(key, None) or self.section.values.get(key)
        self._add(kind, self.section.place if value is None else value.place, key, to, reason)

    def _add(self, kind: Kind, place: Place, key: str, to: str = "", reason: str = "") -> None:
        self.findings.append(Finding(kind, place, f"{self.path}.{key}" if key else self.path, to, reason))
