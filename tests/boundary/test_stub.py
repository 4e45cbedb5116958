"""The stub says what the module is, and mypy believes the stub: so they must be the same."""

import os
import subprocess
import sys
from pathlib import Path

PYTHON = Path(__file__).parents[2] / "python"


def test_the_stub_is_the_module() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "mobike._core"],
        cwd=PYTHON,
        env={**os.environ, "PYTHONPATH": str(PYTHON)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
