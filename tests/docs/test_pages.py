"""What pages other than the guides show: each command line is one that the program of today takes, each call is one of
the API, each snippet can be read by what it is for. The guides are run as a whole (test_guides); what is said of `why`
and `ladder` is compared with what they print (tests/cli/test_docs).

What is neither stands in `SHOWN`, with the reason.
"""

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import pytest
import typer
import yaml  # type: ignore[import-untyped]  # schemathesis brings it
from typer.exceptions import TyperException

from mobike.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "docs/deploy/README.md",
    ROOT / "docs/examples/README.md", *sorted((ROOT / "docs/extensions").glob("*.md")),
]  # fmt: skip
SHOWN: Final = {
    ("docs/deploy/README.md", "install -m 644"): "wants a running systemd; tests/deploy has systemd read the units",
    ("docs/deploy/README.md", "podman build"): "wants a container engine and a registry; tests/deploy/test_container",
    ("docs/examples/README.md", "Set-Vpn"): "wants Windows",
    ("docs/cli.md", "WIRESHARK_CONFIG_DIR"): "wants a screen; tests/gateway/test_capture has tshark read the same",
    ("docs/authentication.md", "openssl ocsp"): "wants a responder of OCSP on the network",
}
"""Page and how a block begins: why nothing here can run it."""
PICTURES: Final = (
    "docs/architecture.md",
    "docs/ikev2.md",
    "docs/algorithms.md",
    "docs/kernel.md",
    "docs/failure-detection.md",
)
"""Their bare blocks are drawings of exchanges and of the code."""
WORDS: Final = re.compile(r"^(?:HDR|conf\.d/|/etc/mobike/|Unsupported|initiator )")
"""A bare block that begins so is a drawing, or something that was printed."""
PROGRAM: Final = re.compile(r"^(?:\.venv/bin/)?mobike ")
BLOCK: Final = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)

Block = tuple[str, str, str]
"""The page, the kind, what it says."""


def all_blocks() -> Iterator[Block]:
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        for each in BLOCK.finditer(page.read_text()):
            yield name, each[2], re.sub(rf"^{each[1]}", "", each[3], flags=re.MULTILINE)


BLOCKS = [*all_blocks()]


def commands(block: Block) -> list[str]:
    """Lines that somebody would type: where some have a prompt, the others were printed."""
    joined = block[2].replace("\\\n", " ").splitlines()
    typed = [line.removeprefix("$ ") for line in joined if line.startswith("$ ")] or joined
    # Behind a gap stands what it is for.
    return [line for each in typed if (line := re.sub(r"\s+#.*$| {2,}.*$", "", each.strip()))]


def is_shown(block: Block) -> bool:
    return any(page == block[0] and block[2].startswith(first) for page, first in SHOWN)


def bare() -> list[Block]:
    drawn = [each for each in BLOCKS if each[0] in PICTURES or WORDS.match(each[2])]
    return [each for each in BLOCKS if each[1] == "" and each not in drawn and not is_shown(each)]


def lines(pattern: str) -> list[str]:
    """Of all bare blocks; each once."""
    return sorted({line for block in bare() for line in commands(block) if re.match(pattern, line)})


def test_every_line_of_a_bare_block_is_a_command_that_is_looked_at() -> None:
    known = re.compile(rf"{PROGRAM.pattern}|make |curl ")
    left = {(block[0], line) for block in bare() for line in commands(block) if not known.match(line)}
    assert left == set()
    used = {key for block in BLOCKS for key in SHOWN if block[0] == key[0] and block[2].startswith(key[1])}
    assert used == set(SHOWN), "what is not there any more needs no reason"


def test_there_is_much_to_look_at() -> None:
    assert len(lines(PROGRAM.pattern)) > 30 and len(lines("make ")) > 4 and len(lines("curl ")) > 4


@pytest.mark.parametrize("line", lines(PROGRAM.pattern))
def test_a_command_line_is_one_that_the_program_takes(line: str) -> None:
    line = re.split(r" [>|] ", line)[0].replace("ID|NAME", "ID").replace("|NAME", "")
    words = shlex.split(line)[1:]
    name, command, context = "mobike", typer.main.get_command(app), None
    while (below := getattr(command, "commands", None)) is not None:
        # Options of the command itself, then what is below it: nothing is done.
        context = command.make_context(name, words, parent=context)
        rest = [*context._protected_args, *context.args]
        assert rest and rest[0] in below, f"there is no command {rest[:1]} in {name!r}"
        name, command, words = rest[0], below[rest[0]], rest[1:]
    assert command.make_context(name, words, parent=context).args == []


def test_a_command_line_that_is_wrong_is_found_out() -> None:
    for line in ("mobike no-such", "mobike list nothing", "mobike explain office --with eth0", "mobike up a b"):
        with pytest.raises((AssertionError, TyperException)):
            test_a_command_line_is_one_that_the_program_takes(line)


@pytest.mark.parametrize("line", lines("make "))
def test_a_target_of_make_is_there(line: str) -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert shlex.split(line)[1] in known


@pytest.mark.parametrize("line", lines("curl "))
def test_a_call_is_one_of_the_api(line: str) -> None:
    document = json.loads((ROOT / "docs/openapi.json").read_text())
    words = shlex.split(line.split(" | ", maxsplit=1)[0])
    url = urlsplit(next(word for word in words if word.startswith("http")))
    verb = words[words.index("-X") + 1] if "-X" in words else "POST" if "-d" in words else "GET"
    (operation,) = (
        each[verb.lower()]
        for path, each in document["paths"].items()
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)), url.path) and verb.lower() in each
    )
    parameters = {each["name"] for each in operation.get("parameters", [])}
    assert {name for name, _ in parse_qsl(url.query)} <= parameters
    if "-d" in words:
        json.loads(words[words.index("-d") + 1])


@pytest.mark.parametrize(
    "block", [each for each in BLOCKS if each[1] not in {"", "text", "mermaid", "ini"} and not is_shown(each)]
)
def test_a_snippet_can_be_read(block: Block) -> None:
    _, kind, text = block
    match kind:
        case "toml":
            tomllib.loads(text)
        case "yaml":
            yaml.safe_load(text)
        case "python":
            compile(text, "snippet", "exec")
        case "sh":
            subprocess.run(["sh", "-n"], input=text, text=True, check=True)
        case _:
            pytest.fail(f"nobody looks at blocks of {kind}")
