"""Two configurations compared: what would come, go and change, and what each change means for SAs that live. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from mobike.config.effects import EFFECTS, Effect
from mobike.config.files import Place, Places
from mobike.config.locate import Key
from mobike.config.models import Table
from mobike.config.problems import dotted
from mobike.config.show import MASK
from mobike.config.tables import Tables


@dataclass(frozen=True, slots=True)
class Change:
    """A key that has another value. Secrets are masked."""

    key: Key
    old: object
    new: object
    effect: Effect
    place: Place | None
    """Where the new value is written; None: it is the default."""

    def as_json(self) -> dict[str, object]:
        place = None if self.place is None else {"file": self.place.file, "line": self.place.line}
        return {
            "key": dotted(self.key),
            "old": self.old,
            "new": self.new,
            "effect": self.effect.name.lower(),
            "place": place,
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """Of two configurations."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    """Names of connections; those that are removed end, with their IKE SAs."""
    changed: Mapping[str, tuple[Change, ...]]
    """Changes of each connection that is in both."""
    rest: tuple[Change, ...]
    """Of everything else."""

    @property
    def empty(self) -> bool:
        return not (self.added or self.removed or self.changed or self.rest)

    def effect(self, connection: str) -> Effect:
        """The most that happens to SAs of a connection that is in both."""
        return max((change.effect for change in self.changed.get(connection, ())), default=Effect.NOTHING)

    def as_json(self) -> dict[str, object]:
        changed = {
            name: {"effect": self.effect(name).name.lower(), "keys": [change.as_json() for change in changes]}
            for name, changes in self.changed.items()
        }
        rest = [change.as_json() for change in self.rest]
        return {"added": list(self.added), "removed": list(self.removed), "changed": changed, "rest": rest}


def difference(old: Tables, new: Tables) -> Difference:
    """What an edit from `old` to `new` would do."""
    both = [name for name in new.connections if name in old.connections]
    changed = {
        name: tuple(_changes(("connections", name), old.connections[name], new.connections[name], new.places))
        for name in both
    }
    return Difference(
        added=tuple(name for name in new.connections if name not in old.connections),
        removed=tuple(name for name in old.connections if name not in new.connections),
        changed={name: changes for name, changes in changed.items() if changes},
        rest=(*_of_sections(old, new), *_of_pools(old, new)),
    )


def _of_sections(old: Tables, new: Tables) -> Iterator[Change]:
    for name, table in new.sections.items():
        yield from _changes((name,), old.sections[name], table, new.places)


def _of_pools(old: Tables, new: Tables) -> Iterator[Change]:
    for name in dict.fromkeys([*old.pools, *new.pools]):
        before, after = old.pools.get(name), new.pools.get(name)
        key = ("pools", name)
        if before is not None and after is not None:
            yield from _changes(key, before, after, new.places)
        else:
            yield Change(key, _written(before), _written(after), Effect.NEXT, new.places.of(key))


def _changes(table: Key, old: Table, new: Table, places: Places) -> Iterator[Change]:
    """Every key of a table whose values differ, those of the tables within it too."""
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    for name, effect in EFFECTS[type(new)].items():
        key = (*table, name)
        was, becomes = getattr(old, name), getattr(new, name)
        if was == becomes:
            continue
        if isinstance(was, Table) and isinstance(becomes, Table):
            yield from _changes(key, was, becomes, places)
        else:
            secret = isinstance(was, SecretStr) or isinstance(becomes, SecretStr)
            yield Change(
                key, _shown(before[name], secret=secret), _shown(after[name], secret=secret), effect, places.of(key)
            )


def _shown(value: Any, *, secret: bool) -> object:  # noqa: ANN401 - what JSON holds
    return MASK if secret and value is not None else value


def _written(table: Table | None) -> object:
    return None if table is None else table.model_dump(mode="json")
