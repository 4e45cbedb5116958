"""The manual pages: committed as they are made, complete, and such that man has nothing to say against them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mobike.cli.manual import of_command, of_file
from mobike.facade.keys import KEYS

MAN = Path(__file__).parents[2] / "docs/man"
PAGES = {"mobike.1": of_command, "mobike.toml.5": of_file}


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_the_one_that_is_made(name: str) -> None:
    assert (MAN / name).read_text().splitlines() == [*PAGES[name]()], "run: make man"


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
@pytest.mark.parametrize("name", PAGES)
def test_man_draws_it_without_a_warning(name: str) -> None:
    command = ["man", "--warnings", "-E", "UTF-8", "-l", str(MAN / name)]
    told = subprocess.run(
        command, check=True, capture_output=True, text=True, env={"PATH": "/usr/bin", "MANWIDTH": "100"}
    )
    assert told.stderr == ""
    assert "NAME" in told.stdout


def test_every_key_and_every_command_is_in_them() -> None:
    of_keys, of_commands = "\n".join(of_file()), "\n".join(of_command())
    for table, keys in KEYS.items():
        section = of_keys.split(f"[{table}]")[1].split(".SS")[0].replace("\\", "")
        for key in keys:
            assert f"fB{key}fR" in section, f"{table}.{key}"
    for command in ("run", "config apply", "token create NAME", "child up NAME|ID CHILD", "status [ID]"):
        assert f".SS {command}\n" in of_commands
