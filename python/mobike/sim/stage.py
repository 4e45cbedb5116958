"""Hosts, links and translators of one world, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from mobike.address import Endpoint, Ip
from mobike.config import Connection
from mobike.sim.host import Host, PlaneName
from mobike.sim.nat import Depends, Nat
from mobike.sim.network import CALM, Link, Network, Weather
from mobike.sim.rules import Rules
from mobike.sim.world import SECOND, World


@dataclass(slots=True)
class Bystander:
    """Somebody with an address and no tunnel: what comes to it was not asked for."""

    name: str
    datagrams: int = 0
    octets: int = 0

    def receive(self, own: Endpoint, sender: Endpoint, data: bytes) -> None:
        self.datagrams += 1
        self.octets += len(data)

    def unreachable(self, own: Endpoint, other: Endpoint, quoted: bytes) -> None:
        """It sends nothing that could come back."""


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """One link of a host, or of a bystander."""

    addresses: tuple[Ip, ...]
    nat: str | None = None
    up: bool = True
    deaf: bool = False
    weather: Weather = CALM
    answers: bool = False


@dataclass(frozen=True, slots=True)
class NatPlan:
    """One translator; see `nat.Nat`."""

    outside: Ip
    mapping: Depends = Depends.NOTHING
    filtering: Depends = Depends.ENDPOINT
    expiry: int = 120 * SECOND
    fixed: Ip | None = None


@dataclass(frozen=True, slots=True)
class HostPlan:
    """One host. Without connections it is a bystander."""

    links: Mapping[str, LinkPlan]
    connections: tuple[Connection, ...] = ()
    crowd: int = 0
    plane: PlaneName = "userspace"


@dataclass(slots=True)
class Stage:
    """All of them."""

    world: World
    network: Network
    rules: Rules
    nats: dict[str, Nat] = field(default_factory=dict)
    hosts: dict[str, Host] = field(default_factory=dict)
    bystanders: dict[str, Bystander] = field(default_factory=dict)

    def add(self, name: str, plan: HostPlan) -> None:
        if not plan.connections:
            watcher = self.bystanders[name] = Bystander(name)
            for link, each in plan.links.items():
                self._attach(f"{name} {link}", each, watcher)
            return
        host = Host(name, self.network, self.rules, plan.connections, crowd=plan.crowd, plane=plan.plane)
        self.hosts[name] = host
        for link, each in plan.links.items():
            way = self._attach(f"{name} {link}", each, host)
            way.receive_segment = host.receive_segment
            host.attach(link, way)

    def _attach(self, name: str, plan: LinkPlan, to: Host | Bystander) -> Link:
        nat = None if plan.nat is None else self.nats[plan.nat]
        link = self.network.attach(name, plan.addresses, partial(to.receive), nat=nat, deaf=plan.deaf)
        link.up = plan.up
        link.weather = plan.weather
        link.answers = plan.answers
        link.complain = partial(to.unreachable)
        return link

    def boot(self) -> None:
        for host in self.hosts.values():
            host.boot()

    def split(self, link: str) -> tuple[Host, str]:
        """`phone wlan0` as a host and its own name of the link."""
        host, _, name = link.partition(" ")
        return self.hosts[host], name

    def all_hosts(self) -> Sequence[Host]:
        return tuple(self.hosts.values())
