"""Examples of the Rust crates, which speak for us where another program is the judge."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def built(name: str) -> Path:
    """Where cargo put it. With all features, as `make test` has built it already: nothing is built twice."""
    words = ["cargo", "build", "--quiet", "--locked", "--workspace", "--all-features", "--example", name]
    done = subprocess.run(
        [*words, "--message-format=json"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=900
    )
    reports = (json.loads(line) for line in done.stdout.splitlines())
    (executable,) = (report["executable"] for report in reports if report.get("target", {}).get("name") == name)
    return Path(executable)
