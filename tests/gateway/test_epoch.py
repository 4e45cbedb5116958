"""A moment has one time of day, until somebody sets the clock."""

from mobike.address import Nanos
from mobike.gateway.epoch import STEP, Epoch


def test_a_moment_has_one_time_of_day_until_the_clock_is_set() -> None:
    now, drift = 50, 0
    epoch = Epoch(lambda: 1_000_000_000_000 + now + drift, lambda: now)
    first = epoch.of(Nanos(7))
    assert first == 1000.000000007
    now, drift = 90_000_000_000, STEP
    assert epoch.of(Nanos(7)) == first, "slewing is no reason to tell it anew"
    drift = 3_600_000_000_000
    assert epoch.of(Nanos(7)) == first + 3600
