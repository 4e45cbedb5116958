"""Runs what a guide shows. Fenced blocks of a page, in their order, as one script of bash in a folder of its own:

```sh run            is run; it must succeed
```toml file=a/b     is written there first, readable by its owner alone; any word may stand in place of toml
```python run        is run by Python
```text              behind one that was run: these lines are in what it printed; ... stands for anything
```

All other blocks are only shown. Ports that a page names are replaced by free ones.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BLOCK: Final = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK: Final = "=== block"
GOODBYE_S: Final = 10.0
"""For daemons of a page that is cut short."""


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    kind: str
    tag: str
    text: str
    line: int

    @property
    def runs(self) -> bool:
        return self.tag == "run"

    @property
    def file(self) -> str | None:
        return self.tag.removeprefix("file=") if self.tag.startswith("file=") else None


def blocks(page: str) -> list[Block]:
    """All of them."""
    found = _BLOCK.finditer(page)
    return [Block(each[1], each[2] or "", each[3], page.count("\n", 0, each.start()) + 1) for each in found]


def run(page: str, folder: Path, ports: Mapping[str, int], within_s: float, programs: Path | None = None) -> str:
    """All that it printed; an AssertionError says which line of the page went wrong. Programs are those of this
    installation, or before them those of a folder."""
    parts = blocks(page)
    script = "\n".join(_script(parts))
    for written, free in ports.items():
        script = re.sub(rf"\b{written}\b", str(free), script)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MOBIKE_")}
    places = [*([] if programs is None else [str(programs)]), str(Path(sys.executable).parent), environ["PATH"]]
    environ |= {"PATH": ":".join(places), "HOME": str(folder), "COLUMNS": "200"}
    # A group of its own: whatever it leaves running ends with it. Should nobody be left to end it, a loop that waits
    # for something that never comes ends by itself, and so does what it waits for.
    bounded = ["timeout", "--kill-after=20", f"{within_s + 10:.0f}", "bash", "-c", script]
    process = subprocess.Popen(
        bounded, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        printed, _ = process.communicate(timeout=within_s)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.communicate(timeout=GOODBYE_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
    assert process.returncode == 0, f"the last block that was begun failed with {process.returncode}:\n{printed}"
    _compare(parts, printed, ports)
    return printed


def _script(parts: list[Block]) -> Iterator[str]:
    yield "set -euo pipefail"
    # Daemons that the page leaves behind end in good order, and are waited for.
    yield "trap 'status=$?; jobs -p | xargs -r kill || true; wait; exit $status' EXIT"
    for number, block in enumerate(parts):
        if block.file is not None:
            yield f"mkdir -p \"$(dirname '{block.file}')\"; umask 077; cat > '{block.file}' <<'===='\n{block.text}===="
        elif block.runs:
            yield f"echo '{_MARK} {number}, line {block.line}'"
            yield f"python - <<'===='\n{block.text}====" if block.kind == "python" else block.text


def _compare(parts: list[Block], printed: str, ports: Mapping[str, int]) -> None:
    by_number = dict(re.findall(rf"{_MARK} (\d+), line \d+\n(.*?)(?={_MARK}|\Z)", printed, re.DOTALL))
    for number, block in enumerate(parts):
        if block.kind != "text" or number == 0 or not parts[number - 1].runs:
            continue
        told = by_number[str(number - 1)].splitlines()
        for line in block.text.splitlines():
            pattern = ".*".join(re.escape(part) for part in line.strip().split("..."))
            for written, free in ports.items():
                pattern = pattern.replace(written, str(free))
            pattern = re.sub(r"(?:\\ )+", r"\\s+", pattern)
            found = any(re.search(pattern, each) for each in told)
            assert found, f"line {block.line}: {line!r} is not in\n" + "\n".join(told)
