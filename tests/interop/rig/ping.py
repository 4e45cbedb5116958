"""Pings with every reply accounted for: how many were lost, which, and how long the silence was."""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Self

from .program import Program, ProgramError
from .waiting import PATIENCE, until

_REPLY = re.compile(r"^\[(\d+\.\d+)\] \d+ bytes from .*icmp_seq=(\d+) .*time=([\d.]+) ms(.*)$", re.MULTILINE)
_SUMMARY = re.compile(r"^(\d+) packets transmitted", re.MULTILINE)
_SENT = r"\r\d+/(\d+) packets"
"""What it answers to SIGQUIT: answered, sent."""

FLIGHT_S = 2.0
"""The longest that a reply is waited for once the pings before it do not come any more."""
OVERTAKEN = 5
"""A ping was lost if one sent so many later was answered."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answered ping: `at` is seconds of the wall clock when the answer came, `rtt` is in seconds."""

    seq: int
    at: float
    rtt: float


@dataclass(frozen=True, slots=True)
class PingResult:
    """What became of a row of pings; `replies` without duplicates, in order of arrival."""

    sent: int
    replies: tuple[Reply, ...]
    duplicates: int
    lost_seqs: tuple[int, ...]

    @property
    def received(self) -> int:
        """Pings that were answered at least once."""
        return len(self.replies)

    @property
    def lost(self) -> int:
        """Pings that were never answered."""
        return len(self.lost_seqs)

    @property
    def rtts(self) -> tuple[float, ...]:
        """Round trips in seconds, in order of arrival."""
        return tuple(reply.rtt for reply in self.replies)

    @property
    def longest_silence(self) -> float:
        """Seconds between the two neighbouring replies that are furthest apart."""
        return max((after.at - before.at for before, after in pairwise(self.replies)), default=0.0)


class Pinger:
    """A ping in the background. Leaving the context ends it; `stop` gives the account."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def replies(self) -> tuple[Reply, ...]:
        """The replies so far."""
        return _replies(self._program.log())[0]

    def wait_replies(self, more: int, timeout: float = PATIENCE) -> None:
        """Wait until `more` replies have come after those already here."""
        goal = len(self.replies()) + more
        until(lambda: len(self.replies()) >= goal, f"{more} more replies to {self._program}", timeout)

    def stop(self) -> PingResult:
        """End it and account for every ping sent by now; what is sent while the last replies come does not count."""
        if not self._program.alive:
            return self._account()
        sent = self._sent()
        with suppress(TimeoutError):
            until(lambda: self._settled(sent), "the last replies", FLIGHT_S)
        self._program.stop(signal.SIGINT)
        return self._account(sent)

    def finish(self, count: int, timeout: float) -> PingResult:
        """Wait until as many were answered, or it gave up, then account for the first `count` pings."""
        self._program.wait(timeout)
        return self._account(count)

    def _sent(self) -> int:
        """Pings sent by now, as it tells who asks."""
        until(lambda: _catches(self._program.pid, signal.SIGQUIT), f"{self._program} can be asked")
        mark = self._program.mark()
        os.kill(self._program.pid, signal.SIGQUIT)
        return int(self._program.wait_log(_SENT, since=mark)[1])

    def _settled(self, sent: int) -> bool:
        """Whether no ping up to this one can still be answered: all are, or have been overtaken."""
        answered = {reply.seq for reply in self.replies()}
        return answered.issuperset(range(1, sent + 1)) or max(answered, default=0) >= sent + OVERTAKEN

    def _account(self, count: int | None = None) -> PingResult:
        """What became of the first `count` pings."""
        text = self._program.log()
        summary = _SUMMARY.search(text)
        if summary is None:
            raise ProgramError(f"{self._program}: {text}")
        sent = min(int(summary[1]), count or sys.maxsize)
        replies, duplicates = _replies(text)
        replies = tuple(reply for reply in replies if reply.seq <= sent)
        answered = {reply.seq for reply in replies}
        return PingResult(sent, replies, duplicates, tuple(seq for seq in range(1, sent + 1) if seq not in answered))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._program.stop(signal.SIGINT)


def ping_argv(dst: str, count: int | None, interval: float, source: str | None, octets: int | None) -> list[str]:
    """The command line whose output this module reads.

    With a count alone, ping waits two round trips for its last reply, which a busy machine does not always keep; with
    a deadline beside it, it sends more until as many were answered.
    """
    argv = ["ping", "-n", "-D", "-i", f"{interval:g}"]
    argv += [] if count is None else ["-c", str(count), "-w", str(ceil(2 * count * interval + 1.5))]
    argv += [] if source is None else ["-I", source]
    argv += [] if octets is None else ["-s", str(octets)]
    return [*argv, dst]


def _catches(pid: int, sign: signal.Signals) -> bool:
    """Whether a process has a handler for this signal by now; without one, this one would end it."""
    caught = re.search(r"^SigCgt:\t(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (sign - 1) & 1)


def _replies(text: str) -> tuple[tuple[Reply, ...], int]:
    first: dict[int, Reply] = {}
    duplicates = 0
    for at, seq, rtt, rest in _REPLY.findall(text):
        reply = Reply(int(seq), float(at), float(rtt) / 1000)
        if "DUP" in rest or first.setdefault(reply.seq, reply) is not reply:
            duplicates += 1
    return tuple(first.values()), duplicates
