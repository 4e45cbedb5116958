"""The configuration as it is obeyed: every key with its value and where that comes from. No secret is in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from mobike.config.describe import about
from mobike.config.durations import format_duration
from mobike.config.files import Place
from mobike.config.load import Loaded
from mobike.config.locate import Key
from mobike.config.octets import format_octets
from mobike.config.problems import dotted
from mobike.config.schema import written_defaults
from mobike.config.settings import CONFIG_KEY, Connection
from mobike.config.tables import Tables
from mobike.config.toml import write_value

MASK: Final = "**********"
_COLUMN: Final = 48
"""Where comments begin, if the value leaves room."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One key."""

    table: Key
    name: str
    value: object
    """As TOML or JSON writes it; a secret is masked; None: there is none."""
    place: Place | None
    """None: nobody wrote it."""
    follows: bool = False
    """Not written, and no fixed default: it follows from others."""
    about: str = ""
    """What it means."""

    @property
    def key(self) -> Key:
        return (*self.table, self.name)

    @property
    def origin(self) -> str:
        if self.place is not None:
            return str(self.place)
        return "follows from others" if self.follows else "default"

    def as_json(self) -> dict[str, object]:
        place = None if self.place is None else {"file": self.place.file, "line": self.place.line}
        said = {"key": dotted(self.key), "value": self.value, "origin": self.origin, "place": place}
        return {**said, "about": self.about}


def shown(loaded: Loaded) -> Iterator[Shown]:
    """Every key of every table, tables in the order of the documentation."""
    derived = _derived(loaded)
    tables = loaded.tables
    for name, table in tables.sections.items():
        yield from _of_table((name,), table, tables, derived)
    for name, pool in tables.pools.items():
        yield from _of_table(("pools", name), pool, tables, derived)
    for name, connection in tables.connections.items():
        yield from _of_table(("connections", name), connection, tables, derived)


def as_toml(keys: Iterator[Shown], *, explained: bool = False) -> Iterator[str]:
    """Lines of a file. Of keys that are written alone, it says the same, secrets aside. `explained`: with what each
    means above it."""
    table: Key | None = None
    for each in keys:
        if each.table != table:
            yield from ([""] if table is not None else [])
            yield _header(each.table)
            table = each.table
        if explained:
            yield f"# {each.about}"
        if each.value is None:
            yield f"# {each.name}: none"
            continue
        said = f"{dotted((each.name,))} = {write_value(each.value)}"
        yield f"{said:<{_COLUMN}}  # {each.origin}"


def _header(table: Key) -> str:
    names = dotted(tuple(part for part in table if isinstance(part, str)))
    return f"[[{names}]]" if isinstance(table[-1], int) else f"[{names}]"


def _of_table(table: Key, model: BaseModel, tables: Tables, derived: dict[Key, object]) -> Iterator[Shown]:
    written: dict[str, Any] = written_defaults(type(model)) | model.model_dump(mode="json")
    inner: list[tuple[Key, BaseModel]] = []
    for name in type(model).model_fields:
        key = (*table, name)
        match getattr(model, name):
            case BaseModel() as one:
                inner.append((key, one))
            case [BaseModel(), *_] as several:
                inner += [((*key, place), each) for place, each in enumerate(several)]
            case None if key in derived:
                yield Shown(table, name, derived[key], None, follows=True, about=about(type(model), name))
            case _:
                yield Shown(table, name, written[name], tables.places.of(key), about=about(type(model), name))
    for key, one in inner:
        yield from _of_table(key, one, tables, derived)


def _derived(loaded: Loaded) -> dict[Key, object]:
    """What follows for keys that are not said and have no fixed default."""
    settings = loaded.settings
    found: dict[Key, object] = {
        ("daemon", "listen"): [str(ip) for ip in settings.daemon.listen],
        ("daemon", "state_dir"): str(settings.daemon.state_dir),
        ("api", "socket"): "" if settings.api.socket is None else str(settings.api.socket),
        ("api", "token_file"): str(settings.api.token_file),
    }
    if settings.daemon.config_key is None and settings.daemon.config_key_file is None:
        found["daemon", "config_key_file"] = str(settings.daemon.state_dir / CONFIG_KEY)
    if settings.store is not None and settings.store.key is None:
        found["store", "key_file"] = str(settings.store.key_file)
    for connection in settings.connections:
        found |= {("connections", connection.name, name): value for name, value in _of_connection(connection)}
    return found


def _of_connection(connection: Connection) -> Iterator[tuple[str, object]]:
    profile = connection.profile
    yield "local_id", profile.local_id
    yield "ike_lifetime_hard", format_duration(profile.limits.ike_hard)
    yield "esp_lifetime_hard", format_duration(profile.limits.esp_hard)
    yield "esp_lifetime_bytes_hard", format_octets(profile.limits.hard_bytes)
    yield "esp_lifetime_packets_hard", profile.limits.hard_packets
