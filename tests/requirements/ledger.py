"""Rows and proofs side by side."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.requirements.proofs import collect
from tests.requirements.rows import Row, Status, read_rows

ROOT = Path(__file__).parents[2]
PAGE = Path("docs/requirements.md")


class Standing(Enum):
    """How far a row is."""

    PROVEN = "done"
    PARTLY = "partly proven"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Entry:
    """A row, and the tests that carry its id."""

    row: Row
    tests: tuple[str, ...]

    @property
    def standing(self) -> Standing:
        if self.row.status is Status.DONE:
            return Standing.PROVEN
        return Standing.PARTLY if self.tests else Standing.OPEN


@dataclass(frozen=True, slots=True)
class Ledger:
    """All rows, and what is wrong with the page or the marks."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]

    def count(self, standing: Standing) -> int:
        return sum(entry.standing is standing for entry in self.entries)


def read_ledger(root: Path = ROOT) -> Ledger:
    """The ledger as it stands: a done row needs a proof, and an id needs a row."""
    rows = read_rows(root / PAGE)
    found = collect(root)
    known = {row.id for row in rows}
    entries = tuple(
        Entry(row, tuple(dict.fromkeys(proof.test for proof in found.proofs if proof.row == row.id))) for row in rows
    )
    strangers = [f"{proof.test}: there is no row {proof.row}" for proof in found.proofs if proof.row not in known]
    unproven = [
        f"{PAGE}: {entry.row.id} is called done and no test carries its id"
        for entry in entries
        if entry.row.status is Status.DONE and not entry.tests
    ]
    return Ledger(entries, (*found.problems, *strangers, *unproven))
