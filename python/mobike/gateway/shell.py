"""When a turn is taken: woken by facts, by deadlines, by an operator. What a turn is stands in `heart`."""

import asyncio
import select
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog

from mobike.address import Ip, Nanos
from mobike.auth import Doorkeeper
from mobike.auth.visitors import Judgement, Ticket
from mobike.config.settings import AuthoriserSettings
from mobike.dataplane.planes import DataPlane
from mobike.events import Event, OperatorEvent
from mobike.fleet import Decided, Fleet
from mobike.gateway.heart import CoreEvents, Heart
from mobike.gateway.porter import Porter
from mobike.gateway.post import Post
from mobike.link import Links

log = structlog.get_logger()

CORE_GAP_S = 0.002
"""Turns that only the core asks for begin at least so far apart. The first event of a calm moment is taken at once; in
a storm, events are taken by the dozen, which costs less than taking them one by one. News of links never waits."""

AFTER_A_FAULT_S = 0.1
"""Until the next turn if nothing else asks for one: a fault that stays must not fill the log."""


class CoreBell(CoreEvents, Protocol):
    """The part of the core that the shell needs."""

    def event_fd(self) -> int: ...


class Shell:
    """One turn after another, each woken by a fact or by a deadline.

    `watch` sees what each turn took and decided: the journal, the TUN device and the views live behind it.
    """

    def __init__(
        self,
        core: CoreBell,
        links: Links,
        plane: DataPlane,
        fleet: Fleet,
        watch: Callable[[Sequence[Event], Decided], None],
        *,
        door: Doorkeeper,
        authorisers: Mapping[str, AuthoriserSettings] | None = None,
    ) -> None:
        self._core = core
        self._news = select.poll()
        self._news.register(core.event_fd(), select.POLLIN)
        self._plane = plane
        self._fleet = fleet
        self._door = door
        self._post = Post(self._heard)
        self._porter = Porter(authorisers or {}, self._judged)
        self._heart = Heart(core, links, plane, fleet, watch, door=door, time_of_day=lambda: datetime.now(UTC))
        self._soon: asyncio.Handle | None = None
        self._later: asyncio.TimerHandle | None = None
        self._gap: asyncio.TimerHandle | None = None
        self._last_turn = 0.0
        self._started = False
        self.failed_turns = 0
        """Turns that ended in a fault: the fleet may know less than the core. Seen in `readyz`."""

    def start(self) -> None:
        """Listen to the core and the data plane, and take the first turn."""
        self._started = True
        self._listen()
        for fd in self._plane.fds():
            asyncio.get_running_loop().add_reader(fd, self.wake)
        self.wake()

    def order(self, order: OperatorEvent) -> None:
        """Take what an operator wants into the next turn."""
        self._heart.order(order)
        self.wake()

    def obey(self, authorisers: Mapping[str, AuthoriserSettings]) -> None:
        """From now on these are asked who may in."""
        self._porter.obey(authorisers)

    def wake(self) -> None:
        """Run a turn as soon as the loop comes round; none before `start`, when SAs that are kept are back."""
        if self._started and self._soon is None:
            self._soon = asyncio.get_running_loop().call_soon(self._run)

    def catch_up(self) -> None:
        """Take in what the core has told, if it has. It tells before it sends, so that whoever asks the API after this
        never knows less than a peer that has our answer."""
        if self._started and self._news.poll(0):
            self._run()

    def turn(self, now: Nanos) -> bool:
        """One pass; True if there is more to do than one turn does."""
        more = self._heart.turn(now)
        self._post.send(self._door.servers.take_letters())
        self._porter.ask(self._door.take_inquiries())
        return more

    def close(self) -> None:
        """No more turns."""
        for fd in (self._core.event_fd(), *self._plane.fds()):
            asyncio.get_running_loop().remove_reader(fd)
        self._post.close()
        self._porter.close()
        for handle in (self._soon, self._later, self._gap):
            if handle is not None:
                handle.cancel()

    def _heard(self, ip: Ip, port: int, octets: bytes) -> None:
        self._door.servers.heard(ip, port, octets)
        self.wake()

    def _judged(self, ticket: Ticket, judgement: Judgement) -> None:
        self._door.heard(ticket, judgement)
        self.wake()

    def _listen(self) -> None:
        self._gap = None
        asyncio.get_running_loop().add_reader(self._core.event_fd(), self._core_has_events)

    def _core_has_events(self) -> None:
        loop = asyncio.get_running_loop()
        early = self._last_turn + CORE_GAP_S - loop.time()
        if early <= 0:
            self._run()
            return
        loop.remove_reader(self._core.event_fd())
        self._gap = loop.call_later(early, self._hear)

    def _hear(self) -> None:
        self._listen()
        self._run()

    def _run(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._later is not None:
            self._later.cancel()
            self._later = None
        try:
            more = self.turn(Nanos(time.monotonic_ns()))
        except Exception as fault:
            # A fault of ours. The core carries the tunnels on without us; dying would take them all down.
            self.failed_turns += 1
            log.exception("turn.failed", text=f"a part of a turn failed, and what it was told is lost: {fault!r}")
            self._later = asyncio.get_running_loop().call_later(AFTER_A_FAULT_S, self.wake)
            return
        self._last_turn = asyncio.get_running_loop().time()
        if more:
            self.wake()
            return
        deadlines = (self._fleet.poll_deadline(), self._door.servers.poll_deadline(), self._plane.poll_deadline())
        deadline = min((each for each in deadlines if each is not None), default=None)
        if deadline is not None:
            delay = max(0, deadline - time.monotonic_ns()) / 1e9
            self._later = asyncio.get_running_loop().call_later(delay, self.wake)
