"""What a configuration is made of, as it is kept: texts of files, and connections that were made over the API.

A revision holds all of it, so that it can come back whatever the files say by then.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from mobike.config.files import Source
from mobike.config.tables import SECRET_KEYS
from mobike.facade import NotFound, Refused
from mobike.facade.configuration import Edit, FlawView, Invalid

Table = Mapping[str, Any]

FILES_ONLY: Final = frozenset({"on_up", "on_down", "on_move", "on_away", "policy", "authorise"})
"""Keys that name what the daemon runs: who may configure connections over the API may not have it run anything."""


MOST_OCTETS: Final = 8 << 20
"""Of all connections of the store. Each revision holds all of them."""


@dataclass(frozen=True, slots=True)
class Document:
    """A whole configuration."""

    files: tuple[Source, ...]
    stored: Mapping[str, Table] = field(default_factory=dict, repr=False)

    @property
    def digest(self) -> bytes:
        """Of the files alone."""
        texts = json.dumps([[source.file, source.text] for source in self.files])
        return hashlib.sha256(texts.encode()).digest()

    def octets(self) -> bytes:
        """For the archive."""
        files = [[source.file, source.text, source.exposed_to] for source in self.files]
        return json.dumps({"files": files, "stored": self.stored}).encode()

    @classmethod
    def read(cls, octets: bytes) -> "Document":
        """What `octets` made."""
        read = json.loads(octets)
        return cls(tuple(Source(*each) for each in read["files"]), read["stored"])

    def edited(self, edit: Edit, owned: Mapping[str, str]) -> "Document":
        """Its connections as an edit wants them. `owned`: those of files, and where they stand."""
        stored = dict(self.stored)
        for name, table in edit.connections.items():
            _may_be_stored(name, owned)
            if table is None:
                if name not in stored:
                    raise NotFound(f"there is no connection {name!r}")
                del stored[name]
            else:
                stored[name] = _clean(name, _whole(table))
        for name, patch in edit.patches.items():
            _may_be_stored(name, owned)
            if name not in stored:
                raise NotFound(f"there is no connection {name!r}")
            _clean(name, patch)
            stored[name] = merge_patch(stored[name], patch)
        size = len(json.dumps(stored).encode())
        if size > MOST_OCTETS:
            raise Refused(
                f"connections made over the API would take {size} octets; {MOST_OCTETS} is the most that is kept",
                hint="put them into files of conf.d",
            )
        return replace(self, stored=stored)


def merge_patch(target: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON
    """RFC 7396."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def without_secrets(table: Table) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A table as it may be shown, and the keys of it that are never shown."""
    hidden = []
    shown: dict[str, Any] = {}
    for name, value in table.items():
        if name in SECRET_KEYS:
            hidden.append(name)
        elif name == "radius" and isinstance(value, list):
            shown[name] = [{key: each for key, each in server.items() if key not in SECRET_KEYS} for server in value]
            if shown[name] != value:
                hidden.append(name)
        else:
            shown[name] = value
    return shown, tuple(hidden)


def _whole(table: Table) -> dict[str, Any]:
    """What is null is not said."""
    return {name: value for name, value in table.items() if value is not None}


def _may_be_stored(name: str, owned: Mapping[str, str]) -> None:
    if name in owned:
        why = f"is in {owned[name]}; change it there, and reload"
        raise Invalid([FlawView(why, f"connections.{name}", None, name)])


def _clean(name: str, table: Table) -> dict[str, Any]:
    flaws = [
        FlawView(
            "names what the daemon runs; that is said in files alone", f"connections.{name}.{key}", None, name, (key,)
        )
        for key in sorted(FILES_ONLY & table.keys())
    ]
    if flaws:
        raise Invalid(flaws)
    return dict(table)
