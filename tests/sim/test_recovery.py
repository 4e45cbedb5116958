"""How soon traffic passes again after a fault that nobody is told of. Virtual time: the machine does not matter."""

import pytest

from tests.sim.test_scenarios import MS, SEEDS, outcome_of


@pytest.mark.req("M3.8-4")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_gateway_follows_a_phone_whose_nat_forgot_it_within_a_few_round_trips(seed: int) -> None:
    outcome = outcome_of("nat-reboot", seed)
    for recovery in outcome.recoveries:
        assert recovery.recovered is not None and recovery.recovered < 100 * MS, recovery
        assert recovery.packets <= 4, "a check and its answer"
    followed = [line.text for line in outcome.timeline if line.text.startswith("The peer moved to")]
    assert len(followed) == 2 and all("it proved that it receives there" in text for text in followed)
