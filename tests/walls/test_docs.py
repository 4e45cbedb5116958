"""What the tables of the docs give as proof is there: stories, tests, files and links."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = (
    "docs/ikev2.md",
    "docs/configuration.md",
    "docs/import-swanctl.md",
    "docs/authentication.md",
    "docs/algorithms.md",
    "docs/kernel.md",
    "docs/examples/README.md",
    "docs/api.md",
    "docs/page.md",
    "docs/cli.md",
    "docs/extensions/away.md",
    "docs/extensions/path-probes.md",
)
PROOFS = ("tests", "proved by")
"""Headings of columns whose cells name tests."""

_STORY = re.compile(r"(?<![\w/])(?:story|pair|crypto|wire)_[a-z0-9_]+\*?(?=\.rs|[^\w*]|$)")
_TEST = re.compile(r"(?<![\w/])test_[a-z0-9_]+(?=\.py|\W|$)")
_PATH = re.compile(r"(?<![\w/.])(?:rust|tests|docs|benches|python|api)/[\w./*-]*[\w*]")
_TABLE = re.compile(r"(?<![\w/])table/[a-z_]+(?=\W|$)")
_LINK = re.compile(r"\]\(([^):]+?)(?:#[^)]*)?\)")


def named(text: str) -> dict[str, str]:
    """Every proof that the text names, and the pattern of the files that it must be."""
    found = {path: path for path in _PATH.findall(text)}
    rest = _PATH.sub("", text)
    found |= {name: f"rust/ike/src/{name}.rs" for name in _TABLE.findall(rest)}
    found |= {name: f"rust/*/tests/**/{name}.rs" for name in _STORY.findall(rest)}
    return found | {name: f"tests/**/{name}.py" for name in _TEST.findall(rest)}


def is_there(pattern: str) -> bool:
    """Files that match; the ending of Python and Rust files may be left out."""
    return any(any(ROOT.glob(pattern + ending)) for ending in ("", ".py", ".rs"))


def cells_of_proof(text: str) -> Iterator[tuple[str, str]]:
    """Rows of tables that have a column of proofs, with what is in it."""
    column: int | None = None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            column = None
        elif column is None:
            column = next((place for place, cell in enumerate(cells) if cell in PROOFS), len(cells))
        elif column < len(cells) and not set(line) <= set("|-: "):
            yield line, cells[column]


@pytest.mark.parametrize("doc", DOCS)
def test_everything_that_a_doc_names_as_proof_is_there(doc: str) -> None:
    names = named((ROOT / doc).read_text())
    assert {name for name, pattern in names.items() if not is_there(pattern)} == set()


@pytest.mark.parametrize("doc", DOCS)
def test_every_link_of_a_doc_leads_somewhere(doc: str) -> None:
    file = ROOT / doc
    assert {link for link in _LINK.findall(file.read_text()) if not (file.parent / link).exists()} == set()


@pytest.mark.parametrize("doc", ["docs/ikev2.md", "docs/authentication.md"])
def test_every_row_of_what_is_done_names_its_proof(doc: str) -> None:
    rows = list(cells_of_proof((ROOT / doc).read_text()))
    assert len(rows) >= 8
    assert [line for line, proofs in rows if not named(proofs)] == []


_SENTENCE = re.compile(r"`([a-z]+(?:_[a-z]+)*)`")


def test_every_case_of_the_peers_own_lists_is_told_by_a_story() -> None:
    text = (ROOT / "docs/ikev2.md").read_text()
    suites = text[text.index("## The peers' own lists") :]
    told = _SENTENCE.findall(suites[: suites.index("\n## Transport")])
    stories = "".join(file.read_text() for file in ROOT.glob("rust/ike/tests/stories/story_*.rs"))
    assert len(told) >= 40
    assert [name for name in told if f"#[test]\nfn {name}()" not in stories] == []


FEATURES = ("rust/ike/tests/stories/story_*.rs", "tests/interop/test_*.py", "tests/lab/test_*.py")
"""Tests of what mobike does, as its users see it."""

_LEDGER = re.compile(r"// req: |pytest\.mark\.req\(")


@pytest.mark.parametrize("pattern", FEATURES)
def test_every_story_is_told_in_a_doc_or_proves_a_row_of_the_ledger(pattern: str) -> None:
    """Else the tables would not be complete."""
    told = [proof for doc in DOCS for proof in named((ROOT / doc).read_text()).values()]
    named_files = {file for proof in told for ending in ("", ".py", ".rs") for file in ROOT.glob(proof + ending)}
    files = set(ROOT.glob(pattern))
    assert files
    assert sorted(file.stem for file in files - named_files if not _LEDGER.search(file.read_text())) == []


def test_the_reader_sees_every_way_to_name_a_proof() -> None:
    row = "`rust/ike/tests/crypto_vectors*.rs`, story_setup, tests/auth interop test_eap, `tests/x/test_y.py`, table/no"
    assert set(named(row)) == {
        "rust/ike/tests/crypto_vectors*.rs", "story_setup", "tests/auth", "test_eap", "tests/x/test_y.py", "table/no",
    }  # fmt: skip
    assert not is_there(named("story_of_nobody")["story_of_nobody"])
    assert not is_there("tests/auth/test_nobody")
    assert is_there("tests/auth/test_chain")


def test_the_reader_finds_the_column_of_proofs() -> None:
    table = "| feature | tests | x |\n|---|---|---|\n| one | story_a | |\n\n| other | y |\n|---|---|\n| two | |\n"
    assert [proofs for _, proofs in cells_of_proof(table)] == ["story_a"]
