"""The ledger holds: no id without a row, no row called done without a proof; and its readers see what they should."""

from pathlib import Path

import pytest

from tests.requirements.__main__ import report
from tests.requirements.ledger import Entry, Ledger, Standing, read_ledger
from tests.requirements.proofs import Proof, read_python, read_rust
from tests.requirements.rows import BadLedger, Row, Status, read_rows

HEAD = "| id | status | behaviour |\n|---|---|---|\n"


def test_every_id_has_a_row_and_every_row_called_done_a_proof() -> None:
    ledger = read_ledger()
    assert ledger.problems == ()
    assert len(ledger.entries) > 60
    assert ledger.count(Standing.PROVEN) > 0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("docs", "tests/fleet", "rust/ike/src/sa", "rust/ike/tests"):
        (tmp_path / folder).mkdir(parents=True)
    page = HEAD + "".join(f"| M3.5-{n} | {status} | words |\n" for n, status in enumerate(("done", "open", "open")))
    (tmp_path / "docs/requirements.md").write_text(page)
    return tmp_path


def test_proofs_are_found_in_python_tests_in_rust_tests_and_beside_rust_sources(root: Path) -> None:
    mark = "// req: M3.5-{}\n#[test]\nfn a_story() {{}}\n"
    (root / "tests/fleet/test_a.py").write_text("@pytest.mark.req('M3.5-0')\ndef test_it(): ...\n")
    (root / "rust/ike/tests/story.rs").write_text(mark.format(1))
    (root / "rust/ike/src/sa/window.rs").write_text(mark.format(1))
    ledger = read_ledger(root)
    assert ledger.problems == ()
    assert [(entry.standing, entry.tests) for entry in ledger.entries] == [
        (Standing.PROVEN, ("tests/fleet/test_a.py::test_it",)),
        (Standing.PARTLY, ("rust/ike/src/sa/window.rs::a_story", "rust/ike/tests/story.rs::a_story")),
        (Standing.OPEN, ()),
    ]


def test_a_row_called_done_without_a_proof_and_an_id_without_a_row_are_told(root: Path) -> None:
    (root / "rust/ike/tests/story.rs").write_text("// req: M9-9\n#[test]\nfn a_story() {}\n")
    assert read_ledger(root).problems == (
        "rust/ike/tests/story.rs::a_story: there is no row M9-9",
        "docs/requirements.md: M3.5-0 is called done and no test carries its id",
    )


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("| M3.5-1 | nearly | words |\n", "M3.5-1 is neither done nor open"),
        ("| M3.5-1 | | words |\n", "M3.5-1 is neither done nor open"),
        ("| M3.5-1 | open | words |\n" * 2, "M3.5-1 is here twice"),
    ],
)
def test_a_page_that_is_no_ledger_is_refused(tmp_path: Path, row: str, problem: str) -> None:
    page = tmp_path / "requirements.md"
    page.write_text(HEAD + row)
    with pytest.raises(BadLedger, match=problem):
        read_rows(page)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "@pytest.mark.req('A-1', 'B-2')\nasync def test_x(): ...",
            [Proof("A-1", "f::test_x"), Proof("B-2", "f::test_x")],
        ),
        (
            "@pytest.mark.parametrize('a', [pytest.param(1, marks=pytest.mark.req('A-1'))])\ndef test_x(a): ...",
            [Proof("A-1", "f::test_x")],
        ),
        ("class TestX:\n  @pytest.mark.req('A-1')\n  def test_x(self): ...", [Proof("A-1", "f::test_x")]),
        ("@pytest.mark.req('A-1')\ndef helper(): ...", ["f:2: helper carries an id and is no test"]),
        ("@pytest.mark.req(ID)\ndef test_x(): ...", ["f:1: an id must be written out"]),
        (
            "@pytest.mark.req('A-1')\n@pytest.mark.skip\ndef test_x(): ...",
            ["f:3: test_x carries an id and is not run or may fail"],
        ),
        (
            "@pytest.mark.xfail(reason='')\n@pytest.mark.req('A-1')\ndef test_x(): ...",
            ["f:3: test_x carries an id and is not run or may fail"],
        ),
        ("@pytest.mark.req('A-1')\nclass TestX: ...", ["f:1: an id that belongs to no test"]),
        ("pytestmark = pytest.mark.req('A-1')", ["f:1: an id that belongs to no test"]),
        ("text = \"@pytest.mark.req('A-1')\"", []),
    ],
)
def test_which_marks_of_python_are_proofs(text: str, expected: list[Proof | str]) -> None:
    assert list(read_python("f", text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("// req: A-1, B-2\n#[test]\nfn x() {}", [Proof("A-1", "f::x"), Proof("B-2", "f::x")]),
        (
            "  // req: A-1\n  // req: B-2\n  /// Why.\n  #[test]\n  fn x(a in 0..9) {}",
            [Proof("A-1", "f::x"), Proof("B-2", "f::x")],
        ),
        ("// req: A-1\nfn helper() {}", ["f:1: an id that belongs to no test"]),
        ("// req: A-1\n#[test]\n#[ignore]\nfn x() {}", ["f:1: x carries an id and is not run"]),
        ("// req: A-1\n\n#[test]\nfn x() {}", ["f:1: an id that belongs to no test"]),
        ("#[test]\nfn x() {}\n// req: A-1", ["f:3: an id that belongs to no test"]),
        ("// req: A-1\n#[test]\nfn x() {}\n#[test]\nfn y() {}", [Proof("A-1", "f::x")]),
    ],
)
def test_which_marks_of_rust_are_proofs(text: str, expected: list[Proof | str]) -> None:
    assert list(read_rust("f", text)) == expected


def test_the_report_shows_rows_proofs_and_counts() -> None:
    rows = [Row("M3.5-0", Status.DONE, "moves"), Row("M3.5-1", Status.OPEN, "waits"), Row("A-1", Status.OPEN, "tries")]
    entries = (Entry(rows[0], ("a::b",)), Entry(rows[1], ("c::d",)), Entry(rows[2], ()))
    lines = report(Ledger(entries, ("bad",)), colours=False)
    assert lines == [
        "M3.5-0   done",
        "         moves",
        "           + a::b",
        "M3.5-1   partly proven",
        "         waits",
        "           + c::d",
        "A-1      open",
        "         tries",
        "",
        "wrong: bad",
        "partly proven: M3.5-1",
        "open: A-1",
        "3 rows: 1 done, 1 partly proven, 1 open",
    ]
    assert report(Ledger(entries, ()), colours=True)[0] == "\x1b[32mM3.5-0   done\x1b[0m"
