"""Pings with every reply accounted for: how many were lost, which, and how long the silence was."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from types import TracebackType
from typing import Self

from .program import Program, ProgramError
from .waiting import PATIENCE, until

_REPLY = re.compile(r"^\[(\d+\.\d+)\] \d+ bytes from .*icmp_seq=(\d+) .*time=([\d.]+) ms(.*)$", re.MULTILINE)
_SUMMARY = re.compile(r"^(\d+) packets transmitted", re.MULTILINE)


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
        """End it and account for every ping sent, but for the last one if it may still be in flight."""
        self._program.stop(signal.SIGINT)
        account = self._account()
        if account.sent not in account.lost_seqs:
            return account
        return replace(account, sent=account.sent - 1, lost_seqs=account.lost_seqs[:-1])

    def finish(self, count: int, timeout: float) -> PingResult:
        """Wait until as many were answered, or it gave up, then account for the first `count` pings."""
        self._program.wait(timeout)
        account = self._account()
        return PingResult(
            min(account.sent, count),
            tuple(reply for reply in account.replies if reply.seq <= count),
            account.duplicates,
            tuple(seq for seq in account.lost_seqs if seq <= count),
        )

    def _account(self) -> PingResult:
        text = self._program.log()
        summary = _SUMMARY.search(text)
        if summary is None:
            raise ProgramError(f"{self._program}: {text}")
        sent = int(summary[1])
        replies, duplicates = _replies(text)
        answered = {reply.seq for reply in replies}
        return PingResult(sent, replies, duplicates, tuple(seq for seq in range(1, sent + 1) if seq not in answered))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._program.stop(signal.SIGINT)


def ping_argv(dst: str, count: int | None, interval: float, source: str | None) -> list[str]:
    """The command line whose output this module reads.

    With a count alone, ping waits two round trips for its last reply, which a busy machine does not always keep; with
    a deadline beside it, it sends more until as many were answered.
    """
    argv = ["ping", "-n", "-D", "-i", f"{interval:g}"]
    argv += [] if count is None else ["-c", str(count), "-w", str(ceil(2 * count * interval + 1.5))]
    argv += [] if source is None else ["-I", source]
    return [*argv, dst]


def _replies(text: str) -> tuple[tuple[Reply, ...], int]:
    first: dict[int, Reply] = {}
    duplicates = 0
    for at, seq, rtt, rest in _REPLY.findall(text):
        reply = Reply(int(seq), float(at), float(rtt) / 1000)
        if "DUP" in rest or first.setdefault(reply.seq, reply) is not reply:
            duplicates += 1
    return tuple(first.values()), duplicates
