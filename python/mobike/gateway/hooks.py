"""An operator's own programs, told of what happens to a connection: it came up, it moved, it
is away, it went down.

They run beside the turns, never in them: a turn puts what happened into a bounded queue and goes on. Of one IKE SA they
run one after the other, in order; of all, so many at a time. One that takes too long is killed with all that it
started. They get neither our environment, which may hold a key, nor our input.
"""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from mobike.address import SaId
from mobike.config.settings import HookSettings
from mobike.events import Event, IkeSaUp
from mobike.fleet import Note
from mobike.handout import NOTHING

log = structlog.get_logger()

AT_ONCE: Final = 4
"""Programs that run at a time: more would take the processors from the tunnels when a whole fleet moves."""

WAITING: Final = 256
"""What happened and waits for a program; beyond that it is counted and not told."""

LONGEST: Final = 1024
"""Characters of one variable: a peer may have had its say in it."""

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_UP, _DOWN, _MOVE, _AWAY = "on_up", "on_down", "on_move", "on_away"
_HOOK_OF: Final = {
    "sa-up": _UP,
    "sa-down": _DOWN,
    "moved": _MOVE,
    "peer-moved": _MOVE,
    "away": _AWAY,
    "peer-away": _AWAY,
    "peer-back": _AWAY,
}
"""Which hook a kind of note is for."""


@dataclass(frozen=True, slots=True)
class Call:
    """One program to run."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    timeout_s: float
    sa: SaId | None


class Hooks:
    """Runs them. `see` is called in the turn and only looks; all else happens between turns."""

    def __init__(self, settings: Mapping[str, HookSettings]) -> None:
        """`settings`: by the name of the connection; those without hooks may be left out."""
        self._settings = {name: each for name, each in settings.items() if each.any}
        self._waiting: deque[Call] = deque()
        self._running: dict[asyncio.Task[None], SaId | None] = {}
        self._run = self._failed = self._too_slow = self._untold = 0

    def obey(self, settings: Mapping[str, HookSettings]) -> None:
        """Connections that are gone keep theirs, if they had any: their last IKE SAs have yet to go down."""
        gone = {name: each for name, each in self._settings.items() if name not in settings}
        self._settings = gone | {name: each for name, each in settings.items() if each.any}

    def see(self, events: Sequence[Event], notes: Sequence[Note]) -> None:
        """What a turn took, and what it noted."""
        if not self._settings:
            return
        ups = {event.sa: event for event in events if isinstance(event, IkeSaUp)}
        for note in notes:
            call = self._call(note, ups)
            if call is not None:
                self._put(call)
        self._start()

    def counters(self) -> dict[str, int]:
        """What became of them, by name."""
        return {
            "hooks_run": self._run,
            "hooks_failed": self._failed,
            "hooks_too_slow": self._too_slow,
            "hooks_untold": self._untold,
        }

    async def close(self, within_s: float) -> None:
        """Let what waits and runs come to its end, but not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._running:
                    await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        self._untold += len(self._waiting)
        self._waiting.clear()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _call(self, note: Note, ups: Mapping[SaId, IkeSaUp]) -> Call | None:
        hook = _HOOK_OF.get(note.kind)
        settings = None if hook is None or note.connection is None else self._settings.get(note.connection)
        argv = () if settings is None or hook is None else getattr(settings, hook)
        if settings is None or not argv:
            return None
        return Call(argv, environment_of(note, ups), settings.timeout / 1e9, note.sa)

    def _put(self, call: Call) -> None:
        if len(self._waiting) < WAITING:
            self._waiting.append(call)
            return
        self._untold += 1
        if self._untold & (self._untold - 1) == 0:  # 1, 2, 4, 8 ..: a storm must not fill the log as well
            log.warning("hook.untold", text=f"hooks are too slow: {self._untold} were not run", hook=call.argv[0])

    def _start(self) -> None:
        while len(self._running) < AT_ONCE and (call := self._next()) is not None:
            task = asyncio.get_running_loop().create_task(self._carry_out(call))
            self._running[task] = call.sa
            task.add_done_callback(self._ended)

    def _next(self) -> Call | None:
        """The oldest of an SA for which none runs."""
        busy = set(self._running.values()) - {None}
        for call in self._waiting:
            if call.sa not in busy:
                self._waiting.remove(call)
                return call
        return None

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if not task.cancelled():
            self._start()

    async def _carry_out(self, call: Call) -> None:
        self._run += 1
        try:
            process = await asyncio.create_subprocess_exec(
                *call.argv,
                env=dict(call.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                cwd="/",
                # A group of its own: what it started ends with it.
                start_new_session=True,
            )
        except OSError as problem:
            self._fail(call, f"cannot be run: {problem}")
            return
        try:
            async with asyncio.timeout(call.timeout_s):
                status = await process.wait()
        except TimeoutError:
            self._too_slow += 1
            self._fail(call, f"killed after {call.timeout_s:g} s")
        else:
            if status != 0:
                self._fail(call, f"ended with {status}" if status > 0 else f"killed by signal {-status}")
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    def _fail(self, call: Call, how: str) -> None:
        self._failed += 1
        event = call.environment["MOBIKE_EVENT"]
        text = f"{call.argv[0]} for {event!r}: {how}"
        log.warning("hook.failed", text=text, connection=call.environment["MOBIKE_CONNECTION"])


def environment_of(note: Note, ups: Mapping[SaId, IkeSaUp]) -> dict[str, str]:
    """All that a hook gets. What does not apply is empty, so that `set -u` scripts need no defaults."""
    data = note.data
    up = None if note.sa is None else ups.get(note.sa)
    path = "" if up is None else str(up.path)
    told = {
        "EVENT": note.kind,
        "CONNECTION": note.connection,
        "SA": None if note.sa is None else f"{note.sa:016x}",
        "OLD_PATH": data.get("from_path"),
        "NEW_PATH": path or (None if note.kind == "sa-down" else data.get("path")),
        "DURATION_MS": data.get("duration_ms"),
        "SAS": data.get("sas", 0 if note.sa is None else 1),
        "WHY": data.get("why") or note.text,
    }
    clean = {name: _clean(value) for name, value in told.items()}
    return {"PATH": PATH, **{f"MOBIKE_{name}": value for name, value in (*clean.items(), *_inner(up))}}


def _inner(up: IkeSaUp | None) -> Iterator[tuple[str, str]]:
    """Whole lists, a space between: the core has checked each name and limits how many there are."""
    handout = NOTHING if up is None else up.handout
    yield "INNER", " ".join(map(str, () if up is None else up.virtual_ips))
    yield "DNS", " ".join(map(str, handout.dns))
    yield "NETWORKS", " ".join(handout.networks)
    yield "DNS_DOMAINS", " ".join(handout.domains)
    yield "DNS_ANCHORS", "\n".join(handout.anchors)


def _clean(value: object) -> str:
    """No control characters: a peer's identity stands in some of these."""
    text = "" if value is None else str(value)
    return "".join(each if each.isprintable() else "?" for each in text[:LONGEST])
