"""Waiting on a condition with a deadline: the only way this rig passes time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

from tests.lab.uml import INSIDE

T = TypeVar("T")

PATIENCE = 60.0 if os.environ.get(INSIDE) else 30.0
"""Seconds until a condition that should come true is given up; generous, because it is only spent on failure.
A kernel in user mode starts a program in a tenth of a second, and has one core."""

START = 240.0 if os.environ.get(INSIDE) else 60.0
"""Seconds until a daemon that was started must answer. In a kernel in user mode that takes ten times as long as
elsewhere, and that kernel is one of many processes of a machine that may be busy."""

PAUSE = 0.02
"""Seconds between two looks at a condition."""


def until(probe: Callable[[], T | None], what: str, timeout: float = PATIENCE, pause: float = PAUSE) -> T:
    """Call `probe` until it returns something truthy and return that; `what` names the hope in the error."""
    deadline = time.monotonic() + timeout
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout:g} s still not so: {what}")
        time.sleep(pause)
