"""Who may reach for the core: import-linter keeps the other walls, but it cannot see an extension module."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_USE_THE_CORE = ("mobike/gateway/", "mobike/sim/", "mobike/cli/start.py")


def imported_names(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                names |= {alias.name for alias in node.names}
            case ast.ImportFrom(module=str(module)):
                names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
            case _:
                pass
    return names


@pytest.mark.parametrize("folder", ["python", "api"])
def test_only_the_shells_import_the_core(folder: str) -> None:
    users = {
        str(file.relative_to(ROOT / folder))
        for file in (ROOT / folder).rglob("*.py")
        if "mobike._core" in imported_names(file.read_text())
    }
    assert {user for user in users if not user.startswith(MAY_USE_THE_CORE)} == set()


def test_the_reader_sees_every_way_to_import_the_core() -> None:
    for source in ("from mobike import _core", "import mobike._core", "from mobike._core import Core"):
        assert "mobike._core" in imported_names(source)
