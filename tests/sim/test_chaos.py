"""Chance: another topology and other faults for each seed. Seeds that found a bug are run for good (`seeds.txt`)."""

from pathlib import Path

import pytest

from mobike.sim import chaos, story

KEPT = [int(line.split("#")[0]) for line in Path(__file__).with_name("seeds.txt").read_text().splitlines()
        if line.split("#")[0].strip()]  # fmt: skip
FRESH = range(1, 51)


@pytest.mark.parametrize("seed", KEPT)
def test_a_seed_that_found_a_bug_once_finds_none_now(seed: int) -> None:
    assert story.run(chaos.chaos(seed, plain=True), seed).violations == ()


@pytest.mark.parametrize("seed", FRESH)
def test_whatever_happens_the_rules_hold_and_the_tunnel_comes_back(seed: int) -> None:
    assert story.run(chaos.chaos(seed), seed).violations == (), f"mobike sim run chaos --seed {seed}"
