"""The streams of one host: what `rust/io` does with sockets (RFC 9329), done with a simulated TCP.

As there: an IKE SA has a stream of its own; one that we opened is found by path and place of the SA, one that we
accepted by its four-tuple; the engine says what is to be done when one opens or ends. Sizes of buffers and the pace of
attempts are the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from mobike import _core
from mobike.address import Endpoint, Path, Transport
from mobike.sim.tcp import Calls, Connection, Kind, Stage, decode, encode
from mobike.sim.world import MS, SECOND, World

SWEEP: Final = SECOND
UNUSED: Final = 10 * SECOND
"""A stream that no IKE SA uses is closed after so long."""
LEFT: Final = 30 * SECOND
"""One whose IKE SA went elsewhere stays for what is on its way."""
CONNECTING: Final = 10 * SECOND
PAUSE: Final = 400 * MS
"""No stream for the same SA and path is opened sooner after the one before."""
MOST_ESP: Final = 64 << 10
"""Octets that wait in a stream; then ESP is dropped."""
FIRST_PORT: Final = 32_768
"""Ports that the kernel chooses from."""
LAST_PORT: Final = 60_999


class Owner(Protocol):
    """The host."""

    @property
    def core(self) -> _core.SimCore: ...
    def carry_segment(self, local: Endpoint, remote: Endpoint, segment: bytes) -> None: ...
    def wrote(self, path: Path, message: bytes, carries: str) -> None: ...
    def read(self, path: Path, message: bytes) -> None: ...
    def drained(self) -> None: ...


@dataclass(slots=True, eq=False)
class _Stream:
    path: Path
    connection: Connection
    place: int | None
    """Of the IKE SA that is on it."""
    ours: bool
    """We opened it."""
    used: int
    proven: bool = False
    """An IKE SA was there on it."""
    open: bool = False
    """The core was told that it is."""


@dataclass(slots=True)
class Streams:
    """All of them. A process that ends takes them with it."""

    world: World
    owner: Owner
    natt_port: int
    listens: bool
    draw: Callable[[int, int], int]
    """A port, by chance."""
    opened: dict[tuple[Path, int], _Stream] = field(default_factory=dict)
    accepted: dict[Path, _Stream] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("opened", "accepted", "ended"), 0))
    _by_ends: dict[tuple[Endpoint, Endpoint], _Stream] = field(default_factory=dict)
    _tried: dict[tuple[Path, int], int] = field(default_factory=dict)
    _sweeps: bool = False
    _over: bool = False

    def send(self, path: Path, message: bytes, carries: str, place: int, *, again: bool) -> None:
        """A message of the core."""
        stream = self.accepted.get(path) or self.opened.get((path, place))
        if stream is None:
            if carries == "ike" and self.owner.core.may_open_stream(place):
                self._open(path, place)
            return
        connection = stream.connection
        if connection.stage is not Stage.OPEN or again or (carries == "esp" and connection.waiting >= MOST_ESP):
            return
        self.owner.wrote(path, message, carries)
        connection.write(message)

    def receive(self, local: Endpoint, remote: Endpoint, segment: bytes) -> None:
        """A segment came."""
        kind, number, payload = decode(segment)
        stream = self._by_ends.get((local, remote))
        takes = self.listens and not self._over and local.port == self.natt_port
        if stream is None and kind is Kind.SYN and takes:
            path = Path(local, remote, Transport.TCP)
            stream = self._add(path, local, remote, place=None, ours=False, stage=Stage.OPEN)
            self.accepted[path] = stream
            self.counted["accepted"] += 1
        if stream is not None:
            stream.connection.handle(kind, number, payload)
        elif kind is not Kind.RST:
            self.owner.carry_segment(local, remote, encode(Kind.RST))

    def end_all(self) -> None:
        """The process is gone, and its kernel says so to the others."""
        for stream in list(self._by_ends.values()):
            stream.connection.close()
        self._by_ends.clear()
        self._over = True

    # --- how they come and go ---

    def _open(self, path: Path, place: int) -> None:
        key = (path, place)
        last = self._tried.get(key)
        if last is not None and self.world.now - last < PAUSE:
            return
        self._tried[key] = self.world.now
        local = Endpoint(path.local.ip, self.draw(FIRST_PORT, LAST_PORT))
        while (local, path.remote) in self._by_ends:
            local = Endpoint(path.local.ip, self.draw(FIRST_PORT, LAST_PORT))
        stream = self._add(path, local, path.remote, place=place, ours=True, stage=Stage.CONNECTING)
        self.opened[key] = stream
        stream.connection.connect()

    def _add(
        self, path: Path, local: Endpoint, remote: Endpoint, *, place: int | None, ours: bool, stage: Stage
    ) -> _Stream:
        calls = Calls(self._send, self._is_open, self._got, self._ended)
        connection = Connection(local, remote, self.world, calls, stage)
        stream = self._by_ends[local, remote] = _Stream(path, connection, place, ours, self.world.now)
        if not self._sweeps:
            self._sweeps = True
            self.world.after(SWEEP, self._sweep)
        return stream

    def _remove(self, stream: _Stream) -> None:
        connection = stream.connection
        self._by_ends.pop((connection.local, connection.remote), None)
        if stream.ours and stream.place is not None:
            self.opened.pop((stream.path, stream.place), None)
        else:
            self.accepted.pop(stream.path, None)

    def _send(self, connection: Connection, segment: bytes) -> None:
        if not self._over:
            self.owner.carry_segment(connection.local, connection.remote, segment)

    def _is_open(self, connection: Connection) -> None:
        stream = self._by_ends.get((connection.local, connection.remote))
        if stream is not None and stream.place is not None:
            stream.open = True
            self.counted["opened"] += 1
            self.owner.core.stream_opened(self.world.now, stream.place, stream.path)
            self.owner.drained()

    def _got(self, connection: Connection, message: bytes) -> None:
        stream = self._by_ends.get((connection.local, connection.remote))
        if stream is None:
            return
        self.owner.read(stream.path, message)
        place = self.owner.core.handle_message(self.world.now, stream.path, message)
        if place is not None and not stream.ours:
            stream.place = place
        self.owner.drained()

    def _ended(self, connection: Connection) -> None:
        stream = self._by_ends.get((connection.local, connection.remote))
        if stream is None:
            return
        self._remove(stream)
        self.counted["ended"] += 1
        if stream.open and stream.place is not None:
            self.owner.core.stream_lost(self.world.now, stream.place, stream.path)
            self.owner.drained()

    def _sweep(self) -> None:
        if self._over or not self._by_ends:
            self._sweeps = False
            return
        self.world.after(SWEEP, self._sweep)
        now = self.world.now
        for stream in list(self._by_ends.values()):
            if self._is_of_no_use(stream, now):
                stream.connection.close()
                self._ended(stream.connection)

    def _is_of_no_use(self, stream: _Stream, now: int) -> bool:
        idle = now - stream.used
        if stream.connection.stage is Stage.CONNECTING:
            return idle >= CONNECTING
        use = "gone" if stream.place is None else self.owner.core.stream_use(stream.place, stream.path)
        match use:
            case "in-use":
                stream.used, stream.proven = now, True
                return False
            case "half-open":
                stream.used = now
                return False
            case "left":
                return idle >= LEFT
            case _:
                return stream.proven or idle >= UNUSED
