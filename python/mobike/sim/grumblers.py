"""More chance again: routers that say what they cannot deliver, and strangers who say it without cause.

It draws from a stream of its own, so that a seed keeps the world that it had before there were any.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Final

from mobike.sim.faults import Fault
from mobike.sim.stage import LinkPlan
from mobike.sim.world import MS

ANSWERING: Final = 0.3
"""Links with such a router."""
MOST_FORGERIES: Final = 3


class Grumblers:
    """What this seed adds to the rest."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(f"chaos/{seed}/grumblers")

    def routers(self, links: Mapping[str, LinkPlan]) -> dict[str, LinkPlan]:
        return {name: replace(plan, answers=self._chance.random() < ANSWERING) for name, plan in links.items()}

    def faults(self, lasts: int) -> Iterator[Fault]:
        chance = self._chance
        for _ in range(chance.randint(0, MOST_FORGERIES)):
            at = chance.randrange(MS, lasts - 1_000 * MS)
            yield Fault(at, "forge-icmp", chance.choice(("gateway", "phone")), chance.choice(("seen", "blind")))
