"""The command on a real terminal, of 80 and of 120 columns: bars and screens fit, and Ctrl-C ends as the page says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Running
from tests.cli.terminal import Terminal, running
from tests.docs import forks

WIDTHS = (80, 120)
CTRL_C = "\x03"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`mobike`, without the second that Python takes to read it."""
    with forks.program(tmp_path_factory.mktemp("bin")) as folder:
        yield folder / "mobike"


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_bar_of_an_order_fits_and_ctrl_c_cancels_what_is_left(program: Path, many: Running, columns: int) -> None:
    # This house tells nothing of new keys: the order waits.
    with running(program, "--socket", many.socket, "order", "reauthenticate", "--all", columns=columns) as terminal:
        shown = terminal.until(lambda text: "12 waited for" in text and "left" in text, "the bar")
        (bar,) = [line for line in shown.splitlines() if "waited for" in line]
        assert bar.startswith("reauthenticate ")
        assert "0/12" in bar and "…" not in bar
        terminal.type(CTRL_C)
        assert terminal.end() == 130
        assert "is cancelled; what was ordered goes on" in terminal.text.replace("\n", "")
        # The bar is gone (^C of the terminal stands in its place), and the cursor is there again.
        assert "0/12" not in terminal.text
        assert not terminal.screen.cursor.hidden


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_drill_shows_its_bar_and_leaves_its_report(program: Path, many: Running, columns: int) -> None:
    words = (program, "--socket", many.socket, "drill", "--share", "100%", "--per-second", "6")
    with running(*words, columns=columns) as terminal:
        shown = terminal.until(lambda text: "6/12" in text, "the bar")
        (bar,) = [line for line in shown.splitlines() if "6/12" in line]
        assert bar.startswith("drill ") and "left" in bar
        assert terminal.end() == 0
        assert terminal.lines[0] == "drill    12 of 12 IKE SAs"
        assert "6/12" not in terminal.text


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40)])
def test_watch_fills_its_screen_and_gives_the_terminal_back(
    program: Path, many: Running, columns: int, rows: int
) -> None:
    many.house.tell("sa-up", "1 came up before anybody looked", sa="1")
    with running(program, "--socket", many.socket, "watch", columns=columns, rows=rows) as terminal:
        shown = terminal.until(lambda text: "1 came up before" in text, "the screen, with what was before")
        assert shown.splitlines()[0].startswith("mobike ")
        assert terminal.screen.cursor.hidden
        # Once: from the first look on nothing is missed.
        many.house.tell("moved", "1 moved to 198.51.100.20:4500", sa="1")
        shown = terminal.until(lambda text: "1 moved to 198.51.100.20" in text, "the event")
        rows_shown = shown.count("● established")
        assert rows_shown == 12 or f"... and {12 - rows_shown} more" in shown
        terminal.type(CTRL_C)
        assert terminal.end() == 130
        assert not terminal.screen.cursor.hidden


def test_where_no_daemon_answers_a_screen_is_not_begun(program: Path, tmp_path: Path) -> None:
    with running(program, "--socket", tmp_path / "none", "watch") as terminal:
        assert terminal.end() == 3
        assert "no daemon answers" in terminal.text


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_table_fits_and_is_in_colour(program: Path, many: Running, columns: int) -> None:
    with running(program, "--socket", many.socket, "list", "ike-sas", columns=columns) as terminal:
        assert terminal.end() == 0
        head, *rows = terminal.text.splitlines()
        assert len(rows) == 12, "a row is a line"
        assert "connection" in head.split()
        assert colour_of(terminal, "established") == "green"


def colour_of(terminal: Terminal, word: str) -> str:
    """Of where it stands first."""
    row, column = next((row, line.index(word)) for row, line in enumerate(terminal.screen.display) if word in line)
    colour: str = terminal.screen.buffer[row][column].fg
    return colour
