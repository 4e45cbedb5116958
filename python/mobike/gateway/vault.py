"""Credentials of the store: edited, named by connections, and told of without what they say."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mobike.config.held import Held, held
from mobike.config.named import STORED, SecretError
from mobike.facade import NotFound, Refused
from mobike.facade.configuration import CredentialStepView, CredentialView, FlawView, Invalid, NewCredential

MOST: Final = 1000
"""Credentials."""

Tables = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Clerk:
    """What an edit of credentials needs from outside."""

    now: float
    mark: Callable[[bytes], str]
    """Names a secret, for this daemon alone."""


def edited(
    before: Mapping[str, Held], wanted: Mapping[str, NewCredential | None], clerk: Clerk
) -> tuple[dict[str, Held], list[CredentialStepView]]:
    """As an edit wants them, and what became of each; NotFound, Refused, or Invalid with all that is wrong."""
    after, steps, flaws = dict(before), [], []
    for name, new in wanted.items():
        was = before.get(name)
        if new is None:
            if was is None:
                raise NotFound(f"there is no credential {name!r}")
            del after[name]
            steps.append(CredentialStepView(name, "removed"))
            continue
        try:
            after[name] = held(new.kind, new.content, clerk.now, was, clerk.mark)
        except SecretError as problem:
            flaws.append(FlawView(str(problem), f"credentials.{name}", None, credential=name, within=(problem.key,)))
            continue
        if after[name] is not was:
            steps.append(CredentialStepView(name, "added" if was is None else "changed"))
    if flaws:
        raise Invalid(flaws)
    if len(after) > MOST:
        raise Refused(f"there would be {len(after)} credentials; {MOST} are the most", hint="delete those nobody names")
    return after, steps


def steps(before: Mapping[str, Held], after: Mapping[str, Held]) -> Iterator[CredentialStepView]:
    """What became of each from one revision to another."""
    for name in sorted({*before, *after}):
        was, becomes = before.get(name), after.get(name)
        if was is None or becomes is None:
            yield CredentialStepView(name, "added" if was is None else "removed")
        elif (was.kind, was.text) != (becomes.kind, becomes.text):
            yield CredentialStepView(name, "changed")


def still_named(before: Mapping[str, Held], after: Mapping[str, Held], tables: Tables) -> None:
    """Refused, where connections name what goes, or becomes of another kind."""
    for name, was in before.items():
        becomes = after.get(name)
        if becomes is not None and becomes.kind == was.kind:
            continue
        users = _by_name(tables).get(name, ())
        if users:
            told = ", ".join(users[:10]) + (f" and {len(users) - 10} more" if len(users) > 10 else "")
            what = "is in use" if becomes is None else f"cannot become another kind ({was.kind} now)"
            raise Refused(f"credential {name!r} {what}: {told}", hint="let these connections name another one first")


def views(credentials: Mapping[str, Held], tables: Tables) -> tuple[CredentialView, ...]:
    """All of them, by name."""
    users = _by_name(tables)
    return tuple(
        CredentialView(
            name, each.kind, each.fingerprints, each.ends, each.made, each.changed, tuple(users.get(name, ()))
        )
        for name, each in sorted(credentials.items())
    )


def named_in(tables: Tables) -> frozenset[str]:
    """All that somebody names."""
    return frozenset(_by_name(tables))


def _by_name(tables: Tables) -> dict[str, list[str]]:
    users: dict[str, list[str]] = {}
    for connection, table in tables.items():
        for name in dict.fromkeys(_named(table)):
            users.setdefault(name, []).append(connection)
    return users


def _named(value: object) -> Iterator[str]:
    """Names of credentials in a table, wherever they stand."""
    match value:
        case str() if value.startswith(STORED):
            yield value.removeprefix(STORED)
        case dict():
            for each in value.values():
                yield from _named(each)
        case list() | tuple():
            for each in value:
                yield from _named(each)
        case _:
            pass
