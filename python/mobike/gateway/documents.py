"""What a configuration is made of, as it is kept: texts of files, and the connections and credentials
that were made over the API.

A revision holds all of it, so that it can come back whatever the files say by then.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from mobike.config.files import Source
from mobike.config.held import Held
from mobike.config.tables import SECRET_KEYS
from mobike.facade import NotFound, Refused
from mobike.facade.configuration import Edit, FlawView, Invalid
from mobike.gateway.vault import named_in, still_named

Table = Mapping[str, Any]

FILES_ONLY: Final = frozenset({"on_up", "on_down", "on_move", "on_away", "policy", "authorise"})
"""Keys that name what the daemon runs: who may configure connections over the API may not have it run anything."""


MOST_OCTETS: Final = 8 << 20
"""Of all connections and credentials of the store. Each revision holds all of them."""


@dataclass(frozen=True, slots=True)
class Document:
    """A whole configuration."""

    files: tuple[Source, ...]
    stored: Mapping[str, Table] = field(default_factory=dict, repr=False)
    credentials: Mapping[str, Held] = field(default_factory=dict, repr=False)
    lost: tuple[str, ...] = field(default=(), compare=False)
    """Credentials that it had, and that were deleted since."""

    @property
    def digest(self) -> bytes:
        """Of the files alone."""
        texts = json.dumps([[source.file, source.text] for source in self.files])
        return hashlib.sha256(texts.encode()).digest()

    def octets(self, mark: Callable[[bytes], bytes]) -> bytes:
        """For the archive. What credentials say is beside it (`secrets`): here stands which it is."""
        files = [[source.file, source.text, source.exposed_to] for source in self.files]
        credentials = {name: _kept(each, mark(each.text.encode())) for name, each in self.credentials.items()}
        return json.dumps({"files": files, "stored": self.stored, "credentials": credentials}).encode()

    @property
    def secrets(self) -> dict[str, bytes]:
        """What its credentials say, by their names."""
        return {name: each.text.encode() for name, each in self.credentials.items()}

    @classmethod
    def read(cls, octets: bytes, secret: Callable[[str, bytes], bytes | None]) -> "Document":
        """What `octets` made. `secret` knows what a credential of a name said, by its mark; one that was deleted since
        is left out (`lost`)."""
        read = json.loads(octets)
        credentials, lost = {}, []
        for name, each in read.get("credentials", {}).items():
            text = secret(name, bytes.fromhex(each.pop("mark")))
            if text is None:
                lost.append(name)
            else:
                credentials[name] = _held(each, text.decode())
        files = tuple(Source(*each) for each in read["files"])
        return cls(files, read["stored"], credentials, tuple(lost))

    def edited(self, edit: Edit, owned: Mapping[str, str], credentials: Mapping[str, Held] | None = None) -> "Document":
        """Its connections as an edit wants them, beside `credentials` (None: those there are). `owned`: those of files,
        and where they stand."""
        credentials = self.credentials if credentials is None else credentials
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
        still_named(self.credentials, credentials, stored)
        size = len(json.dumps(stored).encode()) + sum(len(each.text.encode()) for each in credentials.values())
        if size > MOST_OCTETS:
            raise Refused(
                f"what is made over the API would take {size} octets; {MOST_OCTETS} is the most that is kept",
                hint="put connections into files of conf.d",
            )
        return replace(self, stored=stored, credentials=credentials)

    def instead(self, now: Mapping[str, Held]) -> tuple["Document", tuple[str, ...]]:
        """With those of now in place of what it has lost and names; and which. Refused where there is none."""
        wanted = [name for name in self.lost if name in named_in(self.stored)]
        for name in wanted:
            if name not in now:
                raise Refused(
                    f"it names credential {name!r}, which was deleted since, from all revisions",
                    hint=f"set {name!r} anew (mobike credential set {name} FILE --kind KIND), then bring this one back",
                )
        found = {**self.credentials, **{name: now[name] for name in wanted}}
        return replace(self, credentials=found, lost=()), tuple(wanted)


def _kept(held: Held, mark: bytes) -> dict[str, object]:
    """All but what it says."""
    return {key: value for key, value in asdict(held).items() if key != "text"} | {"mark": mark.hex()}


def _held(read: Mapping[str, Any], text: str) -> Held:
    return Held(**{**read, "text": text, "fingerprints": tuple(read["fingerprints"])})


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
