"""`make requirements`: every row with the tests that prove it. Fails while a row is open or the ledger is wrong."""

import os
import sys
import textwrap
from typing import Final

from tests.requirements.ledger import Entry, Ledger, Standing, read_ledger

WIDTH: Final = 118
COLOUR: Final = {Standing.PROVEN: "32", Standing.PARTLY: "33", Standing.OPEN: "31"}
"""Of a terminal: green, yellow, red."""


def main() -> int:
    """What a person wants to see, the open rows last, where the eye is."""
    ledger = read_ledger()
    colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    sys.stdout.write("\n".join(report(ledger, colours=colours)) + "\n")
    done = ledger.count(Standing.PROVEN) == len(ledger.entries)
    return 0 if done and not ledger.problems else 1


def report(ledger: Ledger, *, colours: bool) -> list[str]:
    """The lines to print."""
    lines = [line for entry in ledger.entries for line in describe(entry, colours=colours)]
    lines.append("")
    lines += [f"wrong: {problem}" for problem in ledger.problems]
    for standing in (Standing.PARTLY, Standing.OPEN):
        ids = [entry.row.id for entry in ledger.entries if entry.standing is standing]
        if ids:
            text = textwrap.fill(f"{standing.value}: {' '.join(ids)}", WIDTH, subsequent_indent="  ")
            lines.append(paint(text, standing, colours=colours))
    counts = ", ".join(f"{ledger.count(standing)} {standing.value}" for standing in Standing)
    return [*lines, f"{len(ledger.entries)} rows: {counts}"]


def describe(entry: Entry, *, colours: bool) -> list[str]:
    head = paint(f"{entry.row.id:8} {entry.standing.value}", entry.standing, colours=colours)
    behaviour = textwrap.wrap(entry.row.behaviour, WIDTH, initial_indent=" " * 9, subsequent_indent=" " * 9)
    return [head, *behaviour, *(f"           + {test}" for test in entry.tests)]


def paint(text: str, standing: Standing, *, colours: bool) -> str:
    return f"\x1b[{COLOUR[standing]}m{text}\x1b[0m" if colours else text


if __name__ == "__main__":
    sys.exit(main())
