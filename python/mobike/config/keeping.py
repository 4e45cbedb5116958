"""What the daemon keeps over restarts, and the keys that seal it: IKE SAs in [store], configurations in state_dir."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from mobike.commands import SECOND
from mobike.config.locate import Key
from mobike.config.models import DaemonTable, StoreTable
from mobike.config.problems import nearest
from mobike.config.settings import DaemonSettings, StoreSettings

_LEAST_BEAT: Final = SECOND // 10

_Problem = Callable[[Key, str], None]


def store(
    table: StoreTable, base: Path, problem: _Problem, environ: Mapping[str, str], *, carries: bool
) -> StoreSettings | None:
    """None: IKE SAs end with the daemon. `carries`: there is a data plane."""
    if table.file is None:
        if table.model_fields_set:
            problem(("store",), "names no file; give file = PATH to keep IKE SAs over restarts")
        return None
    key = _given(("store",), (table.key_file, "key_file"), (table.key_env, "key_env"), problem, environ)
    if table.every < _LEAST_BEAT:
        problem(("store", "every"), "must be 100ms or more: each time is a write to the disk")
    if not carries:
        problem(
            ("store", "file"),
            'needs kind = "userspace" in [dataplane]: who carries no traffic has nothing to go on with',
        )
    file = base / table.file
    return StoreSettings(
        file=file,
        key_file=file.with_name(f"{file.name}.key") if table.key_file is None else base / table.key_file,
        key=key,
        every=table.every,
        max_age=table.max_age,
    )


def with_config_key(
    settings: DaemonSettings, table: DaemonTable, base: Path, problem: _Problem, environ: Mapping[str, str]
) -> DaemonSettings:
    """The key that seals configurations: named as that of [store] is."""
    file, variable = (table.config_key_file, "config_key_file"), (table.config_key_env, "config_key_env")
    key = _given(("daemon",), file, variable, problem, environ)
    named = None if table.config_key_file is None else base / table.config_key_file
    return replace(settings, config_key_file=named, config_key=key)


def _given(
    at: Key,
    file: tuple[str | None, str],
    variable: tuple[str | None, str],
    problem: _Problem,
    environ: Mapping[str, str],
) -> str | None:
    """A key from the environment; None: it is in a file."""
    (path, of_file), (name, of_variable) = file, variable
    if name is None:
        return None
    if path is not None:
        problem((*at, of_variable), f"is a second key; give one of {of_file}, {of_variable}")
    if name not in environ:
        problem((*at, of_variable), f"the environment has no variable {name!r}{nearest(name, environ)}")
    return environ.get(name)
