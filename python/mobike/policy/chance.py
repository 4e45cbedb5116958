"""Chance as an argument: numbers from a seed, the same in every replay. Jitter needs no secrecy, only spread."""

from typing import Final

_MASK: Final = (1 << 64) - 1


class Chance:
    """SplitMix64: 64 bits of state, and every seed is a good one."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def next(self) -> float:
        """At least 0, less than 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)

    def around(self, time: int, jitter_percent: int) -> int:
        """This time, give or take so much of it."""
        return time + int(time * jitter_percent * (2 * self.next() - 1)) // 100
