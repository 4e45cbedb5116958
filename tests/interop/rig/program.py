"""Programs of the system: one that is run to its end, and one that stays in the background with a log."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from .waiting import PATIENCE, until

GRACE = 5.0
"""Seconds between asking a program to end and ending it."""

TAIL = 3000
"""Characters of a log that are quoted in an error."""


class ProgramError(RuntimeError):
    """A program failed; the message carries its own words."""


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
    timeout: float = 30.0,
) -> subprocess.CompletedProcess[str]:
    """Run `argv` to its end; `env` is added to our own environment."""
    done = subprocess.run(
        argv, env=_environment(env), input=stdin, capture_output=True, text=True, timeout=timeout, check=False
    )
    if check and done.returncode != 0:
        raise ProgramError(f"{' '.join(argv)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Program:
    """A program in the background. Output and errors go to one file, which can be waited on. A context manager."""

    def __init__(self, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.argv = tuple(argv)
        self.log_path = log
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, env=_environment(env)
            )

    @property
    def pid(self) -> int:
        """The program itself: `ip netns exec`, `unshare` and `taskset` replace themselves by what they start."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def log(self, since: int = 0) -> str:
        """What it said after the position `since` (see `mark`)."""
        with self.log_path.open("rb") as source:
            source.seek(since)
            return source.read().decode(errors="replace")

    def mark(self) -> int:
        """The present end of the log, to be given as `since` later."""
        return self.log_path.stat().st_size

    def wait_log(self, pattern: str, timeout: float = PATIENCE, since: int = 0) -> re.Match[str]:
        """Wait for a line matching `pattern`; a program that ended without saying it fails at once."""
        wanted = re.compile(pattern, re.MULTILINE)

        def look() -> re.Match[str] | None:
            alive = self.alive  # asked before reading: the last words of a program count
            found = wanted.search(self.log(since))
            if found is None and not alive:
                raise ProgramError(f"{self} ended without saying {pattern!r}\n{self.log()[-TAIL:]}")
            return found

        try:
            return until(look, f"{self} says {pattern!r}", timeout)
        except TimeoutError as late:
            raise TimeoutError(f"{late}\n{self.log()[-TAIL:]}") from None

    def stop(self, sign: signal.Signals = signal.SIGTERM, grace: float = GRACE) -> int:
        """Ask it to end, insist after `grace` seconds; its exit status."""
        if self.alive:
            self._process.send_signal(sign)
        try:
            return self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def wait(self, timeout: float) -> int:
        """Wait for its own end; its exit status."""
        return self._process.wait(timeout)

    def __str__(self) -> str:
        return f"{' '.join(self.argv)} (pid {self.pid})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _environment(extra: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if extra is None else {**os.environ, **extra}
