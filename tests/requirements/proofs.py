"""Finds the tests that carry the id of a row. Sources are read, not imported or built: the ledger needs neither.

Python    @pytest.mark.req("M3.5-4", "D3-1")    on a test, or as a mark of one of its parameters
Rust      // req: M3.5-4, D3-1                  above the attributes of a #[test]
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RUST_MARK = re.compile(r"\s*// req: *(?P<ids>.*?)\s*")
RUST_FN = re.compile(r"\s*(?:async )?fn (?P<name>\w+)")
RUST_BETWEEN = re.compile(r"\s*(?:#\[|//)")
"""What may stand between a mark and its test: attributes and comments."""
NOT_RUN = {"skip", "xfail"}


@dataclass(frozen=True, slots=True)
class Proof:
    """A test that says which row it proves."""

    row: str
    test: str
    """file::name"""


@dataclass(frozen=True, slots=True)
class Found:
    """What the sources hold: proofs, and marks that prove nothing because of where they are."""

    proofs: tuple[Proof, ...]
    problems: tuple[str, ...]


def collect(root: Path) -> Found:
    """All marks below the root of the project."""
    found = list(marks_of_all(root))
    return Found(
        tuple(each for each in found if isinstance(each, Proof)),
        tuple(each for each in found if not isinstance(each, Proof)),
    )


def marks_of_all(root: Path) -> Iterator[Proof | str]:
    python = sorted((root / "tests").rglob("*.py"))
    rust = sorted(file for room in ("src", "tests") for file in (root / "rust").glob(f"*/{room}/**/*.rs"))
    for files, read in ((python, read_python), (rust, read_rust)):
        for file in files:
            yield from read(file.relative_to(root).as_posix(), file.read_text(encoding="utf-8"))


def read_python(name: str, text: str) -> Iterator[Proof | str]:
    """The proofs of one module, and a sentence for each mark that is no proof."""
    tree = ast.parse(text)
    placed: set[ast.Call] = set()
    for test in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
        marks = [mark for decorator in test.decorator_list for mark in marks_in(decorator)]
        placed.update(marks)
        if not marks:
            continue
        if not test.name.startswith("test_"):
            yield f"{name}:{test.lineno}: {test.name} carries an id and is no test"
        elif any(is_mark(node, *NOT_RUN) for decorator in test.decorator_list for node in ast.walk(decorator)):
            yield f"{name}:{test.lineno}: {test.name} carries an id and is not run or may fail"
        else:
            yield from proofs_of(marks, name, test.name)
    for mark in marks_in(tree):
        if mark not in placed:
            yield f"{name}:{mark.lineno}: an id that belongs to no test"


def proofs_of(marks: list[ast.Call], name: str, test: str) -> Iterator[Proof | str]:
    for mark in marks:
        for argument in mark.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield Proof(argument.value, f"{name}::{test}")
            else:
                yield f"{name}:{mark.lineno}: an id must be written out"


def marks_in(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and is_mark(node.func, "req")]


def is_mark(node: ast.AST, *names: str) -> bool:
    """`pytest.mark.NAME`, without its arguments."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr in names
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "mark"
    )


def read_rust(name: str, text: str) -> Iterator[Proof | str]:
    """The proofs of one file, and a sentence for each mark that is no proof."""
    ids: list[str] = []
    marked_at = 0
    attributes = ""
    for number, line in enumerate([*text.splitlines(), ""], 1):
        mark = RUST_MARK.fullmatch(line)
        if mark is not None:
            ids += [each.strip() for each in mark["ids"].split(",")]
            marked_at = number
            continue
        if not ids:
            continue
        if RUST_BETWEEN.match(line):
            attributes += line
            continue
        test = RUST_FN.match(line)
        if test is None or "#[test]" not in attributes:
            yield f"{name}:{marked_at}: an id that belongs to no test"
        elif "#[ignore" in attributes:
            yield f"{name}:{marked_at}: {test['name']} carries an id and is not run"
        else:
            yield from (Proof(each, f"{name}::{test['name']}") for each in ids)
        ids, attributes = [], ""
