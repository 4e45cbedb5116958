"""Hypothesis drives the world: it looks for the shortest chain of faults that breaks a rule.

`SIM_EXAMPLES=2000 .venv/bin/pytest tests/sim/test_stateful.py` looks longer; `make test` takes the same few each time.
"""

import os
from dataclasses import replace
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mobike.sim import chaos
from mobike.sim.faults import Fault, problem
from mobike.sim.story import Story
from mobike.sim.world import MS

FEW: Final = 15
EXAMPLES: Final = int(os.environ.get("SIM_EXAMPLES", FEW))
STEPS: Final = 16

SPANS: Final = st.sampled_from((0, 1, 20, 150, 700, 2_500, 9_000))
"""Milliseconds between two faults."""
WHICH: Final = st.integers(0, 11)
"""Picks one of the links, hosts or NATs that there are."""


class Troubles(RuleBasedStateMachine):
    """Two ends, the topology of a seed of chaos, and whatever may go wrong with it."""

    story: Story

    @initialize(seed=st.integers(1, 10_000))
    def begin(self, seed: int) -> None:
        self.story = Story(replace(chaos.chaos(seed), faults=()), seed)
        self.story.begin()
        self.wait(1_000)
        stage = self.story.stage
        self.links, self.nats, self.hosts = list(stage.network.links), list(stage.nats), list(stage.hosts)

    @invariant()
    def all_rules_hold(self) -> None:
        if hasattr(self, "story"):
            assert self.story.rules.violations == [], self.story.seed

    def teardown(self) -> None:
        if hasattr(self, "story"):
            assert self.story.finish().violations == (), self.story.seed

    def wait(self, span: int) -> None:
        self.story.world.run_until(self.story.world.now + span * MS)

    def let(self, do: str, to: str, by: Any = "", *, after: int) -> None:
        self.wait(after)
        fault = Fault(self.story.world.now, do, to, str(by))
        assert problem(self.story.stage, fault) is None
        self.story.let(fault)

    @rule(span=SPANS)
    def time_passes(self, span: int) -> None:
        self.wait(span)

    @rule(do=st.sampled_from(("down", "up", "restore")), which=WHICH, after=SPANS)
    def a_link_comes_or_goes(self, do: str, which: int, after: int) -> None:
        self.let(do, self.links[which % len(self.links)], after=after)

    @rule(which=WHICH, way=st.sampled_from(("both", "in", "out")), after=SPANS)
    def a_link_is_a_black_hole(self, which: int, way: str, after: int) -> None:
        self.let("silence", self.links[which % len(self.links)], way, after=after)

    @rule(which=WHICH, after=SPANS)
    def a_router_begins_to_say_what_it_cannot_deliver(self, which: int, after: int) -> None:
        self.let("answer", self.links[which % len(self.links)], after=after)

    @rule(which=WHICH, how=st.sampled_from(("seen", "blind")), after=SPANS)
    def a_stranger_says_so_without_cause(self, which: int, how: str, after: int) -> None:
        self.let("forge-icmp", self.hosts[which % 2], how, after=after)

    @rule(do=st.sampled_from(("cut", "cut-one-way", "mend")), one=WHICH, other=WHICH, after=SPANS)
    def two_links_are_parted(self, do: str, one: int, other: int, after: int) -> None:
        self.let(do, self.links[one % len(self.links)], self.links[other % len(self.links)], after=after)

    @rule(
        which=WHICH,
        latency=st.integers(1, 300),
        loss=st.sampled_from((0, 0.1, 0.5)),
        mtu=st.sampled_from((1500, 576, 250, 60)),
        after=SPANS,
    )
    def the_weather_turns(self, which: int, latency: int, loss: float, mtu: int, after: int) -> None:
        weather = f"latency={latency}ms loss={loss} duplicate=0.2 reorder=0.3 mtu={mtu}"
        self.let("weather", self.links[which % len(self.links)], weather, after=after)

    @precondition(lambda self: self.nats)
    @rule(which=WHICH, after=SPANS)
    def a_nat_reboots(self, which: int, after: int) -> None:
        self.let("reboot-nat", self.nats[which % len(self.nats)], after=after)

    @precondition(lambda self: any(not name.startswith("gateway") for name in self.nats))
    @rule(which=WHICH, last=st.integers(2, 250), after=SPANS)
    def a_nat_gets_another_address(self, which: int, last: int, after: int) -> None:
        of_phone = [name for name in self.nats if not name.startswith("gateway")]
        chosen = which % len(of_phone)
        self.let("renumber-nat", of_phone[chosen], f"100.64.{99 + chosen}.{last}", after=after)

    @rule(do=st.sampled_from(("refuse", "obey", "old-orders")), which=WHICH, after=SPANS)
    def a_data_plane_or_a_mailbox_misbehaves(self, do: str, which: int, after: int) -> None:
        self.let(do, self.hosts[which % 2], after=after)

    @rule(do=st.sampled_from(("stall", "delay")), which=WHICH, span=st.sampled_from((1, 80, 3_000)), after=SPANS)
    def a_control_plane_stalls_or_a_data_plane_is_late(self, do: str, which: int, span: int, after: int) -> None:
        self.let(do, self.hosts[which % 2], f"{span}ms", after=after)

    @rule(span=st.sampled_from(("2s", "1h")), after=SPANS)
    def the_phone_goes_away(self, span: str, after: int) -> None:
        self.let("away", "phone", span, after=after)

    @rule(after=SPANS)
    def the_phone_comes_back(self, after: int) -> None:
        self.let("back", "phone", after=after)

    @rule(which=WHICH, after=SPANS)
    def an_end_restarts(self, which: int, after: int) -> None:
        self.let("restart", self.hosts[which % 2], after=after)

    @rule(which=WHICH, gone=st.sampled_from((0, 20, 3_000)), after=SPANS)
    def another_process_goes_on(self, which: int, gone: int, after: int) -> None:
        self.let("hand-over", self.hosts[which % 2], f"{gone}ms", after=after)

    @rule(which=WHICH, beat=st.integers(0, 1_000), gone=st.sampled_from((0, 20, 3_000)), after=SPANS)
    def a_process_is_killed(self, which: int, beat: int, gone: int, after: int) -> None:
        self.let("store", self.hosts[which % 2], after=after)
        self.let("kill", self.hosts[which % 2], f"{gone}ms", after=beat)

    @rule(which=WHICH, after=SPANS)
    def the_operator_moves_the_phone(self, which: int, after: int) -> None:
        ips = [ip for link in self.story.stage.hosts["phone"].links.values() for ip in link.addresses]
        self.let("move", "phone", ips[which % len(ips)], after=after)

    @rule(after=SPANS)
    def the_operator_lets_policy_choose_again(self, after: int) -> None:
        self.let("unpin", "phone", after=after)


TestTroubles = Troubles.TestCase
TestTroubles.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    derandomize=EXAMPLES == FEW,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
