"""Takes single IKE SAs down for operators: one at a time, for a while, into memory alone."""

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from mobike import pcapng
from mobike.address import SaId
from mobike.facade import NotFound, Refused
from mobike.facade.captures import CaptureView, KeysView
from mobike.tape import Frame, Taped

log = structlog.get_logger()

MOST_SECONDS: Final = 600
MOST_OCTETS: Final = 32 << 20
"""Of one capture: then it ends."""
ROOM: Final = 4 << 20
"""Octets between two looks."""
LOOK_S: Final = 0.25
"""Between two looks. Keys that come and go in between are missed."""
KEPT: Final = 2
"""Captures that are over and can still be fetched."""
KEPT_S: Final = 600.0


class Tapes(Protocol):
    """The part of the core that takes down."""

    def tape(self, sa: SaId, room: int | None, /) -> None: ...

    def taped(self, sa: SaId, /) -> Taped | None: ...


@dataclass
class _Capture:
    """One."""

    id: str
    sa: SaId
    by: str
    began: float
    until: float
    clock: int
    """From the clock of the frames to the time of day, in nanoseconds."""
    ended: float | None = None
    why: str | None = None
    frames: list[Frame] = field(default_factory=list)
    octets: int = 0
    missed: int = 0
    ike: dict[str, None] = field(default_factory=dict)
    esp: dict[str, None] = field(default_factory=dict)

    def view(self) -> CaptureView:
        counted = (len(self.frames), self.octets, self.missed)
        return CaptureView(self.id, f"{self.sa:016x}", self.by, self.began, self.until, self.ended, self.why, *counted)


class Capturer:
    """Implements `mobike.facade.captures.Captures`."""

    def __init__(self, core: Tapes, is_there: Callable[[SaId], bool], *, carried_here: bool) -> None:
        self._core = core
        self._is_there = is_there
        self._carried_here = carried_here
        self._known: OrderedDict[str, _Capture] = OrderedDict()
        self._running: _Capture | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, sa: str, seconds: int, *, by: str) -> CaptureView:
        if not 1 <= seconds <= MOST_SECONDS:
            raise Refused(f"seconds is {seconds}", field="seconds", hint=f"give 1 to {MOST_SECONDS}")
        number = _number(sa)
        if number is None or not self._is_there(number):
            raise NotFound(f"there is no IKE SA {sa!r}")
        if self._running is not None:
            raise Refused("another capture runs", hint=f"end it, or wait: DELETE /api/v1/captures/{self._running.id}")
        if not self._carried_here:
            log.info("capture.ike_alone", sa=sa, text="The kernel carries its Child SAs: tcpdump sees their packets")
        now = time.time()
        clock = time.time_ns() - time.monotonic_ns()
        capture = _Capture(secrets.token_hex(8), number, by, now, now + seconds, clock)
        self._known[capture.id] = self._running = capture
        self._forget_old()
        self._core.tape(number, ROOM)
        self._task = asyncio.get_running_loop().create_task(self._run(capture), name=f"capture {capture.id}")
        log.warning("capture.began", capture=capture.id, sa=sa, by=by, seconds=seconds)
        return capture.view()

    def get(self, id_: str) -> CaptureView:
        return self._find(id_).view()

    def packets(self, id_: str) -> bytes:
        capture = self._find(id_)
        return pcapng.written(capture.frames, capture.clock)

    def keys(self, id_: str) -> KeysView:
        capture = self._find(id_)
        return KeysView(tuple(capture.esp), tuple(capture.ike))

    def end(self, id_: str) -> CaptureView:
        capture = self._find(id_)
        if capture is self._running:
            self._over(capture, "it was ended")
        del self._known[id_]
        return capture.view()

    async def close(self) -> None:
        """The daemon ends."""
        if self._running is not None:
            self._over(self._running, "the daemon ends")
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        self._known.clear()

    async def _run(self, capture: _Capture) -> None:
        loop = asyncio.get_running_loop()
        while capture is self._running:
            # It waits for a shard: not in the loop.
            taped = await loop.run_in_executor(None, self._core.taped, capture.sa)
            self._take(capture, taped)
            if capture is self._running:
                await asyncio.sleep(LOOK_S)

    def _take(self, capture: _Capture, taped: Taped | None) -> None:
        if taped is not None and capture.id in self._known:
            capture.frames += taped.frames
            capture.octets += sum(len(frame.data) for frame in taped.frames)
            capture.missed += taped.missed
            capture.ike |= dict.fromkeys(taped.ike_keys)
            capture.esp |= dict.fromkeys(taped.esp_keys)
        if capture is not self._running:
            return
        if taped is None or not self._is_there(capture.sa):
            self._over(capture, "the IKE SA is gone")
        elif time.time() >= capture.until:
            self._over(capture, "its time is over")
        elif capture.octets >= MOST_OCTETS:
            self._over(capture, f"it has {MOST_OCTETS >> 20} MiB")

    def _over(self, capture: _Capture, why: str) -> None:
        self._running = None
        self._core.tape(capture.sa, None)
        capture.ended, capture.why = time.time(), why
        log.warning("capture.ended", sa=f"{capture.sa:016x}", by=capture.by, why=why, packets=len(capture.frames))

    def _find(self, id_: str) -> _Capture:
        self._forget_old()
        if id_ not in self._known:
            raise NotFound(f"there is no capture {id_!r}")
        return self._known[id_]

    def _forget_old(self) -> None:
        over = [each for each in self._known.values() if each.ended is not None]
        late = time.time() - KEPT_S
        for each in over[: max(0, len(over) - KEPT)] + [each for each in over if (each.ended or 0) < late]:
            self._known.pop(each.id, None)


def _number(sa: str) -> SaId | None:
    try:
        return SaId(int(sa, 16)) if len(sa) <= 16 else None
    except ValueError:
        return None
