"""Every command that a page shows is run as it stands there, by root, on a machine that is as the page says (house.py):
with two uplinks, a daemon whose files are in /etc/mobike, and a gateway that it has tunnels to. Guides have daemons of
their own (test_guides)."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # schemathesis brings it

from tests.docs.house import BEFORE
from tests.docs.pages import BLOCKS, COMMANDS, NOT_RUN, ROOT, Command
from tests.interop.rig import requires_rig

WITHIN_S = 400.0
"""Half a minute where nothing else runs."""
TOLD_ELSEWHERE = ("mobike why", "mobike ladder")
"""What these print is compared by tests/cli/test_docs, with everything that they compare."""


def in_house() -> list[Command]:
    """In their order; behind those of a page what its snippets are for."""
    pages = dict.fromkeys(block.page for block in BLOCKS)
    return [
        each
        for page in pages
        for each in (*(one for one in COMMANDS if one.page == page and is_for_house(one)), *of_snippets(page))
    ]


def is_for_house(command: Command) -> bool:
    return command.is_run and not command.line.startswith("make ")


def of_snippets(page: str) -> list[Command]:
    """Scripts are run, numbers are asked for as a scrape would, a network is simulated."""
    match page:
        case "docs/hooks.md":
            script = snippet(page, "sh")
            return [
                Command(page, f"sh -s <<'===='\n{script}====\n", ""),
                Command(page, "cat resolved", "dns mobike0 10.1.0.53\ndomain mobike0 ~corp.example"),
            ]
        case "docs/extensions/away.md":
            script = snippet(page, "sh")
            return [Command(page, f"sh -s {when} <<'===='\n{script}====\n", "") for when in ("pre", "post")]
        case "docs/metrics.md":
            (job,) = yaml.safe_load(snippet(page, "yaml"))["scrape_configs"]
            token, (target,) = job["authorization"]["credentials_file"], job["static_configs"][0]["targets"]
            call = f'curl -fsS -H "Authorization: Bearer $(cat {token})" http://{target}/metrics | grep ^mobike_ready'
            return [Command(page, call, "mobike_ready 1")]
        case _:
            return []


def snippet(page: str, kind: str) -> str:
    (found,) = (block.text for block in BLOCKS if (block.page, block.kind) == (page, kind))
    return found


def my_network() -> str:
    """What docs/world.md shows of one, in a world that is whole."""
    whole = (ROOT / "python/mobike/sim/scenarios/train-tunnel.toml").read_text()
    table = r"^(\[hosts\.phone\.links\.wlan0\]|\[\[events\]\])\n(?:[^\[\n].*\n|\n)*"
    rest = re.sub(table, "", whole, flags=re.MULTILINE)
    return rest + snippet("docs/world.md", "toml")


@pytest.mark.interop
@requires_rig
@pytest.mark.timeout(WITHIN_S + 30)
def test_every_command_that_a_page_shows_does_what_the_page_says(tmp_path: Path) -> None:
    commands = in_house()
    (tmp_path / "lines").write_text(json.dumps([[each.page, each.line] for each in commands]))
    (tmp_path / "my-network.toml").write_text(my_network())
    own = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    ended = subprocess.run(
        [*own, sys.executable, "-m", "tests.docs.house", str(tmp_path)], cwd=ROOT, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    failures = []
    for command, (_, _, code, said) in zip(commands, told, strict=True):
        if code:
            failures.append(f"{command.page}: {command.line}\n    ends with {code}: {said}")
        elif not command.line.startswith(TOLD_ELSEWHERE):
            failures += [
                f"{command.page}: {command.line}\n    does not print {line!r}, but\n{said}"
                for line in command.printed.splitlines()
                if not re.search(as_printed(line), said)
            ]
    assert not failures, "\n".join(failures)
    for log in ("run.log", "site.log", "stranger.log"):
        assert "[error" not in (tmp_path / log).read_text(), log


def as_printed(line: str) -> str:
    """Numbers are others each time; dots stand for anything."""
    parts = re.split(r"(\.\.\.|[0-9a-f]{12}|\d+(?:\.\d+)?| +)", line.strip())
    others = {"...": ".*", "": ""}
    return "".join(
        others.get(part)
        or (r"\s+" if part.isspace() else r"[\da-f]+(?:\.\d+)?" if part[0].isdigit() else re.escape(part))
        for part in parts
        if part
    )


def test_numbers_may_differ_and_words_may_not() -> None:
    assert re.search(as_printed("took   p50 12.5  max 12 ms"), "took p50 7.25 max 8.1 ms")
    assert re.search(as_printed("mobike_3f9c0a17d2e4_..."), "mobike_001122334455_abc")
    assert not re.search(as_printed("moved 6"), "failed 6")


def test_there_is_much_to_run_and_what_is_not_run_has_its_reason() -> None:
    assert sum(map(is_for_house, COMMANDS)) > 50
    known = re.compile(r"(?:\.venv/bin/)?mobike |curl |make ")
    assert [each for each in COMMANDS if each.is_run and not known.match(each.line)] == []
    shown = [(block.page, block.text) for block in BLOCKS] + [(each.page, each.line) for each in COMMANDS]
    for page, begins in (*NOT_RUN, *BEFORE):
        lines = shown + [(each.page, each.line) for each in in_house()]
        assert any(of == page and text.startswith(begins) for of, text in lines), f"{page} has no {begins!r} any more"


@pytest.mark.parametrize("line", sorted({each.line for each in COMMANDS if each.line.startswith("make ")}))
def test_make_knows_what_to_do_for_a_line_of_make(line: str) -> None:
    """Each of these is the test of all, of hours, or of others: tests/cli/test_demo has the demo."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    words = ["make", "--dry-run", "--no-print-directory", line.removeprefix("make ").split(" ", 1)[0]]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
