"""The demo: it ends by itself with 0, and it cannot be talked into calling a lost ping fine."""

import re
import shutil
import subprocess
import sys

from mobike.address import Nanos
from mobike.cli.demo.story import CAFE, IN_FLIGHT, LTE, WIFI, Act, Kind, Sample, judge

MS = 1_000_000
PULLED = Nanos(1_000 * MS)
MOVED = Nanos(1_010 * MS)
DEADLINE_S = 120


def break_before_make() -> Act:
    return Act(Kind.BREAK_BEFORE_MAKE, LTE, CAFE, pulled=PULLED, moved=MOVED)


def make_before_break() -> Act:
    return Act(Kind.MAKE_BEFORE_BREAK, WIFI, LTE, pulled=PULLED, moved=Nanos(500 * MS))


def stream(*lost_at: int) -> list[Sample]:
    """Pings 10 ms apart for two seconds; those sent at `lost_at` (milliseconds) were never answered."""
    return [
        Sample(number, Nanos(at * MS), None if at in lost_at else Nanos((at + 1) * MS))
        for number, at in enumerate(range(0, 2_000, 10))
    ]


def test_a_ping_that_dies_with_its_cable_is_excused() -> None:
    verdict = judge([break_before_make()], stream(1_000, 1_010), repeated=0)
    assert verdict.good
    assert (verdict.sent, verdict.lost, verdict.lost_in_act) == (200, 2, [2])


def test_the_way_back_may_be_lost_until_the_gateway_has_its_proof() -> None:
    act = break_before_make()
    act.followed = Nanos(1_030 * MS)
    assert judge([act], stream(1_020, 1_030), repeated=0).good
    assert not judge([act], stream(1_040), repeated=0).good


def test_a_ping_lost_after_the_move_was_agreed_is_not() -> None:
    verdict = judge([break_before_make()], stream(1_020), repeated=0)
    assert not verdict.good
    assert verdict.complaints == ["1 pings were lost that should not have been (number 102)"]


def test_a_ping_lost_long_before_the_cable_was_pulled_is_not() -> None:
    before = (PULLED - IN_FLIGHT) // MS - 10
    assert not judge([break_before_make()], stream(before), repeated=0).good


def test_a_move_announced_before_the_old_network_dies_excuses_nothing() -> None:
    for lost_at in (500, 1_000, 1_010):
        assert not judge([make_before_break()], stream(lost_at), repeated=0).good


def test_a_move_that_never_came_and_a_stream_that_never_began_fail_the_demo() -> None:
    act = Act(Kind.BREAK_BEFORE_MAKE, LTE, CAFE, pulled=PULLED)
    assert judge([act], stream(), repeated=0).complaints == ["the tunnel never moved from lte to cafe"]
    assert not judge([break_before_make()], [], repeated=0).good
    assert not judge([break_before_make()], stream(), repeated=1).good


def test_the_demo_runs_to_its_end_and_both_ends_agree() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "mobike.cli", "demo"], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "both ends agree: 127.0.4.1:" in ran.stdout
    assert "make before break" in ran.stdout
    assert "break before make" in ran.stdout
    (again,) = re.findall(r"curl: (\S+) demo --stay", ran.stdout)
    assert shutil.which(again), "what it says to type next is there"
