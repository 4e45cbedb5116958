"""More chance still: ends that change their keys every few seconds, processes that hand their SAs over or are killed.

It draws from a stream of its own, as `wild` does.
"""

from collections.abc import Iterator
from random import Random
from typing import Final

from mobike.sim.faults import Fault
from mobike.sim.world import MS, SECOND

NEW_KEYS: Final = 0.4
"""How many ends change theirs all the time."""
MOST_PROCESSES: Final = (0, 0, 0, 1, 1, 2, 3)
"""How often a process ends in a run."""
BEAT: Final = SECOND
"""The daemon writes down what changed once in so long: a kill costs no more."""
HYBRID: Final = 0.3
"""How often both ends agree on several key exchanges, for all of their keys (RFC 9370)."""
_HYBRID: Final = {
    "ike": ["aes128gcm16-prfsha256-x25519-ke1_ecp256"],
    "esp": ["aes128gcm16-x25519-ke1_ecp256"],
}
"""Curves: what the world is about is the exchanges, and ML-KEM makes thousands of seeds slow."""
_GONE: Final = ("0s", "20ms", "400ms", "3s")
"""Until the next process is there."""


class Lives:
    """What this seed adds to a wild world."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(f"chaos/{seed}/lives")
        self._several = Random(f"chaos/{seed}/several").random() < HYBRID

    def lifetimes(self) -> dict[str, str]:
        """Of keys, in the settings of one end."""
        chance = self._chance
        if chance.random() >= NEW_KEYS:
            return {}
        return {"ike_lifetime": chance.choice(("3s", "10s", "4h")), "esp_lifetime": chance.choice(("2s", "7s", "1h"))}

    def proposals(self) -> dict[str, list[str]]:
        """Of both ends."""
        return _HYBRID if self._several else {}

    def faults(self, lasts: int) -> Iterator[Fault]:
        """Processes that end, at any time."""
        chance = self._chance
        for _ in range(chance.choice(MOST_PROCESSES)):
            at = chance.randrange(BEAT, lasts - 1_000 * MS)
            host, gone = chance.choice(("gateway", "phone")), chance.choice(_GONE)
            if chance.random() < 0.5:
                yield Fault(at, "hand-over", host, gone)
            else:
                yield Fault(at - chance.randrange(BEAT), "store", host)
                yield Fault(at, "kill", host, gone)
