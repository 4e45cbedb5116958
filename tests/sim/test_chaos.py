"""Chance: another topology and other faults for each seed. Seeds that found a bug are run for good (`seeds.txt`)."""

from pathlib import Path

import pytest

from mobike.sim import chaos, story

KEPT = [line.split("#")[0].split() for line in Path(__file__).with_name("seeds.txt").read_text().splitlines()]
"""Number and, where more of chaos is meant than its plain part, the word `wild`, or `grumblers` for all of it."""
FRESH = range(1, 51)


@pytest.mark.parametrize("kept", [kept for kept in KEPT if kept], ids=" ".join)
def test_a_seed_that_found_a_bug_once_finds_none_now(kept: list[str]) -> None:
    seed, words = int(kept[0]), kept[1:]
    scene = chaos.chaos(seed, plain=not words, grumblers="grumblers" in words)
    assert story.run(scene, seed).violations == ()


@pytest.mark.parametrize("seed", FRESH)
def test_whatever_happens_the_rules_hold_and_the_tunnel_comes_back(seed: int) -> None:
    assert story.run(chaos.chaos(seed), seed).violations == (), f"mobike sim run chaos --seed {seed}"
