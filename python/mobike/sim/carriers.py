"""And more chance: ends that take streams as well (RFC 9329), on networks that let no UDP pass for a while.

It draws from a stream of its own, so that a seed without any keeps the world that it had.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from mobike.sim.faults import Fault
from mobike.sim.world import MS

AUTO: Final = 0.35
"""How many worlds know streams."""
ONLY: Final = 0.1
"""And of those, how many nothing else."""
MOST_FAULTS: Final = 4


class Carriers:
    """What this seed adds to the rest."""

    def __init__(self, seed: int) -> None:
        self._chance = chance = Random(f"chaos/{seed}/carriers")
        self._transport = "udp"
        if chance.random() < AUTO:
            self._transport = "tcp" if chance.random() < ONLY else "auto"

    def transport(self) -> dict[str, str]:
        """Of both ends."""
        return {} if self._transport == "udp" else {"transport": self._transport}

    def faults(self, lasts: int, links: Sequence[str]) -> Iterator[Fault]:
        """Firewalls before some links, at any time."""
        if self._transport == "udp":
            return
        chance = self._chance
        for _ in range(chance.randint(0, MOST_FAULTS)):
            at = chance.randrange(MS, lasts - 1_000 * MS)
            yield Fault(at, chance.choice(("block-udp", "block-udp", "pass-udp")), chance.choice(links))
