"""More chance on top of the plain kind: narrow paths, wide windows, forbidden addresses, static NATs, refusing planes.

It draws from a stream of its own, so that a seed keeps the plain world that it always had.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from random import Random
from typing import Any, Final

from mobike.sim.faults import Fault
from mobike.sim.stage import LinkPlan, NatPlan
from mobike.sim.world import MS

MTUS: Final = (1500, 1500, 1500, 1280, 576)
NARROW: Final = (1500, 576, 250, 60)
"""Through the narrow ones pings pass and IKE does not, or nothing at all."""
MOST_FAULTS: Final = 5
KINDS: Final = ("refuse", "obey", "narrow", "old-orders", "move", "unpin", "stall", "delay", "away", "back")
_INSIDE: Final = {"eth0": "10.8.0.1", "eth1": "10.8.1.1"}


class Wild:
    """What this seed adds to a plain world."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(f"chaos/{seed}/wild")

    def mtus(self, links: Mapping[str, LinkPlan]) -> dict[str, LinkPlan]:
        """Some links are narrower than others."""
        chance = self._chance
        return {
            name: replace(plan, weather=replace(plan.weather, mtu=chance.choice(MTUS))) for name, plan in links.items()
        }

    def behind_static_nats(self, links: Mapping[str, LinkPlan]) -> tuple[dict[str, LinkPlan], dict[str, NatPlan]]:
        """Sometimes the gateway's IPv4 addresses are those of a static NAT before it (RFC 4555 section 3.4)."""
        only_v4 = all(len(plan.addresses) == 1 and plan.addresses[0].version == 4 for plan in links.values())
        if not only_v4 or self._chance.random() > 0.15:
            return dict(links), {}
        nats = {
            f"gateway {name}": NatPlan(plan.addresses[0], fixed=ip_address(_INSIDE[name]))
            for name, plan in links.items()
        }
        inside = {
            name: LinkPlan((ip_address(_INSIDE[name]),), nat=f"gateway {name}", weather=plan.weather)
            for name, plan in links.items()
        }
        return inside, nats

    def gateway(self, nats: Mapping[str, NatPlan], phone: Mapping[str, LinkPlan]) -> dict[str, Any]:
        """Settings of the gateway's connection."""
        chance = self._chance
        settings: dict[str, Any] = {
            "window": chance.choice((1, 1, 4, 16)),
            "liveness": chance.choice(("2s", "2s", "10s")),
            "extensions": chance.choice(([], ["path-probes"], ["path-probes", "away"])),
            "addresses": [str(plan.outside) for plan in nats.values()],
        }
        if chance.random() < 0.15:
            trusted = chance.choice([ip for plan in phone.values() for ip in plan.addresses])
            settings |= {"return_routability": "untrusted", "trusted": [_around(str(trusted))]}
        return settings

    def phone(self, phone: Mapping[str, LinkPlan]) -> dict[str, Any]:
        """Settings of the phone's connection."""
        chance = self._chance
        settings: dict[str, Any] = {
            "window": chance.choice((1, 1, 4)),
            "liveness": chance.choice(("1s", "2s", "2s", "5s")),
            "extensions": chance.choice(([], ["path-probes"], ["path-probes", "away"])),
        }
        if len(phone) > 1 and chance.random() < 0.1:
            kept = [plan for name, plan in phone.items() if name != chance.choice(list(phone))]
            settings["allow_local"] = [_around(str(ip)) for plan in kept for ip in plan.addresses]
        return settings

    def faults(self, lasts: int, links: Sequence[str], phone: Mapping[str, LinkPlan]) -> Iterator[Fault]:
        """A few more, at any time."""
        chance = self._chance
        for _ in range(chance.randint(0, MOST_FAULTS)):
            at = chance.randrange(MS, lasts - 1_000 * MS)
            host = chance.choice(("gateway", "phone"))
            match chance.choice(KINDS):
                case "narrow":
                    yield Fault(at, "narrow", chance.choice(links), str(chance.choice(NARROW)))
                case "move":
                    ips = [ip for plan in phone.values() for ip in plan.addresses]
                    yield Fault(at, "move", "phone", str(chance.choice(ips)))
                case "unpin" | "back" as plain:
                    yield Fault(at, plain, "phone")
                case "away":
                    yield Fault(at, "away", "phone", chance.choice(("3s", "1h")))
                case "stall":
                    yield Fault(at, "stall", host, f"{chance.choice((20, 800, 4_000))}ms")
                case "delay":
                    yield Fault(at, "delay", host, f"{chance.choice((0, 20, 1_000))}ms")
                case plain:
                    yield Fault(at, plain, host)


def _around(ip: str) -> str:
    """The network of an address."""
    return str(ip_network(f"{ip}/{24 if '.' in ip else 64}", strict=False))
