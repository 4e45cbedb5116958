"""TCP as far as a tunnel feels it: what is written arrives once and in order, or the connection ends.

    SYN ->  <- SYN-ACK      repeated at 1, 3, 7.. s; whoever gets no answer gives up after a while
    DATA n ->  <- ACK n     one message each; the oldest that is not acknowledged is repeated, ever more slowly
    RST                     this connection is unknown, or over

No window, no congestion, no sizes: of those a world of tunnels learns nothing that loss and delay do not teach it.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from struct import Struct
from typing import Final

from mobike.address import Endpoint
from mobike.sim.world import MS, SECOND, World

FIRST_WAIT: Final = SECOND
"""For the answer to a SYN (RFC 6298 section 2.1)."""
LEAST_WAIT: Final = 200 * MS
"""For an acknowledgement; the common implementations are so quick."""
MOST_WAIT: Final = 120 * SECOND
MOST_TRIES: Final = 15
"""Of one message; then the connection is over."""
QUICK: Final = 3
"""Acknowledgements of the same again say that the next one is lost (RFC 5681 section 3.2)."""
MOST_AHEAD: Final = 4_096
"""Messages that came before one that is missing."""

_HEADER: Final = Struct("!BI")


class Kind(IntEnum):
    SYN = 1
    SYN_ACK = 2
    DATA = 3
    ACK = 4
    RST = 5


def encode(kind: Kind, number: int = 0, payload: bytes = b"") -> bytes:
    """A segment."""
    return _HEADER.pack(kind, number) + payload


def decode(segment: bytes) -> tuple[Kind, int, bytes]:
    """The same back."""
    kind, number = _HEADER.unpack_from(segment)
    return Kind(kind), number, segment[_HEADER.size :]


class Stage(Enum):
    CONNECTING = "connecting"
    OPEN = "open"
    OVER = "over"


@dataclass(slots=True)
class Calls:
    """What a connection asks of its host."""

    send: Callable[["Connection", bytes], None]
    opened: Callable[["Connection"], None]
    got: Callable[["Connection", bytes], None]
    ended: Callable[["Connection"], None]
    """By the other end, or because it does not answer."""


@dataclass(slots=True, eq=False)
class Connection:
    """One end of it."""

    local: Endpoint
    remote: Endpoint
    world: World
    calls: Calls
    stage: Stage
    waiting: int = 0
    """Octets that are not acknowledged."""
    _unanswered: deque[tuple[int, bytes]] = field(default_factory=deque)
    _next: int = 0
    _expected: int = 0
    _ahead: dict[int, bytes] = field(default_factory=dict)
    _same: int = 0
    """Acknowledgements in a row that acknowledged nothing."""
    _tries: int = 0
    _timer: int = 0
    """Of several that were set, only the last one counts."""

    def connect(self) -> None:
        """Ask the other end."""
        self.calls.send(self, encode(Kind.SYN))
        self._wait(FIRST_WAIT)

    def write(self, message: bytes) -> None:
        """Of an open one."""
        number = self._next
        self._next += 1
        self.waiting += len(message)
        self._unanswered.append((number, message))
        self.calls.send(self, encode(Kind.DATA, number, message))
        if len(self._unanswered) == 1:
            self._tries = 0
            self._wait(LEAST_WAIT)

    def close(self) -> None:
        """At once; the other end learns it if this segment arrives, or when it writes."""
        if self.stage is not Stage.OVER:
            self.stage = Stage.OVER
            self.calls.send(self, encode(Kind.RST))

    def handle(self, kind: Kind, number: int, payload: bytes) -> None:
        """A segment came."""
        if self.stage is Stage.OVER:
            return
        match kind:
            case Kind.SYN:
                self.calls.send(self, encode(Kind.SYN_ACK))
            case Kind.SYN_ACK:
                if self.stage is Stage.CONNECTING:
                    self.stage = Stage.OPEN
                    self._timer += 1
                    self.calls.opened(self)
            case Kind.DATA:
                self._take(number, payload)
            case Kind.ACK:
                self._acknowledged(number)
            case Kind.RST:
                self._end()

    def _take(self, number: int, payload: bytes) -> None:
        if number >= self._expected and len(self._ahead) < MOST_AHEAD:
            self._ahead[number] = payload
        ready = []
        while self._expected in self._ahead:
            ready.append(self._ahead.pop(self._expected))
            self._expected += 1
        self.calls.send(self, encode(Kind.ACK, self._expected))
        for each in ready:
            self.calls.got(self, each)

    def _acknowledged(self, until: int) -> None:
        news = False
        while self._unanswered and self._unanswered[0][0] < until:
            self.waiting -= len(self._unanswered.popleft()[1])
            news = True
        if news:
            repeated, self._tries, self._same = self._tries > 0, 0, 0
            if self._unanswered:
                if repeated:  # what followed the one that was lost was mostly lost with it
                    self._repeat()
                self._wait(LEAST_WAIT)
            else:
                self._timer += 1
        elif self._unanswered:
            self._same += 1
            if self._same == QUICK:
                self._repeat()

    def _repeat(self) -> None:
        number, message = self._unanswered[0]
        self.calls.send(self, encode(Kind.DATA, number, message))

    def _wait(self, span: int) -> None:
        self._timer += 1
        timer = self._timer
        self.world.after(min(span << self._tries, MOST_WAIT), lambda: self._waited(timer, span))

    def _waited(self, timer: int, span: int) -> None:
        if timer != self._timer or self.stage is Stage.OVER:
            return
        self._tries += 1
        if self._tries > MOST_TRIES:
            self._end()
        elif self.stage is Stage.CONNECTING:
            self.calls.send(self, encode(Kind.SYN))
            self._wait(span)
        elif self._unanswered:
            self._repeat()
            self._wait(span)

    def _end(self) -> None:
        self.stage = Stage.OVER
        self.calls.ended(self)
