"""Completion offers names of the daemon that runs; where none answers it offers nothing, and says nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Running


def offered(line: str, **environment: str) -> list[str]:
    """What a shell would offer behind these words."""
    told = subprocess.run(
        [Path(sys.executable).parent / "mobike"],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("MOBIKE_")},
            "_MOBIKE_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - (not line.endswith(" "))),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.stderr == ""
    return told.stdout.split()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("mobike up ", ["office", "lab", "roadwarriors"]),
        ("mobike up o", ["office"]),
        ("mobike move ", ["office", "lab", "roadwarriors", "1"]),
        ("mobike move 1 --local 192", ["192.0.2.10"]),
        ("mobike avoid ", ["wlan0", "wwan0"]),
        ("mobike why l", ["lab"]),
        ("mobike order re", ["rekey", "rekey-children", "reauthenticate"]),
        ("mobike list ike-sas --connection road", ["roadwarriors"]),
    ],
)
def test_live_names_are_offered(daemon: Running, line: str, names: list[str]) -> None:
    assert offered(line, MOBIKE_SOCKET=str(daemon.socket)) == names


def test_the_daemon_that_the_line_names_is_asked(daemon: Running, tmp_path: Path) -> None:
    assert offered(f"mobike --socket {daemon.socket} up o", MOBIKE_SOCKET=str(tmp_path / "none")) == ["office"]


def test_without_a_daemon_nothing_is_offered(tmp_path: Path) -> None:
    assert offered("mobike up ", MOBIKE_SOCKET=str(tmp_path / "none")) == []
