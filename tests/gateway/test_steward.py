"""Configurations applied while the daemon runs: all of one or nothing of it, and each part told once."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobike.commands import RemoveProfile, SetProfile
from mobike.config import Loaded, parse
from mobike.fleet import Fleet, Reconfiguration, Renewal
from mobike.gateway import parts
from mobike.gateway.steward import CannotApply, Staff, Steward
from tests.config.judge import Judge

CLIENT = """\
[connections.{name}]
role = "initiator"
remote = ["203.0.113.1"]
local_id = "{name}@example.net"
remote_id = "gw.example.net"
psk = "correct horse battery staple"
virtual_ip = ["ipv4"]
"""


def loaded(*names: str, **lines: str) -> Loaded:
    texts = (CLIENT.format(name=name) + lines.get(name, "") + "\n" for name in (*names, *lines))
    return parse("".join(texts), Judge(), environ={})


@dataclass
class House:
    """Every part of a daemon that a steward tells, as a note of what it was told last."""

    told: dict[str, Any] = field(default_factory=dict)
    profiles: dict[str, SetProfile] = field(default_factory=dict)
    orders: list[Sequence[SetProfile | RemoveProfile]] = field(default_factory=list)
    refuses: str | None = None
    """The core refuses orders of this name, as it refuses those it cannot read: before anything is done."""

    def submit(self, orders: Sequence[SetProfile | RemoveProfile], /) -> None:
        for order in orders:
            if isinstance(order, SetProfile) and order.profile.name == self.refuses:
                raise ValueError(f"profile {self.refuses!r}: no such suite")
        self.orders.append(orders)
        for order in orders:
            match order:
                case SetProfile(profile):
                    self.profiles[profile.name] = order
                case RemoveProfile(name):
                    del self.profiles[name]

    def note(self, part: str) -> Any:
        def told(*what: object) -> None:
            self.told[part] = what

        return told

    def staff(self) -> Staff:
        names = ("fleet", "door", "authorisers", "hooks", "leases", "routes", "shields", "tickets", "logs")
        return Staff(self, **{name: self.note(name) for name in names})

    def steward(self, configuration: Loaded) -> Steward:
        self.submit([SetProfile(each.profile) for each in configuration.settings.connections])
        return Steward(configuration, self.staff())


def test_only_what_changed_goes_to_the_core_under_a_new_generation() -> None:
    house = House()
    steward = house.steward(loaded("a", "b", "c"))
    steward.apply(steward.plan(loaded("a", "d", b="mobike = false")))
    sent = house.orders[-1]
    assert [type(order).__name__ for order in sent] == ["RemoveProfile", "SetProfile", "SetProfile"]
    assert {name: order.profile.generation for name, order in house.profiles.items()} == {"a": 0, "b": 1, "d": 1}
    news: Reconfiguration = house.told["fleet"][0]
    assert (news.removed, [each.name for each in news.added]) == (("c",), ["d"])
    assert [(each.policy.name, each.generation, each.renewal) for each in news.changed] == [("b", 1, Renewal.IKE)]
    assert set(house.told["hooks"][0]) == {"a", "b", "d"}


def test_what_says_the_same_tells_the_core_nothing() -> None:
    house = House()
    steward = house.steward(loaded("a"))
    steward.apply(steward.plan(loaded("a")))
    assert house.orders[-1] == []
    assert house.told["fleet"][0].changed == ()


def test_what_only_the_control_plane_keeps_to_is_no_new_generation() -> None:
    house = House()
    steward = house.steward(loaded("a"))
    steward.apply(steward.plan(loaded(a="mobike = false")))
    steward.apply(steward.plan(loaded(a='mobike = false\nsettle = "2s"')))
    assert house.orders[-1] == []
    (edited,) = house.told["fleet"][0].changed
    assert (edited.generation, edited.renewal) == (1, Renewal.NOTHING)


def test_a_plan_is_for_the_configuration_that_it_was_made_for() -> None:
    house = House()
    steward = house.steward(loaded("a"))
    stale = steward.plan(loaded("a", "b"))
    steward.apply(steward.plan(loaded("a", "c")))
    with pytest.raises(CannotApply, match="another configuration"):
        steward.apply(stale)
    assert set(house.profiles) == {"a", "c"}


_LINES = st.sampled_from(["", "mobike = false", 'liveness = "5s"', 'settle = "1s"', 'esp = ["aes256gcm16"]'])
_NAMES = st.sampled_from(["a", "b", "c", "d", "e"])


@given(st.lists(st.dictionaries(_NAMES, _LINES), min_size=1, max_size=5), st.data())
def test_half_of_a_configuration_is_never_in_force(edits: list[dict[str, str]], data: st.DataObject) -> None:
    house = House()
    steward = house.steward(loaded(**edits[0]))
    for edit in edits[1:]:
        planned = steward.plan(loaded(**edit))
        house.refuses = data.draw(st.none() | _NAMES)
        before = (steward.in_force, dict(house.told), dict(house.profiles), steward.applied)
        try:
            steward.apply(planned)
        except CannotApply as problem:
            assert str(house.refuses) in str(problem)
            assert (steward.in_force, house.told, house.profiles, steward.applied) == before
            assert steward.in_force is before[0]
        else:
            assert steward.in_force is planned.new
            in_force = {each.name: each.profile for each in planned.new.settings.connections}
            assert {name: order.profile for name, order in house.profiles.items()} == in_force
            assert house.told["hooks"][0].keys() == in_force.keys()
    # What was refused can be tried again.
    house.refuses = None
    steward.apply(steward.plan(loaded("a")))
    assert set(house.profiles) == {"a"}


def test_every_part_is_told_what_the_start_tells_it() -> None:
    house = House()
    steward = house.steward(loaded("a"))
    new = loaded("a", "b")
    steward.apply(steward.plan(new))
    settings = steward.in_force.settings
    assert house.told["door"] == (parts.trusts(settings), parts.talks(settings), (), frozenset())
    assert house.told["leases"] == (parts.sticky(settings),)
    assert house.told["logs"] == (settings.daemon.log_level, settings.daemon.log_format)
    Fleet(each.policy for each in settings.connections).reconfigure(house.told["fleet"][0])


def test_a_part_that_fails_keeps_no_other_from_hearing_of_it() -> None:
    house = House()
    steward = house.steward(loaded("a"))

    def fails(*_: object) -> None:
        raise OSError("no netlink today")

    steward._staff = replace(house.staff(), shields=fails)
    new = loaded("a", "b")
    steward.apply(steward.plan(new))
    assert steward.failed == ("shields",)
    assert set(house.told["hooks"][0]) == {"a", "b"}
    assert [each.name for each in house.told["fleet"][0].added] == ["b"]
    assert {each.name for each in steward.in_force.settings.connections} == {"a", "b"} == set(house.profiles)
