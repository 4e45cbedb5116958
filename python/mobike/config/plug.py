"""An operator's own classes: `policy` and `authorise` name one as "module:Class". Loads it, says what is missing."""

import re
from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

from mobike.auth.visitors import Authoriser
from mobike.config.settings import AuthoriserSettings
from mobike.policy.choose import OrderedPolicy, Policy

SHIPPED: Final = f"{OrderedPolicy.__module__}:{OrderedPolicy.__qualname__}"

LONGEST_WAIT: Final = 9_000_000_000
"""Nanoseconds; the core refuses by itself after ten seconds, and then nobody would say why."""

_NAME: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class PlugError(Exception):
    """A class that cannot be used: the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Plugs:
    """An operator's classes of one connection, made and ready."""

    policy: Policy
    authoriser: AuthoriserSettings | None


def read_plugs(policy_name: str, authoriser_name: str | None, within: int) -> Plugs | list[tuple[str, str]]:
    """What a connection names; else the keys that are wrong, and why."""
    problems = []
    policy = authoriser = None
    try:
        policy = load_policy(policy_name)
    except PlugError as problem:
        problems.append(("policy", str(problem)))
    try:
        authoriser = None if authoriser_name is None else load_authoriser(authoriser_name)
    except PlugError as problem:
        problems.append(("authorise", str(problem)))
    if not 0 < within <= LONGEST_WAIT:
        problems.append(("authorise_within", "must be more than nothing and at most 9s: peers wait for it"))
    if policy is None or problems:
        return problems
    settings = None if authoriser is None else AuthoriserSettings(authoriser, within)
    return Plugs(policy, settings)


def load_policy(name: str) -> Policy:
    """One object of the class that `name` names."""
    return cast(Policy, _load(name, ("choose", "rank"), SHIPPED, "mobike.policy.choose.Policy"))


def load_authoriser(name: str) -> Authoriser:
    """The same of who may in."""
    return cast(Authoriser, _load(name, ("judge",), "site.door:Door", "mobike.auth.visitors.Authoriser"))


def _load(name: str, methods: tuple[str, ...], example: str, protocol: str) -> object:
    if not _NAME.fullmatch(name):
        raise PlugError(f'must be "module:Class", as in "{example}"')
    module_name, class_name = name.split(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        raise PlugError(f"there is no module {error.name}; is it on PYTHONPATH?") from None
    except Exception as error:
        raise PlugError(f"module {module_name} cannot be loaded: {type(error).__name__}: {error}") from error
    made = getattr(module, class_name, None)
    if not isinstance(made, type):
        raise PlugError(f"module {module_name} has no class {class_name}")
    missing = [method for method in methods if not callable(getattr(made, method, None))]
    if missing:
        raise PlugError(f"{class_name} has no method {' and no method '.join(missing)} (see {protocol})")
    try:
        made_one: object = made()
    except Exception as error:
        raise PlugError(f"{class_name}() failed: {type(error).__name__}: {error}") from error
    return made_one
