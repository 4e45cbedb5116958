"""Routers that say what they cannot deliver, and strangers who say it without cause: nothing but a test comes of it."""

from ipaddress import IPv4Address

import pytest

from mobike.sim import faults, scenario
from mobike.sim.faults import Fault
from mobike.sim.story import Line, Outcome, Story, run
from mobike.sim.world import MS, SECOND

TEXT = scenario.shipped()["unreachable"]
SILENT = TEXT.replace("answers = true", "answers = false")
SEEDS = (1, 2, 3, 4, 5)


def first_recovery(outcome: Outcome) -> int:
    assert outcome.violations == ()
    lost = outcome.recoveries[0]
    assert lost.what == "silence gateway eth0" and lost.recovered is not None, lost
    return lost.recovered


def moves(lines: tuple[Line, ...] | list[Line]) -> list[Line]:
    return [line for line in lines if line.kind == "moved"]


@pytest.mark.req("M3.5-1")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_path_that_is_said_to_be_dead_is_left_sooner_than_one_that_is_silent(seed: int) -> None:
    told = first_recovery(run(scenario.read("unreachable", TEXT), seed))
    untold = first_recovery(run(scenario.read("unreachable", SILENT), seed))
    assert told < untold - 150 * MS, (told / MS, untold / MS)
    assert told < 500 * MS


@pytest.mark.req("M3.5-1")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_thousand_forged_errors_move_nothing_and_cost_a_test_in_ten_seconds(seed: int) -> None:
    # Somebody on the way, who can quote what he has seen.
    outcome = run(scenario.read("unreachable", TEXT), seed)
    assert outcome.violations == ()
    assert [line.text for line in moves(outcome.timeline) if line.at > 18 * SECOND] == []
    quiet = run(scenario.read("unreachable", TEXT.replace("times = 1000", "times = 1")), seed)
    assert outcome.sent["ike"] - quiet.sent["ike"] <= 4, (outcome.sent, quiet.sent)


@pytest.mark.req("M3.5-1")
def test_who_only_knows_our_addresses_changes_nothing_at_all() -> None:
    blind = TEXT.replace('by = "seen"', 'by = "blind"')
    without = TEXT[: TEXT.rindex("[[events]]")]
    one, other = (run(scenario.read("unreachable", text), 7) for text in (blind, without))
    assert (one.timeline, one.sent, one.lost) == (other.timeline, other.sent, other.lost)


@pytest.mark.req("M3.5-1")
@pytest.mark.parametrize("answers", [True, False])
def test_an_idle_tunnel_learns_it_from_the_one_packet_that_comes_back(answers: bool) -> None:
    # No stream of pings, data is not watched, and the peer is asked once in ten minutes.
    text = TEXT.replace('pings = "20ms"\n', "").replace('liveness = "10s"', 'liveness = "10m"\ndetection_floor = "0"')
    text = text[: text.index("[[events]]")].replace("answers = true", f"answers = {str(answers).lower()}")
    told: list[Line] = []
    story = Story(scenario.read("idle", text), 1, told.append)
    story.stage.boot()
    world, phone = story.world, story.stage.hosts["phone"]
    world.run_until(5 * SECOND)
    faults.happen(story.stage, Fault(world.now, "silence", "gateway eth0"))
    world.run_until(60 * SECOND)
    assert moves(told) == [], "nothing was sent, so nobody could say anything"
    began = world.now
    (sa,) = phone.ups
    pinger = phone.pinger(sa, IPv4Address("10.9.0.1"))
    assert pinger is not None
    phone.send_inner([pinger.next(world.now)])
    world.run_until(began + SECOND)
    assert len(moves(told)) == (1 if answers else 0)
    assert story.rules.violations == []


@pytest.mark.req("M3.5-1", "D5.1-2")
def test_a_crowd_of_which_each_is_told_makes_no_storm() -> None:
    silent = scenario.shipped()["uplink-silent"]
    answers = silent.replace('addresses = ["198.51.100.1"]', 'addresses = ["198.51.100.1"]\nanswers = true')
    of = {name: run(scenario.read(name, text, sas=300), 1) for name, text in (("s", silent), ("a", answers))}
    lost, told = (of[name].recoveries[0] for name in ("s", "a"))
    assert of["a"].violations == () and len(told.moves) >= 300
    assert told.packets < 1.3 * lost.packets, (told.packets, lost.packets)
    assert max(told.moves) < max(lost.moves)
