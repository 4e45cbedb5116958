"""docs/cli.md says what the command does: its codes, its commands, and the output that it shows."""

import re
from pathlib import Path

import pytest
import typer

from mobike.cli.app import app
from mobike.cli.failure import ExitCode
from mobike.cli.pipe import UNREAD
from tests.cli.conftest import Run, Running

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


def test_the_page_has_every_code_and_no_other() -> None:
    section = PAGE.split("## How it ends")[1].split("##")[0]
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    assert codes == {*ExitCode, 130, UNREAD}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("version",), ExitCode.DONE),
        (("list", "connections"), ExitCode.DONE),
        (("down", "nobody"), ExitCode.FAILED),
        (("why", "192.0.2.99"), ExitCode.FAILED),
        (("order", "rekey"), ExitCode.USAGE),
        (("no-such-command",), ExitCode.USAGE),
        (("list", "ike-sas", "-o", "paper"), ExitCode.USAGE),
    ],
)
def test_commands_end_as_the_page_says(mobike: Run, daemon: Running, words: tuple[str, ...], code: ExitCode) -> None:
    assert mobike("--socket", daemon.socket, *words).code == code


@pytest.mark.parametrize(
    "words", [("status",), ("why", "x"), ("list", "leases"), ("watch", "--events"), ("order", "rekey", "--all")]
)
def test_without_a_daemon_every_command_ends_with_3(mobike: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    told = mobike("--socket", tmp_path / "none", *words)
    assert (told.code, told.out) == (ExitCode.UNREACHABLE, "")
    assert "no daemon answers" in told.err


def test_the_page_shows_what_why_prints() -> None:
    shown = PAGE.split("$ mobike why 198.51.100.7\n")[1].split("```")[0]
    golden = (Path(__file__).parent / "golden" / "why-algorithms.120.txt").read_text()
    assert shown == golden


def test_lists_that_the_page_names_are_those_that_there_are() -> None:
    command = typer.main.get_command(app)
    known = set(command.commands["list"].commands)  # type: ignore[attr-defined]
    line = PAGE.split("## Lists")[1].split("each with")[0]
    named = set(re.findall(r"`(?:mobike list )?([a-z-]+)`", line))
    assert named == known


def test_the_page_shows_what_ladder_prints() -> None:
    shown = PAGE.split("$ mobike ladder office\n")[1].split("```")[0]
    assert shown == (Path(__file__).parent / "golden" / "ladder.120.txt").read_text()
