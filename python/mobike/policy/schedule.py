"""When tests are sent: one after the other, each with more time than the one before, inside a total budget.

The draft (section 5.3) doubles the time with every pair, which takes most of an hour for four addresses at each end. A
gentler factor with a limit is still an exponential back-off, and still one test at a time: what keeps a site from a
storm is that tests of one path are shared by all who use it, not that each of them waits for an hour.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, count

from mobike.policy.chance import Chance

MILLISECOND = 1_000_000
"""Nanoseconds in a millisecond."""
SECOND = 1_000 * MILLISECOND


@dataclass(frozen=True, slots=True)
class SearchRule:
    """How the pairs of one SA are tested while none is known to work. Times in nanoseconds."""

    first: int = 250 * MILLISECOND
    """For the first test: a round trip to almost everywhere."""
    factor_percent: int = 125
    """Each test has so much of the time of the one before."""
    most: int = 4 * SECOND
    """And never more than this: whoever has waited so long would not answer any more."""
    jitter_percent: int = 20
    budget: int = 165 * SECOND
    """All tests together; then the SA is given up, as one that never answers (RFC 7296 section 2.4)."""

    def share(self, test: int, chance: Chance) -> int:
        """The time that this test has, counted from 1."""
        time = self.first
        for _ in range(test - 1):
            if time >= self.most or self.factor_percent <= 100:
                break
            time = time * self.factor_percent // 100
        return chance.around(min(time, self.most), self.jitter_percent)

    def starts(self, chance: Chance) -> Iterator[int]:
        """When each test begins, if none succeeds."""
        return accumulate((self.share(test, chance) for test in count(1)), initial=0)


@dataclass(frozen=True, slots=True)
class RetestRule:
    """Tests of other pairs while the one in use works (RFC 4555 section 3.10), each no oftener than this; 0: never.

    All SAs share what one of them learns, so that this is the traffic of a connection and not of each SA.
    """

    wanted: int = 30 * SECOND
    """Pairs that the operator would rather see in use, but that failed: so that they are found again."""
    others: int = 0
    """All other pairs, so that a spare one is known to work before it is needed."""
    translated: int = 20 * SECOND
    """Pairs behind a NAT that have worked: less than the time after which NATs forget them, often 30 s (RFC 4787
    section 4.3), so that the way in stays open or is known to be closed."""


SEARCH = SearchRule()
RETEST = RetestRule()
