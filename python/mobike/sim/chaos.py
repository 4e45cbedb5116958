"""A scenario made of chance: a topology, and faults of every kind until they stop. All of it follows from the seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address
from random import Random
from typing import Any, Final

from mobike.address import Ip
from mobike.sim.carriers import Carriers
from mobike.sim.faults import Fault
from mobike.sim.grumblers import Grumblers
from mobike.sim.host import PlaneName
from mobike.sim.lives import Lives
from mobike.sim.nat import Depends
from mobike.sim.network import Weather
from mobike.sim.scenario import Pings, Scenario, connection
from mobike.sim.stage import HostPlan, LinkPlan, NatPlan
from mobike.sim.wild import Wild
from mobike.sim.world import MS, SECOND

NAME: Final = "chaos"
LASTS: Final = 30 * SECOND
BOUND: Final = 90 * SECOND
"""Until everything is settled: a peer that restarted is given up (20 s), then called again (5 s at most); every pair is
tried in turn, some seconds each."""
MOST_FAULTS: Final = 14
RESTARTS: Final = 0.1
"""How many faults may be a restart of an end."""
IN_KERNELS: Final = 0.3
"""How many hosts leave ESP to a kernel, which may refuse or be late with Child SAs, too."""
COMES_BACK: Final = 0.8
"""How many links that are down come back before faults stop."""

_INNER: Final = "10.9.0.1"
_GATEWAY_LINKS: Final = {
    "eth0": ("198.51.100.1", "2001:db8:1::1"),
    "eth1": ("198.51.101.1", "2001:db8:2::1"),
}
_PHONE_LINKS: Final = {
    "wlan0": ("192.0.2.10", "2001:db8:10::10"),
    "wwan0": ("203.0.113.20", "2001:db8:20::20"),
    "eth0": ("192.0.3.30", "2001:db8:30::30"),
}
_INSIDE: Final = {"wlan0": "10.1.1.7", "wwan0": "10.1.2.7", "eth0": "10.1.3.7"}
_OUTSIDE: Final = {"wlan0": "100.64.0.1", "wwan0": "100.64.0.2", "eth0": "100.64.0.3"}


class Kind(IntEnum):
    """How much may happen. A seed that found a bug once remembers how much there was then."""

    PLAIN = 0
    WILD = 1
    GRUMBLERS = 2
    LIVES = 3
    CARRIERS = 4
    KERNELS = 5


def chaos(seed: int, kind: Kind = Kind.KERNELS) -> Scenario:
    """The scenario of this seed; each kind adds to the one before."""
    chance = Random(f"chaos/{seed}")
    gateway = _links(_GATEWAY_LINKS, chance, most=2)
    phone = _links(_PHONE_LINKS, chance, most=3)
    nats = {name: _nat(_OUTSIDE[name], chance) for name in phone if chance.random() < 0.35}
    phone = {name: _behind(plan, name) if name in nats else plan for name, plan in phone.items()}
    remotes = [ip for plan in gateway.values() for ip in plan.addresses]
    called, calling = _gateway(chance), _phone(remotes, chance)
    wild, lives = Wild(seed), Lives(seed)
    static: dict[str, NatPlan] = {}
    if kind >= Kind.WILD:
        gateway, phone = wild.mtus(gateway), wild.mtus(phone)
        gateway, static = wild.behind_static_nats(gateway)
        called |= wild.gateway(static, phone)
        calling |= wild.phone(phone)
    said = Grumblers(seed)
    if kind >= Kind.GRUMBLERS:
        gateway, phone = said.routers(gateway), said.routers(phone)
    if kind >= Kind.LIVES:
        called |= lives.lifetimes() | lives.proposals()
        calling |= lives.lifetimes() | lives.proposals()
    carriers = Carriers(seed)
    if kind >= Kind.CARRIERS:
        called |= carriers.transport()
        calling |= carriers.transport()
    kernels = Random(f"chaos/{seed}/kernels")
    # No kernel carries ESP in streams.
    may_be = kind >= Kind.KERNELS and not carriers.transport()
    planes: dict[str, PlaneName] = {
        name: "kernel" if may_be and kernels.random() < IN_KERNELS else "userspace" for name in ("gateway", "phone")
    }
    hosts = {
        "gateway": HostPlan(gateway, (connection("phones", called),), plane=planes["gateway"]),
        "phone": HostPlan(phone, (connection("home", calling),), plane=planes["phone"]),
    }
    scene = _Scene([f"gateway {name}" for name in gateway], [f"phone {name}" for name in phone], list(nats), chance)
    faults = list(_faults(scene))
    if kind >= Kind.WILD:
        faults += wild.faults(LASTS, scene.links, phone)
    if kind >= Kind.GRUMBLERS:
        faults += said.faults(LASTS)
    if kind >= Kind.LIVES:
        faults += lives.faults(LASTS)
    if kind >= Kind.CARRIERS:
        faults += carriers.faults(LASTS, scene.links)
    return Scenario(
        name=NAME,
        title="Chance",
        story="",
        lasts=LASTS,
        bound=BOUND,
        hosts=hosts,
        nats=nats | static,
        pings=(Pings("phone", 100 * MS, ip_address(_INNER)),),
        faults=tuple(sorted(faults, key=lambda fault: fault.at)),
    )


def _links(known: dict[str, tuple[str, str]], chance: Random, most: int) -> dict[str, LinkPlan]:
    families = chance.choice(("4", "4", "6", "46"))
    names = list(known)[: chance.randint(1, most)]
    found = {}
    for name in names:
        addresses = tuple(ip_address(ip) for ip in known[name] if str(ip_address(ip).version) in families)
        found[name] = LinkPlan(addresses, weather=_weather(chance))
    return found


def _weather(chance: Random) -> Weather:
    bad = chance.random() < 0.4
    return Weather(
        latency=chance.randint(1, 60) * MS,
        jitter=chance.choice((0, 0, 5, 30)) * MS,
        loss=chance.choice((0.01, 0.1, 0.3)) if bad else 0.0,
        duplicate=chance.choice((0.0, 0.05, 0.3)) if bad else 0.0,
        reorder=chance.choice((0.0, 0.1, 0.5)) if bad else 0.0,
    )


def _nat(outside: str, chance: Random) -> NatPlan:
    return NatPlan(
        outside=ip_address(outside),
        mapping=chance.choice(list(Depends)),
        filtering=chance.choice(list(Depends)),
        expiry=chance.choice((15, 60, 120)) * SECOND,
    )


def _behind(plan: LinkPlan, name: str) -> LinkPlan:
    """Behind a NAT there is one private IPv4 address."""
    inside: Ip = ip_address(_INSIDE[name])
    return LinkPlan((inside,), nat=name, weather=plan.weather)


_COMMON: Final[dict[str, Any]] = {
    "psk": "correct horse battery staple",
    "liveness": "2s",
    "nat_keepalive": "5s",
    "settle": "200ms",
}
_RETRANSMIT: Final = {"initial": "200ms", "give_up_initiator": "20s"}


def _gateway(chance: Random) -> dict[str, Any]:
    return _COMMON | {
        "role": "responder",
        "local_id": "gw.example.net",
        "remote_id": "*@example.net",
        "local_ts": ["10.9.0.0/16"],
        "pool": ["10.7.0.0/16"],
        "return_routability": chance.choice(("before", "before", "before", "after", "never")),
        "retransmit": {"initial": "200ms"},
    }


def _phone(remotes: list[Ip], chance: Random) -> dict[str, Any]:
    return _COMMON | {
        "role": "initiator",
        "remote": [str(ip) for ip in remotes[: chance.randint(1, len(remotes))]],
        "local_id": "phone@example.net",
        "remote_id": "gw.example.net",
        "remote_ts": ["10.9.0.0/16"],
        "virtual_ip": ["ipv4"],
        "switch": chance.choice(("proven", "proven", "at-once")),
        "retransmit": _RETRANSMIT,
        "reconnect": {"initial": "500ms", "max": "5s"},
        "link": [{"match": "wlan*", "rank": 1}, {"match": "wwan*", "rank": chance.choice((1, 2))}],
    }


@dataclass(frozen=True, slots=True)
class _Scene:
    """What faults can happen to."""

    gateway: list[str]
    phone: list[str]
    nats: list[str]
    chance: Random

    @property
    def links(self) -> list[str]:
        return self.gateway + self.phone


_KINDS: Final = (
    *("down", "down", "up", "up", "silence", "restore"),
    *("cut", "cut-one-way", "mend", "weather", "stall", "delay"),
)
_NAT_KINDS: Final = ("reboot-nat", "reboot-nat", "renumber-nat")


def _faults(scene: _Scene) -> Iterator[Fault]:
    chance = scene.chance
    down: dict[str, bool] = {}
    at = SECOND
    for _ in range(chance.randint(1, MOST_FAULTS)):
        at += chance.choice((0, 1, 20, 300, 1_000, 3_000)) * MS + chance.randrange(MS)
        if at >= LASTS - SECOND:
            break
        fault = _fault(at, scene)
        down[fault.to] = fault.do == "down" or (down.get(fault.to, False) and fault.do != "up")
        yield fault
    for number, link in enumerate(name for name, gone in down.items() if gone):
        if chance.random() < COMES_BACK:
            yield Fault(LASTS - SECOND + number * chance.randrange(100) * MS, "up", link)


def _fault(at: int, scene: _Scene) -> Fault:
    chance = scene.chance
    restarts = ("restart",) if chance.random() < RESTARTS else ()
    do = chance.choice((*_KINDS, *(_NAT_KINDS if scene.nats else ()), *restarts))
    link, host = chance.choice(scene.links), chance.choice(("gateway", "phone"))
    to, by = link, ""
    match do:
        case "silence":
            by = chance.choice(("both", "in", "out"))
        case "cut" | "cut-one-way" | "mend":
            to, by = chance.sample((chance.choice(scene.phone), chance.choice(scene.gateway)), 2)
        case "weather":
            loss, late = chance.choice((0, 0.2, 0.6)), chance.randint(1, 200)
            by = f"latency={late}ms loss={loss} duplicate=0.1 reorder=0.2"
        case "stall":
            to, by = host, f"{chance.choice((5, 100, 1_500))}ms"
        case "delay":
            to, by = host, f"{chance.choice((1, 50, 400))}ms"
        case "restart":
            to = host
        case "reboot-nat":
            to = chance.choice(scene.nats)
        case "renumber-nat":
            to, by = chance.choice(scene.nats), f"100.64.{chance.randint(1, 250)}.{chance.randint(1, 250)}"
        case _:
            pass
    return Fault(at, do, to, by)
