"""Path probes in the world: what they see, how soon traffic is back, and the same without them. Virtual time."""

from statistics import median

import pytest

from mobike.sim import scenario, story
from mobike.sim.rules.base import PATH_PROBE, read
from mobike.sim.story import Outcome, Recovery

from .mutants import SMALL, Sent, Tampered, once, tampered
from .test_rules import names
from .test_scenarios import MS, SEEDS, SHIPPED, outcome_of

NAME = "path-probes"
PROBING = SMALL.replace("extensions = []", 'extensions = ["path-probes"]')


def without() -> Outcome:
    text = SHIPPED[NAME].replace('extensions = ["path-probes"]', "extensions = []")
    assert text != SHIPPED[NAME]
    return story.run(scenario.read(NAME, text), 1)


def recovery(outcome: Outcome, what: str) -> Recovery:
    return next(each for each in outcome.recoveries if each.what.startswith(what))


def told(outcome: Outcome, text: str) -> bool:
    return any(text in line.text for line in outcome.timeline)


@pytest.mark.req("A5.4-1")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_silent_provider_is_left_at_once_and_with_one_exchange(seed: int) -> None:
    outcome = outcome_of(NAME, seed)
    silent = recovery(outcome, "silence")
    assert silent.recovered is not None and silent.recovered < 600 * MS
    assert silent.packets == 2, "one update and its answer: no pair is tried in turn, and no cookie is asked for"
    assert not told(outcome, "has not answered")


@pytest.mark.req("A5.4-1")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_pair_that_works_one_way_is_known_as_that_at_both_ends(seed: int) -> None:
    outcome = outcome_of(NAME, seed)
    assert told(outcome, "192.0.2.10 -> 198.51.101.1 works there but not back")
    assert told(outcome, "198.51.101.1 -> 192.0.2.10 works back but not there")
    back = recovery(outcome, "cut-one-way")
    assert back.recovered is not None and back.recovered < 1_000 * MS


@pytest.mark.req("A5.4-1")
def test_without_them_it_takes_longer_and_more_requests() -> None:
    times = []
    for seed in range(1, 12):
        silent = recovery(story.run(scenario.read(NAME, SHIPPED[NAME]), seed), "silence")
        assert silent.recovered is not None
        times.append(silent.recovered)
    plain = without()
    assert plain.sent["probe"] == 0
    ladder = recovery(plain, "silence")
    assert ladder.recovered is not None
    assert 1.5 * median(times) < ladder.recovered, (median(times), ladder.recovered)
    assert ladder.packets > 4


@pytest.mark.req("A5.4-1")
def test_one_sa_of_a_crowd_probes_for_all() -> None:
    few, many = (
        story.run(scenario.read("uplink", SHIPPED["uplink"], sas=sas), 1).sent["probe"] / 1_000 for sas in (1, 100)
    )
    assert many < 1.5 * few


def test_a_probe_that_is_sent_twice_is_seen() -> None:
    def tamper(core: Tampered) -> None:
        def twice(sent: Sent) -> list[Sent] | None:
            message = read(sent[1], sent[0].local.port)
            return [sent, sent] if message is not None and message.exchange == PATH_PROBE else None

        core.transmits = once(twice)

    assert names(tampered("phone", tamper, PROBING)) == {"each probe once"}
