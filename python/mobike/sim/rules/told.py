"""What is told to the fleet and to people."""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Final

from mobike.address import Nanos, SaId
from mobike.commands import Command
from mobike.dataplane.operations import Operation
from mobike.events import (
    ChildDown,
    ChildUp,
    ConnectFailed,
    Event,
    IkeSaDown,
    IkeSaResumed,
    IkeSaUp,
    Notice,
    PlaneRefused,
    SaMoved,
)
from mobike.fleet import Decided
from mobike.gateway.loudness import level_of
from mobike.sim.host import Host
from mobike.sim.rules.base import Broken, Lives, Rule

LOOK_EVERY: Final = 16
"""Turns between two comparisons with what the core has counted: reading its counters takes longer than a turn."""

_COUNTED: Final = {
    IkeSaUp: "ike_sas_up",
    IkeSaDown: "ike_sas_down",
    ChildUp: "ike_children_up",
    ChildDown: "ike_children_down",
    ConnectFailed: "ike_connects_failed",
}


class Sense(Rule):
    """An SA comes up once, and nothing is told of one that is not up."""

    name: ClassVar[str] = "events make sense"

    def told(self, host: Host, event: Event) -> None:
        sa = event.up.sa if isinstance(event, IkeSaResumed) else getattr(event, "sa", None)
        if sa is None or isinstance(event, Notice | PlaneRefused | SaMoved):
            return
        is_up = self.lives.get(host, sa) is not None
        if isinstance(event, IkeSaUp | IkeSaResumed) and is_up:
            self.broken(host, f"IKE SA {sa:#x} came up twice")
        elif not isinstance(event, IkeSaUp | IkeSaResumed) and not is_up:
            self.broken(host, f"{type(event).__name__} is told of IKE SA {sa:#x}, which is not up")


class NothingLost(Rule):
    """No event is lost: what the core has counted was told, and no event waits that no turn will take."""

    name: ClassVar[str] = "no event is lost"

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._told: dict[str, Counter[str]] = {}
        self._turns: Counter[str] = Counter()
        self._resumed: dict[str, tuple[SaId, Nanos]] = {}

    def booted(self, host: Host) -> None:
        self._told[host.name] = Counter()

    def told(self, host: Host, event: Event) -> None:
        # An SA that goes on in another process is not counted, nor are its Child SAs, which are told right behind it.
        if isinstance(event, IkeSaResumed):
            self._resumed[host.name] = (event.up.sa, host.world.now)
            return
        if isinstance(event, ChildUp) and self._resumed.get(host.name) == (event.sa, host.world.now):
            return
        name = _COUNTED.get(type(event))
        if name is not None:
            self._told[host.name][name] += 1

    def turned(self, host: Host, events: Sequence[Event], decided: Decided) -> None:
        self._turns[host.name] += 1
        if self._turns[host.name] % LOOK_EVERY == 0:
            self._compare(host)

    def ended(self, hosts: Sequence[Host]) -> None:
        for host in hosts:
            if host.forgets_events:
                self.broken(host, "events wait that no turn will take")
            self._compare(host)

    def _compare(self, host: Host) -> None:
        if host.core.has_events():
            return
        told, counted = self._told[host.name], host.core.counters()
        if host.kind == "kernel":
            # Of what was not carried nobody above hears.
            told["ike_children_up"], told["ike_children_down"] = host.plane.fresh, host.plane.removed
        for name in _COUNTED.values():
            if told[name] != counted[name]:
                self.broken(host, f"the core counts {counted[name]} {name}, but the fleet was told of {told[name]}")
                told[name] = counted[name]


class Log(Rule):
    """No ERROR and no secret in what is told to people, and none in what would be if somebody printed it."""

    name: ClassVar[str] = "no secret and no ERROR in the log"

    def told(self, host: Host, event: Event) -> None:
        self._look(host, type(event).__name__, repr(event))

    def ordered(self, host: Host, orders: Sequence[Command | Operation]) -> None:
        for order in orders:
            self._look(host, type(order).__name__, repr(order))

    def turned(self, host: Host, events: Sequence[Event], decided: Decided) -> None:
        for note in decided.notes:
            if level_of(note.kind) >= logging.ERROR:
                self.broken(host, f"{note.kind}: {note.text}")
            self._look(host, f"a note of kind {note.kind}", f"{note.text} {note.data}")

    def _look(self, host: Host, what: str, text: str) -> None:
        for each in host.secret_words:
            if each in text:
                self.broken(host, f"{what} says a secret")
