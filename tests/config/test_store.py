"""[store]: where SAs survive, and under which key."""

from pathlib import Path

import pytest

from mobike.config import ConfigError, StoreSettings, parse
from tests.config.judge import Judge

HOUR = 3600 * 1_000_000_000


def store(text: str, base: Path, **environ: str) -> StoreSettings | None:
    return parse(text, Judge(), base=base, environ=environ).settings.store


def problems(text: str, base: Path) -> list[str]:
    with pytest.raises(ConfigError) as error:
        store(text, base)
    return [str(problem) for problem in error.value.problems]


def test_without_a_file_nothing_survives(tmp_path: Path) -> None:
    assert store("", tmp_path) is None
    assert store("[store]", tmp_path) is None
    assert "store: names no file" in problems('[store]\nevery = "5s"', tmp_path)[0]


def test_the_key_lies_beside_the_file_unless_it_is_said_where(tmp_path: Path) -> None:
    assert store('[store]\nfile = "sas.db"', tmp_path) == StoreSettings(tmp_path / "sas.db", tmp_path / "sas.db.key")
    found = store('[store]\nfile = "a/sas.db"\nkey_file = "/run/k"\nevery = "5s"\nmax_age = "2h"', tmp_path)
    assert found == StoreSettings(tmp_path / "a/sas.db", Path("/run/k"), None, 5_000_000_000, 2 * HOUR)


def test_a_key_from_the_environment_is_never_shown(tmp_path: Path) -> None:
    found = store('[store]\nfile = "sas.db"\nkey_env = "K"', tmp_path, K="0xsecret")
    assert found is not None
    assert found.key == "0xsecret"
    assert "secret" not in repr(found)
    assert "the environment has no variable 'K'" in problems('[store]\nfile = "sas.db"\nkey_env = "K"', tmp_path)[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[store]\nfile = "s"\nkey_env = "PATH"\nkey_file = "k"', "give one of key_file, key_env"),
        ('[store]\nfile = "s"\nevery = "10ms"', "store.every: must be 100ms or more"),
        ('[store]\nfile = "s"\n[dataplane]\nkind = "null"', 'store.file: needs kind = "userspace"'),
        ('[store]\nfil = "s"', "store.fil"),
    ],
)
def test_what_contradicts_is_named(tmp_path: Path, text: str, problem: str) -> None:
    assert any(problem in each for each in problems(text, tmp_path)), problems(text, tmp_path)
