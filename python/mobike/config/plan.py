"""From the configuration in force and a new one to what becomes of each connection, and of IKE SAs that live. Pure.

```
difference   what the texts say otherwise, key by key                          diff
contents     files that a key names and that say something else by now         _contents
plan         for each connection: added, changed or removed, and its touch     Step
in force     what is obeyed afterwards: keys that need a restart stay as they are
```
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from mobike.commands import Pool
from mobike.config.diff import Change, difference
from mobike.config.effects import EFFECTS, Effect
from mobike.config.load import Loaded
from mobike.config.locate import Key
from mobike.config.models import Table
from mobike.config.problems import ConfigError, Problem, dotted
from mobike.config.settings import Connection, Settings
from mobike.config.tables import Tables


class Touch(IntEnum):
    """What becomes of IKE SAs that live. From the least to the most."""

    NOTHING = 0
    """They stay as they are; what is obeyed at once they obey."""
    NEXT = 1
    """They keep what they have; the next one has it."""
    REKEY = 2
    """Their Child SAs are replaced."""
    REAUTHENTICATE = 3
    """Another IKE SA is made before the old one goes."""
    CLOSE = 4
    """They end; peers that want to come back come back."""

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS: Final = {
    Touch.NOTHING: "IKE SAs stay as they are",
    Touch.NEXT: "IKE SAs stay as they are; the next ones have it",
    Touch.REKEY: "Child SAs are rekeyed",
    Touch.REAUTHENTICATE: "IKE SAs are reauthenticated, the new one before the old one goes",
    Touch.CLOSE: "IKE SAs are closed",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One connection."""

    connection: str
    what: str
    """`added`, `changed` or `removed`."""
    touch: Touch
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying a configuration would do."""

    steps: tuple[Step, ...]
    rest: tuple[Change, ...]
    """Of everything that is no connection, and is obeyed without a restart."""
    restart: tuple[Change, ...]
    """Not obeyed before the daemon starts anew."""
    old: Loaded
    new: Loaded
    """What is in force afterwards: `restart` is not in it."""

    @property
    def empty(self) -> bool:
        """Nothing would change, now or after a restart."""
        return not (self.steps or self.rest or self.restart)

    def named(self, what: str) -> tuple[str, ...]:
        """Connections of one kind."""
        return tuple(step.connection for step in self.steps if step.what == what)


def plan(old: Loaded, new: Loaded, *, keep: bool = False, streams: bool = True, live: bool = True) -> Plan:
    """What applying `new` does; ConfigError if that is not possible while the daemon runs.

    `keep`: IKE SAs of connections that stay are left alone, whatever the change means for them. `streams`: somebody
    listens for TCP already. `live`: `old` is in force; else both are only compared.
    """
    found = difference(old.tables, new.tables)
    before = {each.name: each for each in old.settings.connections}
    after = {each.name: each for each in new.settings.connections}
    if live:
        _pools_stay(old, new)
    changed = {name: [*changes] for name, changes in found.changed.items()}
    for name, becomes in after.items():
        of_contents = [*_contents(before[name], becomes, old.tables, new.tables)] if name in before else []
        if of_contents:
            changed.setdefault(name, []).extend(of_contents)
    steps = [Step(name, "removed", Touch.CLOSE) for name in found.removed]
    steps += [Step(name, "added", Touch.NOTHING) for name in found.added]
    restart = [change for change in found.rest if change.effect is Effect.RESTART]
    for name, changes in changed.items():
        restart += [] if streams else _streams_wanted(after[name], changes)
        touch = _touch(after[name], changes)
        steps.append(Step(name, "changed", min(touch, Touch.NEXT) if keep else touch, tuple(changes)))
    restart += [] if streams else [each for name in found.added for each in _streams_wanted(after[name], [])]
    rest = (*(change for change in found.rest if change.effect is not Effect.RESTART), *_ticket_keys(old, new))
    return Plan(tuple(steps), rest, tuple(restart), old, _in_force(old, new, changed))


def _touch(connection: Connection, changes: list[Change]) -> Touch:
    effect = max(change.effect for change in changes)
    match effect:
        case Effect.NOTHING:
            return Touch.NOTHING
        case Effect.NEXT | Effect.RESTART:
            return Touch.NEXT
        case Effect.CHILD:
            return Touch.REKEY
        case Effect.IKE:
            # Only who begins an IKE SA can make another one.
            begins = connection.policy.initiates and all(change.key[-1] != "role" for change in changes)
            return Touch.REAUTHENTICATE if begins else Touch.CLOSE


# --- contents of files -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Contents:
    """What is made of files and variables that keys name."""

    part: str
    effect: Effect
    keys: tuple[str, ...]
    """They name them; the first that is said is told of."""
    beside: tuple[str, ...] = ()
    """Other keys that have a say in it."""


_CONTENTS: Final = (
    # A secret that was replaced may be known to somebody.
    _Contents("psk", Effect.IKE, ("psk_file", "psk_env"), ("psk", "local_auth", "remote_auth")),
    _Contents("ppk", Effect.IKE, ("ppk_file", "ppk_env"), ("ppk", "ppk_id", "ppk_required")),
    _Contents("remote_keys", Effect.IKE, ("remote_keys",)),
    # Certificates and lists are renewed as a matter of course.
    _Contents("credential", Effect.NEXT, ("local_cert", "local_key", "local_ocsp"), ("local_auth",)),
    _Contents("trust", Effect.NEXT, ("remote_crl", "remote_ca"), ("remote_ocsp", "remote_auth")),
    _Contents(
        "eap",
        Effect.NEXT,
        ("eap_users", "eap_password_file", "eap_password_env", "radius"),
        ("eap", "eap_identity", "eap_password", "local_id", "local_auth", "remote_auth"),
    ),
)


def _contents(old: Connection, new: Connection, before: Tables, after: Tables) -> Iterator[Change]:
    """Keys that say the same, of files that do not."""
    was, becomes = before.connections[old.name], after.connections[new.name]
    for each in _CONTENTS:
        said = [key for key in each.keys if getattr(becomes, key)]
        same = all(getattr(was, key) == getattr(becomes, key) for key in (*each.keys, *each.beside))
        if said and same and _part(old, each.part) != _part(new, each.part):
            key = ("connections", new.name, said[0])
            yield Change(key, "what it said before", "what it says now", each.effect, after.places.of(key))


def _ticket_keys(old: Loaded, new: Loaded) -> Iterator[Change]:
    """The same for keys that several gateways share."""
    key = ("tickets", "key_file")
    was, becomes = (getattr(each.tables.sections["tickets"], "key_file", None) for each in (old, new))
    if becomes is not None and was == becomes and old.settings.ticket_keys != new.settings.ticket_keys:
        yield Change(key, "what it said before", "what it says now", Effect.NEXT, new.tables.places.of(key))


def _part(connection: Connection, part: str) -> object:
    return getattr(connection if part in {"trust", "eap"} else connection.profile, part)


# --- what cannot be done while the daemon runs -----------------------------------------------------------------------


def _streams_wanted(connection: Connection, changes: list[Change]) -> list[Change]:
    """Who listens for TCP begins to at the start."""
    if not (connection.profile.accepts and connection.profile.tcp):
        return []
    key = ("connections", connection.name, "transport")
    known = next((change for change in changes if change.key == key), None)
    return [replace(known, effect=Effect.RESTART) if known else Change(key, None, "tcp", Effect.RESTART, None)]


def _pools_stay(old: Loaded, new: Loaded) -> None:
    """Leases are known by the pool they came from: an address must not be another pool's while somebody may have it."""
    before = [*_ranges(old.settings)]
    problems = []
    for owner, key, pool in _ranges(new.settings):
        for other, _, theirs in before:
            if other != owner and _overlap(pool, theirs):
                place = new.tables.places[key]
                why = (
                    f"addresses of it are leased from {other} now; take them from there first, and give them here later"
                )
                problems.append(Problem(place.file, place.line, dotted(key), why, key))
                break
    if problems:
        raise ConfigError(problems, new.tables.places.files)


