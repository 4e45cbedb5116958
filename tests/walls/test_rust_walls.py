"""The walls of the Rust side (docs/architecture.md): what each room may import, read from the sources themselves.

The Python walls are import-linter contracts in pyproject.toml.
"""

import re
import tomllib
from pathlib import Path

import pytest

RUST = Path(__file__).parents[2] / "rust"

CRATE_MAY_USE = {
    "ike": set[str](),
    "esp": set[str](),
    "io": {"mobike-ike", "mobike-esp"},
    "py": {"mobike-ike", "mobike-esp", "mobike-io"},
}
"""Crates of ours that a crate may depend on."""

VOCABULARY = {
    "command", "event", "profile", "proofs", "redirect", "resumption", "eap", "handout", "children", "paths", "path",
    "id", "limits", "selector", "time", "crypto", "wire", "park", "terms",
}  # fmt: skip
"""Modules of the `ike` crate in which orders and facts are said."""

ROOM_MAY_USE = {
    "wire": {"wire"},
    "park": {"park", "path", "id"},
    "crypto": {"crypto", "time", "park"},
    "table": {"table", "time", "path", "id", "selector", "crypto", "wire", "profile", "counters", "settings"},
    # What engine and control plane say to each other knows nothing of how an SA works.
    **dict.fromkeys(
        (
            "command", "event", "profile", "proofs", "redirect", "resumption", "eap", "handout", "children", "paths",
            "terms",
        ),
        VOCABULARY,
    ),
    "sa": {
        "sa", "table", "wire", "crypto", "time", "path", "id", "selector", "profile", "children", "handout", "proofs",
        "event", "command", "counters", "limits", "settings", "transmit", "park", "eap", "redirect", "terms",
    },
}  # fmt: skip
"""Modules of the `ike` crate that a room may import. `engine` is the only door and may use them all."""

USE_OF_CRATE = re.compile(r"\bcrate::(?:\{([^}]*)\}|(\w+))")


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.rs"))


def imported_rooms(text: str) -> set[str]:
    code = re.sub(r"//[^\n]*", "", text)
    rooms: set[str] = set()
    for group, single in USE_OF_CRATE.findall(code):
        names = [part.strip().split("::")[0] for part in group.split(",")] if group else [single]
        rooms |= {name for name in names if name}
    return rooms


@pytest.mark.parametrize("crate", sorted(CRATE_MAY_USE))
def test_a_crate_depends_only_on_the_rooms_below_it(crate: str) -> None:
    manifest = tomllib.loads((RUST / crate / "Cargo.toml").read_text())
    ours = {name for name in manifest["dependencies"] if name.startswith("mobike-")}
    assert ours <= CRATE_MAY_USE[crate]


@pytest.mark.parametrize("room", sorted(ROOM_MAY_USE))
def test_a_room_of_the_engine_imports_only_what_its_wall_lets_through(room: str) -> None:
    offenders = {}
    files = [RUST / "ike/src" / f"{room}.rs", *sources(RUST / "ike/src" / room)]
    for file in (file for file in files if file.exists()):
        # Re-exports of the crate root (`crate::Nanos`) are types, and types begin with a capital letter.
        modules = {name for name in imported_rooms(file.read_text()) if name[0].islower()}
        if bad := modules - ROOM_MAY_USE[room]:
            offenders[str(file.relative_to(RUST))] = bad
    assert offenders == {}


@pytest.mark.parametrize("crate", ["ike", "esp"])
def test_the_sans_io_crates_forbid_unsafe_code_and_take_the_clock_as_an_argument(crate: str) -> None:
    assert "#![forbid(unsafe_code)]" in (RUST / crate / "src/lib.rs").read_text()
    banned = re.compile(r"std::(thread|net::(Udp|Tcp)|fs|process|env)|Instant::now|SystemTime::now|SystemRandom")
    found = {
        f"{file.relative_to(RUST)}: {match.group()}"
        for file in sources(RUST / crate / "src")
        if (match := banned.search(re.sub(r"//[^\n]*", "", file.read_text())))
    }
    assert found == set()


def test_pyo3_and_python_stay_in_the_py_crate() -> None:
    assert [
        file for crate in ("ike", "esp", "io") for file in sources(RUST / crate) if "pyo3" in file.read_text()
    ] == []


def test_the_engine_room_reader_sees_forbidden_imports() -> None:
    text = "use crate::{wire::header, sa};\nuse crate::table::Slab; // crate::engine in a comment"
    assert imported_rooms(text) == {"wire", "sa", "table"}


def test_no_test_is_left_out_of_the_binary_of_its_folder() -> None:
    left_out = [
        str(file.relative_to(RUST))
        for main in RUST.glob("*/tests/*/main.rs")
        for file in main.parent.iterdir()
        if file != main and not re.search(rf"^(pub )?mod {file.stem};", main.read_text(), re.MULTILINE)
    ]
    assert left_out == [], "cargo does not see a file that no `mod` names"
