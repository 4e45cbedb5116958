"""The example of the failure detection draft, computed and simulated; and ours beside it in the same network."""

import pytest

from benches import draft_arithmetic, draft_search
from benches.draft_arithmetic import PAIRS


@pytest.mark.req("A5.3-3")
def test_the_drafts_own_numbers_come_out_of_its_own_timing() -> None:
    begun = draft_arithmetic.starts(draft_arithmetic.DRAFT, 0)
    assert begun[:4] == [0, 0.1, 0.3, 0.7]
    assert len(begun) == PAIRS
    assert begun[-1] == 3276.7
    search = draft_search.run(draft_search.AS_THE_DRAFT, seed=1)
    assert search.starts == pytest.approx(begun, abs=0.2), "engine and fleet keep to the rule that they are given"


@pytest.mark.req("A5.3-3")
@pytest.mark.parametrize("seed", range(3))
def test_ours_finds_the_last_of_sixteen_pairs_a_hundred_times_sooner_and_without_a_storm(seed: int) -> None:
    search = draft_search.run(draft_search.AS_SHIPPED, seed)
    assert len(search.starts) == PAIRS, "one test of each pair"
    assert search.starts[-1] < 3276.7 / 100
    assert search.found - search.starts[-1] < 1
    assert search.packets < 20 * PAIRS, "each test is one request, repeated as any other"
    gaps = [after - before for before, after in zip(search.starts, search.starts[1:], strict=False)]
    assert min(gaps) > 0.15, "one after the other"
