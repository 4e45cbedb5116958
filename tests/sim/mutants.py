"""Hosts that do what they must not: the real core behind somebody who tampers with what goes in or comes out."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from mobike import _core
from mobike.address import Nanos, Path, SaId
from mobike.events import Event
from mobike.sim import scenario
from mobike.sim.host import Host
from mobike.sim.story import Story

SMALL = """
title = "Two links each"
story = ""
lasts = "8s"
bound = "10s"

[hosts.gateway.links.eth0]
addresses = ["198.51.100.1"]

[hosts.gateway.connections.phones]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@example.net"
psk = "correct horse battery staple"
local_ts = ["10.9.0.0/16"]
pool = ["10.7.0.0/16"]

[hosts.phone]
pings = "50ms"
ping = "10.9.0.1"

[hosts.phone.links.wlan0]
addresses = ["192.0.2.10"]

[hosts.phone.links.wwan0]
addresses = ["203.0.113.20"]

[hosts.phone.connections.home]
role = "initiator"
remote = ["198.51.100.1"]
local_id = "phone@example.net"
remote_id = "gw.example.net"
psk = "correct horse battery staple"
remote_ts = ["10.9.0.0/16"]
virtual_ip = ["ipv4"]
extensions = []
settle = "200ms"
link = [{ match = "wlan*", rank = 1 }, { match = "wwan*", rank = 2 }]
liveness = "1s"
retransmit = { initial = "200ms" }

[[events]]
at = "2s"
do = "down"
to = "phone wlan0"

[[events]]
at = "4s"
do = "up"
to = "phone wlan0"
"""

Sent = tuple[Path, bytes, str]


class Tampered:
    """The real core; each of these may be replaced by a test."""

    def __init__(self, core: _core.SimCore) -> None:
        self.core = core
        self.orders: Callable[[Sequence[Any]], Sequence[Any]] = lambda orders: orders
        self.events: Callable[[Sequence[Any]], Sequence[Any]] = lambda events: events
        self.transmits: Callable[[Sequence[Sent]], Sequence[Sent]] = lambda sent: sent
        self.resumes: Callable[[Sequence[Any]], Sequence[Any]] = lambda records: records

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core, name)

    def submit(self, orders: Sequence[Any], now: Nanos) -> None:
        self.core.submit(self.orders(orders), now)

    def resume(self, now: Nanos, records: Sequence[tuple[bytes, bool]]) -> list[tuple[SaId, str | None]]:
        return self.core.resume(now, self.resumes(records))

    def take_events(self, limit: int) -> Sequence[Event]:
        return self.events(self.core.take_events(limit))

    def take_transmits(self) -> Sequence[Sent]:
        return self.transmits(self.core.take_transmits())


def tampered(name: str, tamper: Callable[[Tampered], None], text: str = SMALL) -> tuple[str, ...]:
    """What the rules say of a run in which the core of this host is tampered with."""
    story = Story(scenario.read("small", text), 1)
    host = story.stage.hosts[name]
    make = host.make_core

    def make_tampered(seed: bytes) -> _core.SimCore:
        core = Tampered(make(seed))
        tamper(core)
        return cast(_core.SimCore, core)

    host.make_core = make_tampered  # type: ignore[method-assign]
    return story.run().violations


def meddled(at: int, meddle: Callable[[dict[str, Host]], None], text: str = SMALL) -> tuple[str, ...]:
    """What they say of a run in which somebody meddles with the hosts at this moment."""
    story = Story(scenario.read("small", text), 1)
    story.world.at(at, lambda: meddle(story.stage.hosts))
    return story.run().violations


def once(change: Callable[[Any], Sequence[Any] | None]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Replace the first thing for which `change` says by what."""
    done = False

    def each(things: Sequence[Any]) -> Iterator[Any]:
        nonlocal done
        for thing in things:
            instead = None if done else change(thing)
            done = done or instead is not None
            yield from [thing] if instead is None else instead

    return lambda things: list(each(things))
