"""From any state to any state: the goal is reached, nothing goes in the clear, and no number is used twice."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobike.address import Ip
from mobike.dataplane.operations import Volumes
from mobike.dataplane.xfrm.adopt import doubtful_of
from mobike.dataplane.xfrm.plan import Holding, Means, NoWayError, plan
from mobike.dataplane.xfrm.selectors import Selector
from mobike.dataplane.xfrm.state import OUR_REQIDS, Action, Encap, Policy, PolicyKey, Sa, SaName, Template, priority_of
from mobike.dataplane.xfrm.steps import Migrate, MigrateState, Restore, Retune, Step, Take
from mobike.dataplane.xfrm.suites import suite_of
from mobike.dataplane.xfrm.uapi import Dir

from .lab import SameKeys
from .model import ModelKernel

HERE = tuple(map(ip_address, ("192.0.2.1", "198.51.100.1")))
THERE = tuple(map(ip_address, ("203.0.113.1", "203.0.113.2")))
HERE6, THERE6 = ip_address("2001:db8:1::1"), ip_address("2001:db8:2::1")
PATHS = [*((here, there) for here in HERE for there in THERE), (HERE6, THERE6)]
SELECTORS = tuple(Selector(ip_network("10.1.0.0/16"), ip_network(f"10.{net}.0.0/16")) for net in (2, 3, 4))
SUITE = suite_of("aes128gcm16")
REQIDS = OUR_REQIDS[:2]
KEYS = {child: SameKeys((20, 0)) for child in range(1, 4)}


def sa_of(name: SaName, path: tuple[Ip, Ip], reqid: int, ports: int | None, volumes: Volumes) -> Sa:
    source, destination = reversed(path) if name.inbound else path
    encap = None if ports is None else Encap(4500, ports)
    return Sa(name.inbound, 256 + name.child, source, destination, reqid, SUITE, encap, volumes)


paths = st.sampled_from(PATHS)
reqids = st.sampled_from(REQIDS)
ports = st.sampled_from([None, 4500, 1024])
volumes = st.sampled_from([Volumes(), Volumes(hard_bytes=10_000)])
names = st.builds(SaName, st.integers(1, 3), st.booleans())
templates = st.builds(lambda reqid, path: Template(reqid, *path), reqids, paths)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    direction, selector = draw(st.sampled_from(list(Dir))), draw(st.sampled_from(SELECTORS))
    action = draw(st.sampled_from([Action.PROTECT, Action.BLOCK]))
    template = None
    if action is Action.PROTECT:
        template = draw(templates) if direction is Dir.OUT else Template(draw(reqids))
    return Policy(PolicyKey(direction, selector), action, priority_of(selector, action), template)


@st.composite
def holdings(draw: st.DrawFn) -> Holding:
    held = {
        name: sa_of(name, draw(paths), draw(reqids), draw(ports), draw(volumes))
        for name in draw(st.sets(names, max_size=6))
    }
    return Holding(held, {policy.key: policy for policy in draw(st.lists(policies(), max_size=9))})


EVERY_MEANS = [
    Means.MIGRATE_STATE | Means.MIGRATE | Means.TAKE, Means.MIGRATE | Means.TAKE, Means.TAKE, Means.MIGRATE_STATE
]  # fmt: skip


def protected(holding: Holding) -> set[Selector]:
    return {key.selector for key in holding.policies if key.direction is Dir.OUT}


@given(have=holdings(), want=holdings(), means=st.sampled_from(EVERY_MEANS), swift=st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_state_leads_to_any_other_without_a_packet_in_the_clear_or_a_number_twice(
    have: Holding, want: Holding, means: Means, swift: bool
) -> None:
    kernel = ModelKernel.holding(have)
    kernel.watched = SELECTORS
    safe = protected(have) & protected(want)
    for wave in plan(have, want, means, swift=swift):
        assert not kernel.run(wave, KEYS).refusals
    assert kernel.now_holding() == want
    assert not safe & set(kernel.went_clear), "after every step, packets of all selectors were sent"
    assert plan(want, want, means) == []


@given(have=holdings(), want=holdings(), means=st.sampled_from(EVERY_MEANS), data=st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_a_crash_leaves_behind_leads_to_the_goal_as_well(
    have: Holding, want: Holding, means: Means, data: st.DataObject
) -> None:
    kernel = ModelKernel.holding(have)
    waves = plan(have, want, means, swift=data.draw(st.booleans()))
    steps = [step for wave in waves for step in wave]
    kernel.run(steps[: data.draw(st.integers(0, len(steps)))], KEYS)
    kernel.watched = SELECTORS
    left = kernel.now_holding()
    left = left._replace(doubtful=doubtful_of(left.sas, left.policies))
    for wave in plan(left, want, means):
        assert not kernel.run(wave, KEYS).refusals
    assert kernel.now_holding() == want
    assert not protected(left) & protected(want) & set(kernel.went_clear)


NAME = SaName(1, inbound=False)
FAR = PATHS[0]


def moved(to: tuple[Ip, Ip], *, ports: tuple[int | None, int | None] = (4500, 4500), means: Means) -> list[type[Step]]:
    """The steps that carry an outbound SA from `FAR` to there."""
    was, sa = (sa_of(NAME, path, REQIDS[0], port, Volumes()) for path, port in zip((FAR, to), ports, strict=True))
    waves = plan(Holding({NAME: was}, {}), Holding({NAME: sa}, {}), means)
    return [type(step) for wave in waves for step in wave]


ALL = Means.MIGRATE_STATE | Means.MIGRATE | Means.TAKE
OLDER = Means.MIGRATE | Means.TAKE


@pytest.mark.parametrize("means", [ALL, OLDER, Means.TAKE, Means.NONE])
def test_another_port_alone_needs_no_move_at_all(means: Means) -> None:
    assert moved(FAR, ports=(4500, 1024), means=means) == [Retune]


@pytest.mark.parametrize("to", PATHS[1:])
def test_the_best_that_the_kernel_has_is_taken(to: tuple[Ip, Ip]) -> None:
    assert moved(to, means=ALL) == [MigrateState]
    assert moved(to, means=OLDER)[0] is Migrate
    assert moved(to, means=Means.TAKE) == [Take, Restore]
    with pytest.raises(NoWayError):
        moved(to, means=Means.NONE)


def test_encapsulation_comes_by_a_copy_of_the_kernel_and_goes_by_our_own_hand() -> None:
    assert moved(PATHS[1], ports=(None, 4500), means=OLDER)[0] is Migrate
    assert moved(PATHS[1], ports=(4500, None), means=OLDER) == [Take, Restore]
    assert moved(FAR, ports=(4500, None), means=ALL) == [MigrateState]
