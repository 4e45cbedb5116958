"""A stream of pings and its score: which were sent, which came back, how late. Sans-IO: `now` is an argument."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from mobike.address import Nanos
from mobike.inner.icmp import Echo


@dataclass(frozen=True, slots=True)
class Ping:
    """One ping of the stream."""

    number: int
    sent: Nanos
    answered: Nanos | None

    @property
    def rtt_ms(self) -> float | None:
        return None if self.answered is None else (self.answered - self.sent) / 1e6


class Pinger:
    """Pings `destination` from `source`. Sequence numbers wrap at 2^16 as ICMP's do; `number` never does."""

    MASK = 0xFFFF

    def __init__(self, source: IPv4Address, destination: IPv4Address, identifier: int) -> None:
        self._source = source
        self._destination = destination
        self._identifier = identifier & self.MASK
        self._sent: list[Nanos] = []
        self._answered: list[Nanos | None] = []
        self.repeated = 0
        """Answers that came twice."""

    def next(self, now: Nanos) -> bytes:
        """The next echo request to send."""
        number = len(self._sent)
        self._sent.append(now)
        self._answered.append(None)
        data = number.to_bytes(8, "big")
        return Echo(self._source, self._destination, False, self._identifier, number & self.MASK, data).emit()

    def handle(self, packets: Iterable[bytes], now: Nanos) -> None:
        """Take what came out of the tunnel; what is not an answer to this stream is not ours."""
        for packet in packets:
            echo = Echo.parse(packet)
            if echo is None or not echo.reply or echo.identifier != self._identifier or len(echo.data) != 8:
                continue
            number = int.from_bytes(echo.data, "big")
            if number >= len(self._sent):
                continue
            if self._answered[number] is not None:
                self.repeated += 1
            else:
                self._answered[number] = now

    def score(self, first: int = 0, last: int | None = None) -> list[Ping]:
        """The pings numbered `first` to `last` (exclusive)."""
        numbers = range(first, len(self._sent) if last is None else min(last, len(self._sent)))
        return [Ping(number, self._sent[number], self._answered[number]) for number in numbers]

    @property
    def count(self) -> int:
        return len(self._sent)
