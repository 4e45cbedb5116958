"""The shell's turn: news of links never waits, a storm is taken in batches, a fault is survived and seen."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest

from mobike.address import Generation, Nanos, SaId
from mobike.auth import Doorkeeper
from mobike.commands import Command, Probe
from mobike.dataplane.operations import Operation
from mobike.dataplane.planes import NullPlane
from mobike.events import AddressRemoved, Event, IkeSaDown
from mobike.fleet import Decided, Fleet
from mobike.gateway.heart import EVENTS_PER_TURN
from mobike.gateway.shell import CORE_GAP_S, Shell
from mobike.link.manual import ManualLinks

WIFI = ip_address("192.0.2.7")
DOWN = IkeSaDown(SaId(1), "told by a test")
PROBE = Probe(SaId(1), None, Generation(1))


@dataclass
class Core:
    """The core's mailboxes: a real eventfd, events put in by the test."""

    waiting: list[Event] = field(default_factory=list)
    submitted: list[Command | Operation] = field(default_factory=list)
    fd: int = field(default_factory=lambda: os.eventfd(0, os.EFD_NONBLOCK))

    def event_fd(self) -> int:
        return self.fd

    def tell(self, *events: Event) -> None:
        self.waiting += events
        os.eventfd_write(self.fd, 1)

    def take_events(self, limit: int, /) -> Sequence[Event]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        if not self.waiting:
            with suppress(BlockingIOError):
                os.eventfd_read(self.fd)
        return taken

    def submit(self, orders: Sequence[Command | Operation], /) -> None:
        self.submitted += orders


class Listener(Fleet):
    """Remembers what each turn was told, and answers each with one command."""

    def __init__(self) -> None:
        super().__init__(())
        self.turns: list[list[Event]] = []
        self.fault: Exception | None = None

    def handle(self, events: Sequence[Event], now: Nanos) -> Decided:
        self.turns.append(list(events))
        if self.fault is not None and events:
            fault, self.fault = self.fault, None
            raise fault
        return Decided([PROBE] if events else [], [], [], [])


@dataclass
class Stage:
    core: Core
    fleet: Listener
    links: ManualLinks
    shell: Shell


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    core, fleet, links = Core(), Listener(), ManualLinks([(WIFI, "wifi", True)])
    shell = Shell(core, links, NullPlane(), fleet, lambda events, decided: None, door=Doorkeeper({}))
    shell.start()
    await asyncio.sleep(0.01)
    fleet.turns.clear()
    yield Stage(core, fleet, links, shell)
    shell.close()
    os.close(core.fd)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - it looks at what the shell has done; nothing tells
            await asyncio.sleep(0.001)


async def test_no_turn_is_taken_before_all_that_was_kept_is_back() -> None:
    core, fleet, links = Core(), Listener(), ManualLinks([(WIFI, "wifi", True)])
    shell = Shell(core, links, NullPlane(), fleet, lambda events, decided: None, door=Doorkeeper({}))
    shell.wake()
    await asyncio.sleep(0.01)
    assert fleet.turns == [], "addresses are known, but it does not connect yet"
    shell.start()
    await until(lambda: len(fleet.turns) == 1)
    shell.close()
    os.close(core.fd)


async def test_a_lost_address_leads_to_its_commands_in_the_turn_that_learns_of_it(stage: Stage) -> None:
    stage.links.set_available(WIFI, available=False)
    stage.shell.wake()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert stage.fleet.turns == [[AddressRemoved(WIFI, "wifi")]]
    assert stage.core.submitted == [PROBE]


async def test_an_event_of_a_calm_core_is_taken_at_once_and_a_storm_in_batches(stage: Stage) -> None:
    began = asyncio.get_running_loop().time()
    sent = 0
    while asyncio.get_running_loop().time() - began < 20 * CORE_GAP_S:
        stage.core.tell(DOWN)
        sent += 1
        await asyncio.sleep(0)
    await until(lambda: sum(map(len, stage.fleet.turns)) == sent)
    took = asyncio.get_running_loop().time() - began
    assert len(stage.fleet.turns) <= took / CORE_GAP_S + 2


async def test_who_asks_knows_what_the_core_told_before_even_between_two_turns(stage: Stage) -> None:
    stage.core.tell(DOWN)
    stage.shell.catch_up()
    assert stage.fleet.turns == [[DOWN]]
    stage.core.tell(DOWN, DOWN)
    stage.shell.catch_up()
    assert stage.fleet.turns[1:] == [[DOWN, DOWN]], "without a wait for the gap between turns"
    stage.shell.catch_up()
    assert len(stage.fleet.turns) == 2, "nothing was told, so no turn is taken"


async def test_more_events_than_one_turn_takes_follow_in_the_next(stage: Stage) -> None:
    stage.core.tell(*[DOWN] * (2 * EVENTS_PER_TURN + 1))
    await until(lambda: sum(map(len, stage.fleet.turns)) == 2 * EVENTS_PER_TURN + 1)
    assert max(map(len, stage.fleet.turns)) == EVENTS_PER_TURN


async def test_a_turn_that_fails_is_counted_and_the_next_one_comes(stage: Stage) -> None:
    stage.fleet.fault = RuntimeError("a fault of ours")
    stage.core.tell(DOWN)
    await until(lambda: stage.shell.failed_turns == 1)
    stage.core.tell(DOWN)
    await until(lambda: PROBE in stage.core.submitted)
    assert stage.shell.failed_turns == 1
