"""Every command and every snippet of the guides is run, with real daemons where they say so."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import forks
from tests.docs.guide import blocks, run
from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
GUIDES = sorted((ROOT / "docs/guides").glob("*.md"))
WITHIN_S = 300.0
"""A few seconds where nothing else runs: daemons import much before they answer."""
PORT = re.compile(r"\b15\d{3}\b")
"""What ports in a guide look like."""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`mobike`, without the second that Python takes to read it."""
    with forks.program(tmp_path_factory.mktemp("bin")) as folder:
        yield folder


@pytest.mark.timeout(WITHIN_S + 60)
@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_what_a_guide_shows_works(guide: Path, tmp_path: Path, programs: Path) -> None:
    page = guide.read_text()
    written = sorted(set(PORT.findall(page)))
    run(page, tmp_path, dict(zip(written, free_ports(len(written)), strict=True)), WITHIN_S, programs)
    for log in tmp_path.glob("*.log"):
        assert "[error" not in log.read_text(), log.read_text()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_no_command_of_a_guide_is_only_shown(guide: Path) -> None:
    for block in blocks(guide.read_text()):
        assert block.runs or block.file is not None or block.kind in ("text", "ini"), f"{guide.name}:{block.line}"


def test_a_page_that_is_wrong_is_found_out(tmp_path: Path) -> None:
    good = "```sh run\necho one two\n```\n```text\none...o\n```\n"
    assert "one two" in run(good, tmp_path, {}, WITHIN_S)
    for bad in (good.replace("one...o", "three"), "```sh run\nfalse\n```\n", "```python run\nassert False\n```\n"):
        with pytest.raises(AssertionError):
            run(bad, tmp_path, {}, WITHIN_S)


def test_a_page_that_is_cut_short_leaves_nothing_running(tmp_path: Path) -> None:
    page = "```sh run\nsleep 1000 &\necho $! > child\necho $$ > self\nuntil false; do sleep 0.1; done\n```\n"
    with pytest.raises(subprocess.TimeoutExpired):
        run(page, tmp_path, {}, 0.5)
    for name in ("self", "child"):
        _until_gone(int((tmp_path / name).read_text()))


def _until_gone(process: int) -> None:
    end = time.monotonic() + 10
    while Path(f"/proc/{process}").exists() and " Z " not in Path(f"/proc/{process}/stat").read_text():
        assert time.monotonic() < end, f"{process} still runs"
        time.sleep(0.05)


def test_what_a_guide_says_that_we_say_we_say() -> None:
    told = (ROOT / "rust/ike/src/event/reasons.rs").read_text()
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", (ROOT / "docs/guides/troubleshooting.md").read_text(), re.M)
    said = [row.strip() for row in rows if row.strip() not in ("it says", "---")]
    assert len(said) >= 6
    for sentence in said:
        # What varies is not in the words of the core.
        fixed = re.split(r" for \.\.\.| \.\.\.| NO_PROPOSAL_CHOSEN", sentence)[0]
        assert fixed in told, sentence
