"""What is measured of connections, and that it does not grow with SAs."""

from mobike.address import Generation, Nanos, SaId
from mobike.events import Moved, Nat, PathChecked
from mobike.fleet import Note
from mobike.gateway.meter import BOUNDS_S, Meter
from tests.fleet.host import MS, path, phone
from tests.policy.words import WIFI


class Two:
    """SA 1 of `office` has just moved in 30 ms; SA 2 of `lab` has not moved; others are unknown."""

    def switched(self, sa: SaId) -> tuple[str, Nanos | None] | None:
        return {1: ("office", Nanos(30 * MS)), 2: ("lab", None)}.get(sa)


def moved(sa: int, rtt: int) -> Moved:
    return Moved(SaId(sa), path(), Generation(1), Nat.NONE, Nanos(rtt))


def checked(sa: int, rtt: int) -> PathChecked:
    return PathChecked(SaId(sa), path(), Generation(1), Nanos(rtt))


def spreads(meter: Meter) -> dict[str, tuple[int, int, int]]:
    """Of each connection: updates, tests, switches."""
    return {
        each.connection: (
            sum(each.exchanges["update"].counts),
            sum(each.exchanges["test"].counts),
            sum(each.switch.counts),
        )
        for each in meter.readings()
    }


def test_answers_are_times_of_their_connection() -> None:
    meter = Meter(Two())
    meter.see([moved(1, 4 * MS), checked(1, 2 * MS), checked(2, 3 * MS), moved(2, MS), moved(77, MS)], [])
    assert spreads(meter) == {"office": (1, 1, 1), "lab": (1, 1, 0)}
    office = meter.readings()[0]
    assert office.exchanges["update"].sum_s == 0.004
    assert office.switch.sum_s == 0.03
    assert office.switch.counts[office.switch.bounds_s.index(0.05)] == 1


def test_a_time_falls_within_its_bound_and_one_beyond_all_is_not_lost() -> None:
    meter = Meter(Two())
    meter.see([checked(2, round(bound * 1e9)) for bound in BOUNDS_S] + [checked(2, 3600 * 10**9)], [])
    assert meter.readings()[0].exchanges["test"].counts == (1,) * (len(BOUNDS_S) + 1)


def test_a_move_of_a_real_fleet_is_measured_once() -> None:
    host = phone()
    meter = Meter(host.fleet)
    decided = host.leaves(WIFI, "wlan0")
    meter.see([], decided.notes)
    host.now = Nanos(host.now + 80 * MS)
    answer = host.answer(SaId(1))
    meter.see([answer], host.hears(answer).notes)
    host.now = Nanos(host.now + 80 * MS)
    late = host.answer(SaId(1))
    meter.see([late], host.hears(late).notes)
    assert meter.readings()[0].happened["moved"] == 1
    switch = meter.readings()[0].switch
    assert (sum(switch.counts), round(switch.sum_s, 3)) == (1, 0.08)


def test_notes_are_counted_by_connection_and_kind_those_told_as_one_too() -> None:
    meter = Meter(Two())
    one = Note("moved", "Moved", (), SaId(1), "office", {"sas": 7})
    many = Note("moved", "The same for 40 more", (), None, "office", {"sas": 40})
    nobody = Note("drain", "Peers are sent on", (), None, None, {"sas": 9})
    meter.see([], [one, many, Note("connect-failed", "no", (), None, "lab"), nobody])
    assert {each.connection: each.happened for each in meter.readings()} == {
        "office": {"moved": 41},
        "lab": {"connect-failed": 1},
    }
