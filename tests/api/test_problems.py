"""The kinds of problems are a promise: docs/api.md lists them, and they are what the code has."""

import re
from pathlib import Path

from mobike_api import problems
from mobike_api.problems import Kind

TABLE = re.compile(r"^\| `([a-z-]+)` \| (\d{3}) \|", re.MULTILINE)


def test_the_documented_problems_are_those_of_the_code() -> None:
    documented = TABLE.findall((Path(__file__).parents[2] / "docs/api.md").read_text())
    kinds = [kind for kind in vars(problems).values() if isinstance(kind, Kind)]
    assert sorted(documented) == sorted((kind.name, str(kind.status)) for kind in kinds)
    assert len({kind.name for kind in kinds}) == len(kinds)
