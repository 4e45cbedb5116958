"""The arithmetic of the failure detection draft beside ours. `python -m benches.draft_arithmetic`

draft-ietf-multi6-failure-detection-00 section 5.3: four addresses at each end make sixteen pairs; tests go one after
the other, the first has 0.1 s, each further one twice the time of the one before. Its own estimate is 3200 s.

Ours is computed by the code that runs in the daemon: one test at a time as well, with a gentler factor, a limit, jitter
and a total budget. The columns are the time at which the test of that number begins if none before it succeeds. Below
them the same search, by both rules, made by engine and fleet in a simulated network.
"""

from itertools import islice
from statistics import median

from benches import draft_search
from mobike.policy.chance import Chance
from mobike.policy.schedule import SECOND, SearchRule

PAIRS = 4 * 4
SEEDS = 1_000
"""Runs from which median and 99th percentile are taken: ours has jitter."""

DRAFT = SearchRule(first=SECOND // 10, factor_percent=200, most=1 << 62, jitter_percent=0)


def starts(rule: SearchRule, seed: int) -> list[float]:
    """When each of the tests begins, in seconds."""
    return [start / SECOND for start in islice(rule.starts(Chance(seed)), PAIRS)]


def percentiles(rule: SearchRule) -> list[tuple[float, float]]:
    """Median and 99th percentile of each start."""
    columns = zip(*(starts(rule, seed) for seed in range(SEEDS)), strict=True)
    return [(median(column), sorted(column)[SEEDS * 99 // 100]) for column in columns]


def main() -> None:
    drafts = starts(DRAFT, 0)
    same_first, shipped = percentiles(SearchRule(first=DRAFT.first)), percentiles(SearchRule())
    print(f"{'test':>4}  {'draft':>10}  {'ours, first 0.1 s':>18}  {'ours, as shipped':>18}   (median / 99th %, s)")
    for test, (draft, like, ours) in enumerate(zip(drafts, same_first, shipped, strict=True), start=1):
        print(f"{test:>4}  {draft:>8.1f} s  {like[0]:>8.2f} / {like[1]:>7.2f}  {ours[0]:>8.2f} / {ours[1]:>7.2f}")
    print(
        f"the last of {PAIRS} pairs is tested {drafts[-1] / same_first[-1][1]:.0f} times sooner with the draft's first "
        f"timeout, {drafts[-1] / shipped[-1][1]:.0f} times sooner as shipped (99th percentile)"
    )
    for name, rule in (("draft", draft_search.AS_THE_DRAFT), ("ours", draft_search.AS_SHIPPED)):
        search = draft_search.run(rule, seed=1)
        print(
            f"simulated, {name}: test {PAIRS} begins after {search.starts[PAIRS - 1]:.2f} s, the SA has moved after "
            f"{search.found:.2f} s, with {len(search.starts)} tests and {search.packets} IKE messages"
        )


if __name__ == "__main__":
    main()
