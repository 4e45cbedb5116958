"""What pages other than the guides show: their fenced blocks, and which of these are commands.

Each command is run (test_commands), each snippet read by what it is for (test_pages). What is not stands in `NOT_RUN`
or `DRAWN`, with the reason; a block that is in neither fails the tests.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [
    ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "docs/deploy/README.md",
    ROOT / "docs/examples/README.md", *sorted((ROOT / "docs/extensions").glob("*.md")),
]  # fmt: skip
NOT_RUN: Final = {
    (
        "docs/deploy/README.md",
        "install -m 644",
    ): "wants systemd as the first process; tests/deploy/test_systemd boots one",
    ("docs/deploy/README.md", "systemctl"): "the same",
    ("docs/deploy/README.md", "journalctl"): "the same",
    ("docs/deploy/README.md", "podman"): "wants a container engine and a registry",
    ("docs/examples/README.md", "Set-Vpn"): "wants Windows",
    ("docs/cli.md", "WIRESHARK_CONFIG_DIR"): "wants a screen; tests/gateway/test_capture has tshark read the same",
    ("docs/authentication.md", "openssl ocsp"): "wants a responder of OCSP on the network",
    ("docs/world.md", "mobike sim run uplink"): "a minute and some GiB; tests/sim tells the same with fewer",
}
"""Page and how a line or a block begins: why nothing here can run it."""
DRAWN: Final = {
    ("docs/extensions/away.md", "initiator "): "exchanges",
    ("docs/configuration.md", "/etc/mobike/"): "a folder",
    ("docs/configuration.md", "conf.d/20-people"): "what is said of it: tests/config/test_files",
    ("docs/import-swanctl.md", "Unsupported,"): "what is said of it: tests/swanctl/test_import",
}
"""Bare blocks that are no commands."""
DRAWINGS: Final = (
    "docs/architecture.md",
    "docs/ikev2.md",
    "docs/algorithms.md",
    "docs/kernel.md",
    "docs/failure-detection.md",
)
"""Pages whose bare blocks are all drawings, of exchanges and of the code."""
_BLOCK: Final = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block."""

    page: str
    kind: str
    text: str

    @property
    def is_drawn(self) -> bool:
        return self.kind == "" and (self.page in DRAWINGS or _stands_in(DRAWN, self.page, self.text))

    @property
    def is_run(self) -> bool:
        return not _stands_in(NOT_RUN, self.page, self.text)


class Command(NamedTuple):
    """What somebody types, and what is shown below it."""

    page: str
    line: str
    printed: str

    @property
    def is_run(self) -> bool:
        return not _stands_in(NOT_RUN, self.page, self.line)


def _stands_in(table: dict[tuple[str, str], str], page: str, text: str) -> bool:
    return any(page == of and text.startswith(begins) for of, begins in table)


def _blocks() -> Iterator[Block]:
    for page in PAGES:
        for each in _BLOCK.finditer(page.read_text()):
            text = re.sub(rf"^{each[1]}", "", each[3], flags=re.MULTILINE)
            yield Block(str(page.relative_to(ROOT)), each[2], text)


BLOCKS: Final = [*_blocks()]


def _commands(block: Block) -> Iterator[Command]:
    """Lines that somebody would type: where some have a prompt, the others were printed."""
    lines = re.sub(r"\\\n\s*", "", block.text).splitlines()
    prompts = any(line.startswith("$ ") for line in lines)
    typed, printed = "", list[str]()
    for line in [*lines, "$ "]:
        if prompts and not line.startswith("$ "):
            printed.append(line)
            continue
        if typed:
            yield Command(block.page, typed, "\n".join(printed))
        # Behind a gap stands what it is for.
        typed, printed = re.sub(r"\s+#.*$| {2,}.*$", "", line.removeprefix("$ ").strip()), []


COMMANDS: Final = [
    command for block in BLOCKS if block.kind == "" and not block.is_drawn for command in _commands(block)
]
