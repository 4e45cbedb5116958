"""Chance: another topology and other faults for each seed. Seeds that found a bug are run for good (`seeds.txt`)."""

from pathlib import Path

import pytest

from mobike.cli import simulate
from mobike.cli.failure import Failure
from mobike.sim import chaos, story
from mobike.sim.chaos import Kind
from mobike.sim.scenario import Scenario

KEPT = [line.split("#")[0].split() for line in Path(__file__).with_name("seeds.txt").read_text().splitlines()]
"""Number and, where more is meant than the plain part of chaos, which kind: as `chaos.Kind` calls it."""
FRESH = range(1, 51)


@pytest.mark.parametrize("kept", [kept for kept in KEPT if kept], ids=" ".join)
def test_a_seed_that_found_a_bug_once_finds_none_now(kept: list[str]) -> None:
    seed, kind = int(kept[0]), Kind[(kept[1:] or ["plain"])[0].upper()]
    assert story.run(chaos.chaos(seed, kind), seed).violations == ()


@pytest.mark.parametrize("seed", FRESH)
def test_whatever_happens_the_rules_hold_and_the_tunnel_comes_back(seed: int) -> None:
    assert story.run(chaos.chaos(seed), seed).violations == (), f"mobike sim run chaos --seed {seed}"


def what_is_in(scenario: Scenario) -> tuple[object, ...]:
    return scenario.faults, *(host.plane for host in scenario.hosts.values())


def test_the_command_replays_a_seed_by_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Scenario] = []

    class Ran(Exception):
        pass

    def note(scenario: Scenario, *_: object) -> None:
        ran.append(scenario)
        raise Ran

    monkeypatch.setattr(story, "run", note)
    for name, kind in (("wild", Kind.WILD), ("carriers", Kind.CARRIERS), (None, Kind.KERNELS)):
        with pytest.raises(Ran):
            simulate.run(chaos.NAME, 45, sas=None, kind=name, timeline=False)
        assert what_is_in(ran[-1]) == what_is_in(chaos.chaos(45, kind))
    assert len({what_is_in(each) for each in ran}) == 3
    with pytest.raises(Failure, match="is no kind of chaos"):
        simulate.run(chaos.NAME, 45, sas=None, kind="calm", timeline=False)
