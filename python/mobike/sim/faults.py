"""All that may happen to a world, as one vocabulary: scenario files and chance both speak it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address
from typing import Final

from mobike.config.durations import parse_duration
from mobike.events import OperatorAway, OperatorBack, OperatorMove, OperatorUnpin
from mobike.sim.host import Host
from mobike.sim.network import CALM, Weather
from mobike.sim.stage import Stage
from mobike.sim.world import SECOND


@dataclass(frozen=True, slots=True)
class Fault:
    """Something happens at this moment (nanoseconds since the beginning)."""

    at: int
    do: str
    to: str = ""
    """A link (`phone wlan0`), a NAT, or a host."""
    by: str = ""
    """The rest: another link, a time, an address, a direction."""
    quiet: bool = False
    """Not told in the timeline, and no row of the result."""

    def __str__(self) -> str:
        return " ".join(word for word in (self.do, self.to, self.by) if word)


def happen(stage: Stage, fault: Fault) -> None:
    """Let it happen now."""
    _ACTS[fault.do](stage, fault)


def problem(stage: Stage, fault: Fault) -> str | None:
    """What is wrong with it, in one line."""
    if fault.do not in _ACTS:
        return f"{fault.do!r} is none of {', '.join(_ACTS)}"
    known = {"link": tuple(stage.network.links), "nat": tuple(stage.nats), "host": tuple(stage.hosts)}
    if fault.to not in known[_NAMES[fault.do]]:
        return f"{fault.do}: there is no {_NAMES[fault.do]} {fault.to!r}"
    return None


def heal(stage: Stage) -> None:
    """Faults stop: what is silent speaks, what refuses obeys, the weather is calm, who is away comes back.

    Addresses that went stay gone.
    """
    stage.network.heal()
    for link in stage.network.links.values():
        link.weather = Weather(latency=link.weather.latency, mtu=CALM.mtu)
    for host in stage.hosts.values():
        host.plane.refuses = False
        host.plane.delay = 0
        _call_back(host)


def _call_back(host: Host) -> None:
    """Whoever is away comes back; while no process is there, nobody hears of it."""
    if host.is_gone:
        host.world.after(SECOND // 10, partial(_call_back, host))
        return
    for name in dict.fromkeys(up.connection for up in host.initiated()):
        host.order(OperatorBack(name))


# --- links ---


def _down(stage: Stage, fault: Fault) -> None:
    host, link = stage.split(fault.to)
    host.link_source.set_up(link, up=False)


def _up(stage: Stage, fault: Fault) -> None:
    host, link = stage.split(fault.to)
    host.link_source.set_up(link, up=True)


def _silence(stage: Stage, fault: Fault) -> None:
    link = stage.network.links[fault.to]
    link.lost_out |= fault.by in ("", "both", "out")
    link.lost_in |= fault.by in ("", "both", "in")


def _restore(stage: Stage, fault: Fault) -> None:
    link = stage.network.links[fault.to]
    link.lost_in = link.lost_out = False


def _block_udp(stage: Stage, fault: Fault) -> None:
    stage.network.links[fault.to].no_udp = True


def _pass_udp(stage: Stage, fault: Fault) -> None:
    stage.network.links[fault.to].no_udp = False


def _cut(stage: Stage, fault: Fault) -> None:
    stage.network.cut(fault.to, fault.by)
    stage.network.cut(fault.by, fault.to)


def _cut_one_way(stage: Stage, fault: Fault) -> None:
    stage.network.cut(fault.to, fault.by)


def _mend(stage: Stage, fault: Fault) -> None:
    stage.network.mend(fault.to, fault.by)
    stage.network.mend(fault.by, fault.to)


def _weather(stage: Stage, fault: Fault) -> None:
    stage.network.links[fault.to].weather = read_weather(fault.by)


def _narrow(stage: Stage, fault: Fault) -> None:
    link = stage.network.links[fault.to]
    link.weather = replace(link.weather, mtu=int(fault.by))


def _answer(stage: Stage, fault: Fault) -> None:
    stage.network.links[fault.to].answers = True


# --- translators ---


def _reboot_nat(stage: Stage, fault: Fault) -> None:
    stage.nats[fault.to].forget()


def _renumber_nat(stage: Stage, fault: Fault) -> None:
    stage.network.renumber(stage.nats[fault.to], ip_address(fault.by))


# --- hosts ---


def _stall(stage: Stage, fault: Fault) -> None:
    stage.hosts[fault.to].stall(parse_duration(fault.by))


def _restart(stage: Stage, fault: Fault) -> None:
    stage.hosts[fault.to].boot()


def _store(stage: Stage, fault: Fault) -> None:
    stage.hosts[fault.to].write_down()


def _hand_over(stage: Stage, fault: Fault) -> None:
    stage.hosts[fault.to].hand_over(in_order=True, after=parse_duration(fault.by or "0"))


def _kill(stage: Stage, fault: Fault) -> None:
    stage.hosts[fault.to].hand_over(in_order=False, after=parse_duration(fault.by or "0"))


def _refuse(stage: Stage, fault: Fault) -> None:
    stage.hosts[fault.to].plane.refuses = True


def _obey(stage: Stage, fault: Fault) -> None:
    stage.hosts[fault.to].plane.refuses = False


def _delay(stage: Stage, fault: Fault) -> None:
    stage.hosts[fault.to].plane.delay = parse_duration(fault.by or "0")


def _move(stage: Stage, fault: Fault) -> None:
    host = stage.hosts[fault.to]
    for up in host.initiated():
        host.order(OperatorMove(up.sa, ip_address(fault.by), None))


def _unpin(stage: Stage, fault: Fault) -> None:
    host = stage.hosts[fault.to]
    for up in host.initiated():
        host.order(OperatorUnpin(up.sa))


def _old_orders(stage: Stage, fault: Fault) -> None:
    stage.hosts[fault.to].repeat_old_orders()


def _away(stage: Stage, fault: Fault) -> None:
    host = stage.hosts[fault.to]
    for name in dict.fromkeys(up.connection for up in host.initiated()):
        host.order(OperatorAway(name, parse_duration(fault.by)))


def _back(stage: Stage, fault: Fault) -> None:
    host = stage.hosts[fault.to]
    for name in dict.fromkeys(up.connection for up in host.initiated()):
        host.order(OperatorBack(name))


def _forge_icmp(stage: Stage, fault: Fault) -> None:
    """`seen`: by somebody on the way, who quotes what he saw. `blind`: by anybody who knows the addresses."""
    host = stage.hosts[fault.to]
    chance = stage.world.chance(f"forger/{fault.at}")
    for path, data in list(host.sent):
        host.unreachable(path.local, path.remote, data if fault.by == "seen" else chance.randbytes(len(data)))


_ACTS: Final[Mapping[str, Callable[[Stage, Fault], None]]] = {
    "down": _down,
    "up": _up,
    "silence": _silence,
    "restore": _restore,
    "block-udp": _block_udp,
    "pass-udp": _pass_udp,
    "cut": _cut,
    "cut-one-way": _cut_one_way,
    "mend": _mend,
    "weather": _weather,
    "reboot-nat": _reboot_nat,
    "renumber-nat": _renumber_nat,
    "stall": _stall,
    "restart": _restart,
    "store": _store,
    "hand-over": _hand_over,
    "kill": _kill,
    "refuse": _refuse,
    "obey": _obey,
    "delay": _delay,
    "move": _move,
    "unpin": _unpin,
    "old-orders": _old_orders,
    "narrow": _narrow,
    "away": _away,
    "back": _back,
    "answer": _answer,
    "forge-icmp": _forge_icmp,
}
_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("down", "up", "silence", "restore", "cut", "cut-one-way", "mend", "weather", "narrow"), "link"),
    **dict.fromkeys(("answer", "block-udp", "pass-udp"), "link"),
    **dict.fromkeys(("reboot-nat", "renumber-nat"), "nat"),
    **dict.fromkeys(("stall", "restart", "refuse", "obey", "delay", "move", "away", "back"), "host"),
    **dict.fromkeys(("unpin", "old-orders", "forge-icmp", "store", "hand-over", "kill"), "host"),
}
"""What `to` names."""


def read_weather(text: str) -> Weather:
    """`latency=20ms jitter=5ms loss=0.01 duplicate=0 reorder=0 mtu=1500`; ValueError says what is wrong."""
    spans: dict[str, int] = {}
    chances: dict[str, float] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        match name:
            case "latency" | "jitter":
                spans[name] = parse_duration(value)
            case "mtu":
                spans[name] = int(value)
            case "loss" | "duplicate" | "reorder":
                chances[name] = float(value)
            case _:
                raise ValueError(f"{name!r} is no part of the weather")
    return Weather(
        latency=spans.get("latency", CALM.latency),
        jitter=spans.get("jitter", 0),
        mtu=spans.get("mtu", CALM.mtu),
        loss=chances.get("loss", 0.0),
        duplicate=chances.get("duplicate", 0.0),
        reorder=chances.get("reorder", 0.0),
    )
