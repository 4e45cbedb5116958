"""A better link comes, and leads nowhere: it is asked, and nothing that works is left for it. Virtual time."""

import pytest

from mobike.sim import scenario, story
from mobike.sim.story import Outcome
from tests.sim.mutants import SMALL

DEAD = """
[[events]]
at = "1s"
do = "down"
to = "phone wlan0"

[[events]]
at = "3s"
do = "silence"
to = "phone wlan0"
by = "{way}"

[[events]]
at = "4s"
do = "up"
to = "phone wlan0"
"""
"""It has gone, and comes back as a black hole in one direction or both."""
HOSTS = SMALL[: SMALL.index("[[events]]")]


def outcome(way: str, seed: int, *, extensions: str = "", switch: str = "proven") -> Outcome:
    hosts = HOSTS.replace("extensions = []", f'extensions = [{extensions}]\nswitch = "{switch}"').replace(
        "50ms", "10ms"
    )
    return story.run(scenario.read("better link", hosts + DEAD.format(way=way)), seed)


@pytest.mark.req("M3.5-3", "D3-1")
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("way", ["both", "in", "out"])
@pytest.mark.parametrize("extensions", ["", '"path-probes"'])
def test_a_better_link_that_leads_nowhere_costs_nothing(way: str, extensions: str, seed: int) -> None:
    told = outcome(way, seed, extensions=extensions)
    assert told.violations == ()
    came = next(each for each in told.recoveries if each.what == "up phone wlan0")
    assert came.lost == 0
    texts = [line.text for line in told.timeline if line.who == "phone"]
    assert any(text.startswith("wlan0 is preferred to wwan0") for text in texts), "it was asked"
    assert any("203.0.113.20 (wwan0) is the only usable pair" in text for text in texts), "and given up"


@pytest.mark.parametrize("way", ["both", "out"])
def test_whose_policy_is_to_switch_at_once_loses_what_it_sends_there(way: str) -> None:
    came = next(each for each in outcome(way, 1, switch="at-once").recoveries if each.what == "up phone wlan0")
    assert came.lost > 10
