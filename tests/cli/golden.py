"""What commands print, kept as files beside this one: `MOBIKE_GOLDEN=write pytest tests/cli` writes them anew, to be
read before they are committed."""

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Run

FOLDER = Path(__file__).parent / "golden"
NOW = 1_790_003_612.0
"""The time of day while a golden output is made."""
WIDTHS = (80, 120)


def check(name: str, told: str) -> None:
    """The same as it was, to the letter."""
    file = FOLDER / f"{name}.txt"
    text = "".join(f"{line.rstrip()}\n" for line in told.splitlines())
    if os.environ.get("MOBIKE_GOLDEN") == "write":
        file.write_text(text)
    assert file.exists(), f"{file} is missing; MOBIKE_GOLDEN=write makes it"
    assert text == file.read_text(), f"{file} differs"


def in_widths(name: str, mobike: Run, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    """In a narrow terminal and in a wide one; no line may be longer than the terminal."""
    monkeypatch.setattr("time.time", lambda: NOW)
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        told = mobike(*arguments)
        assert told.err == ""
        assert max(map(len, told.out.splitlines()), default=0) <= width
        check(f"{name}.{width}", told.out)
