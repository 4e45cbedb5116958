"""Streams of numbered datagrams through a tunnel, and exactly which of them arrived."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.interop.rig import Namespace, Rig, until

from . import numbers

RATE = 1000
"""Datagrams a second, each way."""

PATIENCE_S = 60.0
"""A busy machine, and on it a kernel of one processor."""

FLOWS = 100
"""Datagrams in a row that arrive: then a stream flows again."""


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the datagrams of one direction during one move."""

    sent: int
    lost: tuple[int, ...]
    silence: float
    """Seconds between the two neighbouring arrivals that are furthest apart."""

    @property
    def gaps(self) -> int:
        """Rows of lost numbers: one, if everything arrived once the first datagram came by the new path."""
        return sum(number - 1 not in self.lost for number in self.lost)


class Stream:
    """From one host to another, until it is ended."""

    def __init__(self, rig: Rig, source: tuple[Namespace, str], target: tuple[Namespace, str], folder: Path) -> None:
        """Ends are namespaces with an inner address each."""
        out, come = folder / "sent", folder / "received"
        self._sent, self._received = numbers.ledger(str(out)), numbers.ledger(str(come))
        argv = [sys.executable, "-I", "-S", numbers.__file__]
        self._receiver = rig.spawn(target[0], [*argv, "receive", str(come), target[1]])
        self._receiver.wait_log("receiving", timeout=PATIENCE_S)
        self._sender = rig.spawn(source[0], [*argv, "send", str(out), source[1], target[1], str(RATE)])

    def now(self) -> int:
        """The number that is sent next."""
        return self._sent[0]

    def flows(self, since: int) -> bool:
        """Have so many in a row arrived, up to the last of them, and were they sent from `since` on?"""
        until_now = self.now() - 1
        return until_now - FLOWS >= since and all(self._received[n + 1] for n in range(until_now - FLOWS, until_now))

    def account(self, begin: int, end: int) -> Account:
        """Of the numbers from `begin` to `end`, once a later one has come in."""
        until(lambda: any(self._received[end + 1 : self.now() + 1]), "a later datagram arrives", PATIENCE_S)
        times = self._received[begin + 1 : end + 1].tolist()
        came = sorted(filter(None, times))
        silence = max((after - before for before, after in pairwise(came)), default=0)
        return Account(end - begin, tuple(begin + n for n, at in enumerate(times) if not at), silence / 1e9)

    def arrived(self) -> int:
        """So many, in all; also those that their sender was stopped right before noting."""
        return sum(1 for at in self._received[1 : self.now() + 1 + numbers.BURST] if at)

    def lost(self) -> int:
        """Of all that were sent, so many have not come so far."""
        return max(0, self.now() - self.arrived())

    @property
    def duplicates(self) -> int:
        """Datagrams that came more than once."""
        return self._received[0]

    def stop(self) -> None:
        """End it; what is on its way still arrives."""
        self.resume()
        self._sender.stop()
        self._receiver.stop()

    def pause(self) -> None:
        """Send nothing."""
        os.kill(self._sender.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Send again."""
        if self._sender.alive:
            os.kill(self._sender.pid, signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Streams:
    """One each way."""

    out: Stream
    """From the client."""
    back: Stream

    def both(self) -> tuple[Stream, Stream]:
        return self.out, self.back

    def now(self) -> tuple[int, int]:
        return self.out.now(), self.back.now()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is sent meanwhile: on one processor there is time for other things then."""
        for each in self.both():
            each.pause()
        try:
            yield
        finally:
            for each in self.both():
                each.resume()

    def wait_flow(self) -> None:
        """Wait until both flow, by datagrams that are still to be sent."""
        for each in self.both():
            since = each.now()
            until(lambda each=each, since=since: each.flows(since), "both streams flow", PATIENCE_S)  # type: ignore[misc]

    def account(self, begin: tuple[int, int], end: tuple[int, int]) -> tuple[Account, Account]:
        """From the client, and to it."""
        return self.out.account(begin[0], end[0]), self.back.account(begin[1], end[1])


@contextmanager
def streams(rig: Rig, client: str, gateway: str) -> Iterator[Streams]:
    """Between these inner addresses, and flowing."""
    with ExitStack() as stack:
        here, there = (rig.client, client), (rig.gateway, gateway)
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mbk-numbers-"))) for _ in range(2)]
        both = Streams(Stream(rig, here, there, folders[0]), Stream(rig, there, here, folders[1]))
        for each in both.both():
            stack.callback(each.stop)
        both.wait_flow()
        yield both
