"""An operator's own policy: `policy = "module:Class"` names it, this loads it and says what is missing."""

import re
from importlib import import_module
from typing import Final, cast

from mobike.policy.choose import OrderedPolicy, Policy

SHIPPED: Final = f"{OrderedPolicy.__module__}:{OrderedPolicy.__qualname__}"

_NAME: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_METHODS: Final = ("choose", "rank")


class PlugError(Exception):
    """A policy that cannot be used: the message says what is missing."""


def load_policy(name: str) -> Policy:
    """One object of the class that `name` names."""
    if not _NAME.fullmatch(name):
        raise PlugError(f'must be "module:Class", as in "{SHIPPED}"')
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
    missing = [method for method in _METHODS if not callable(getattr(made, method, None))]
    if missing:
        raise PlugError(
            f"{class_name} has no method {' and no method '.join(missing)} (see mobike.policy.choose.Policy)"
        )
    try:
        return cast(Policy, made())
    except Exception as error:
        raise PlugError(f"{class_name}() failed: {type(error).__name__}: {error}") from error
