"""Tests of pairs that are not in use, while the one in use works (RFC 4555 section 3.10): a bounded trickle.

One SA of a connection asks for all: what it learns of a pair serves every SA that could use it. One test at a time for
each connection, so that a probe never holds up more than the one place that it has in the window of one SA.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from mobike.address import Nanos, Pair, Transport
from mobike.policy.choose import RankedPair
from mobike.policy.knowledge import Knowledge, NatCost, Reach
from mobike.policy.schedule import RetestRule

INTERVAL: Final = 1_000_000_000
"""Nanoseconds between two looks at what is due: one test in this time at most for each connection."""

PROBES_PER_LOOK: Final = 64
"""For all connections together; those left over have their turn the next time."""

MOST_PROBED: Final = 4_096
"""Tests without an answer that are remembered."""


def next_test(
    ranked: tuple[RankedPair, ...],
    current: Pair,
    knowledge: Knowledge,
    probed: Mapping[Pair, Nanos],
    rule: RetestRule,
) -> tuple[Nanos, Pair] | None:
    """Which pair is to be tested next, and when; None: there is none that needs it. `probed`: not answered yet."""
    return min(_due(ranked, current, knowledge, probed, rule), key=lambda each: each[0], default=None)


def _due(
    ranked: tuple[RankedPair, ...],
    current: Pair,
    knowledge: Knowledge,
    probed: Mapping[Pair, Nanos],
    rule: RetestRule,
) -> Iterator[tuple[Nanos, Pair]]:
    in_use = next((each for each in ranked if each.pair == current), None)
    for each in ranked:
        if not each.usable or each.pair == current or each.pair.transport is Transport.TCP:
            continue  # a stream is opened when it is needed
        fact = knowledge.get(each.pair)
        tested = Nanos(0) if fact is None else fact.at
        wanted = in_use is not None and each.score.worth < in_use.score.worth and each.score.reach.is_bad
        translated = fact is not None and fact.nat is NatCost.TRANSLATED and fact.reach is Reach.VERIFIED
        every = [rule.wanted] if wanted else []
        every += [rule.others]
        every += [rule.translated] if translated else []
        wait = min((time for time in every if time), default=0)
        if wait:
            yield Nanos(max(tested, probed.get(each.pair, tested)) + wait), each.pair


def is_wanted(rule: RetestRule) -> bool:
    """Does this connection ask for any such test?"""
    return bool(rule.wanted or rule.others or rule.translated)
