"""The rows of docs/requirements.md."""

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

ROW = re.compile(r"\| *(?P<id>[MDA][0-9.]*-[0-9A-Z]+) *\| *(?P<status>\w*) *\| *(?P<behaviour>.*?) *\|")
"""One line of a table whose first cell is an id and whose second is a status."""


class Status(Enum):
    """What the page says of a row."""

    DONE = "done"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Row:
    """One behaviour that is asked of us."""

    id: str
    status: Status
    behaviour: str


class BadLedger(ValueError):
    """The page cannot be read as a ledger."""


def read_rows(page: Path) -> tuple[Row, ...]:
    """All rows in the order of the page."""
    rows: dict[str, Row] = {}
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        found = ROW.fullmatch(line)
        if found is None:
            continue
        where = f"{page.name}:{number}"
        if found["status"] not in {status.value for status in Status}:
            raise BadLedger(f"{where}: {found['id']} is neither done nor open")
        if found["id"] in rows:
            raise BadLedger(f"{where}: {found['id']} is here twice")
        rows[found["id"]] = Row(found["id"], Status(found["status"]), found["behaviour"])
    return tuple(rows.values())