def _ranges(settings: Settings) -> Iterator[tuple[str, Key, Pool]]:
    seen = set()
    for each in settings.connections:
        name = each.profile.pool_name
        owner = f"[connections.{each.name}]" if name is None else f"[pools.{name}]"
        key: Key = ("connections", each.name, "pool") if name is None else ("pools", name, "ranges")
        if owner not in seen:
            seen.add(owner)
            yield from ((owner, key, pool) for pool in each.profile.pools)


def _overlap(one: Pool, other: Pool) -> bool:
    if one.first.version != other.first.version:
        return False
    first, second = sorted((int(each.first), each.count) for each in (one, other))
    return second[0] < first[0] + first[1]


# --- in force afterwards ---------------------------------------------------------------------------------------------


def _in_force(old: Loaded, new: Loaded, changed: Mapping[str, object]) -> Loaded:
    was, becomes = old.settings, new.settings
    same = {each.name: each for each in was.connections if each.name not in changed}
    daemon = replace(was.daemon, log_level=becomes.daemon.log_level, log_format=becomes.daemon.log_format)
    settings = replace(
        becomes,
        daemon=daemon,
        api=was.api,
        dataplane=was.dataplane,
        limits=was.limits,
        store=was.store,
        links=replace(was.links, rules=becomes.links.rules),
        connections=tuple(_kept(each, same.get(each.name), was) for each in becomes.connections),
    )
    sections = {name: _obeyed(old.tables.sections[name], table) for name, table in new.tables.sections.items()}
    return Loaded(settings, new.warnings, replace(new.tables, sections=sections))


def _kept(new: Connection, same: Connection | None, was: Settings) -> Connection:
    """The object in force, if it says the same: policies are compared by identity."""
    ports = replace(new.policy.ports, local_ike=was.daemon.ike_port, local_natt=was.daemon.natt_port)
    if same is None:
        return replace(new, policy=replace(new.policy, ports=ports))
    if new.profile == same.profile and new.policy.links == same.policy.links:
        return same
    return replace(new, policy=replace(same.policy, links=new.policy.links))


def _obeyed(old: Table, new: Table) -> Table:
    """A section as it is obeyed: keys that need a restart say what they said."""
    effects = EFFECTS[type(new)]
    kept = {name: getattr(old, name) for name, effect in effects.items() if effect is Effect.RESTART}
    inner = {name for name in effects if isinstance(getattr(new, name), Table)}
    kept |= {name: _obeyed(getattr(old, name), getattr(new, name)) for name in inner if name not in kept}
    return new.model_copy(update=kept)
