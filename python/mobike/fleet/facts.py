"""What is known of pairs, shared by all sessions: one session's experience serves all that could use the same pair."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from mobike.address import Ip, Nanos, Pair
from mobike.events import Nat
from mobike.policy.knowledge import UNTRIED, Measured, NatCost, PairFact, Reach

MOST_PAIRS = 65_536
"""Pairs remembered; the one without news for longest is forgotten first."""

MOST_ROUTES = 4_096
"""Destinations remembered for one local address."""

_COST: Final[Mapping[Nat, NatCost]] = {
    Nat.NONE: NatCost.NONE,
    Nat.WE_ARE_BEHIND: NatCost.TRANSLATED,
    Nat.PEER_IS_BEHIND: NatCost.TRANSLATED,
    Nat.BOTH_ARE_BEHIND: NatCost.TRANSLATED,
}


class Routes:
    """What the kernel said of routes, by local address."""

    def __init__(self) -> None:
        self._missing: dict[Ip, dict[Ip, bool]] = {}

    def ask(self, pair: Pair) -> None:
        """Until the answer is there, a route counts as one."""
        answers = self._missing.setdefault(pair.local, {})
        if len(answers) < MOST_ROUTES:
            answers.setdefault(pair.remote, False)

    def answer(self, pair: Pair, *, reachable: bool) -> bool:
        """Note the answer. Can the local address be used towards anybody who was asked for?"""
        self.ask(pair)
        answers = self._missing[pair.local]
        if pair.remote in answers:
            answers[pair.remote] = not reachable
        return reachable or not all(answers.values())

    def forget(self, local: Ip) -> None:
        self._missing.pop(local, None)


class PairFacts:
    """Facts by pair. Only initiators choose by them, so a gateway's many peers leave none."""

    def __init__(self) -> None:
        self._facts: dict[Pair, PairFact] = {}
        self._unreachable = 0
        self._rests: dict[Pair, Nanos] = {}
        """Pairs that failed, and when they have rested."""

    @property
    def known(self) -> dict[Pair, PairFact]:
        return self._facts

    @property
    def any_unreachable(self) -> bool:
        return self._unreachable > 0

    def is_unreachable(self, pair: Pair) -> bool:
        return self.any_unreachable and not self._facts.get(pair.in_udp, UNTRIED).reach.is_routed

    def is_translated(self, pair: Pair) -> bool | None:
        """Was a NAT seen there? None: nobody has looked."""
        cost = self._facts.get(pair, UNTRIED).nat
        return None if cost is NatCost.UNKNOWN else cost is NatCost.TRANSLATED

    def learn(self, pair: Pair, reach: Reach, nat: Nat | None = None, *, now: Nanos) -> bool:
        """True if that is news. The same once more is none, but it is fresh again."""
        old = self._facts.get(pair, UNTRIED)
        cost = old.nat if nat is None else _COST[nat]
        same = reach is old.reach and cost is old.nat
        if same and now == old.at:
            return False
        self._note(pair, old, old.followed_by(reach, cost, now, old.measured))
        return not same

    def measure(self, pair: Pair, measured: Measured) -> bool:
        """What path probes tell. True if it may change a choice. What the kernel says of routes stands above it."""
        old = self._facts.get(pair, UNTRIED)
        reach = measured.reach if old.reach.is_routed else old.reach
        self._note(pair, old, old.followed_by(reach, old.nat, measured.at, measured))
        return old.measured is None or replace(old.measured, at=measured.at) != measured or reach is not old.reach

    def _note(self, pair: Pair, old: PairFact, new: PairFact) -> None:
        self._unreachable += old.reach.is_routed - new.reach.is_routed
        self._facts.pop(pair, None)
        self._facts[pair] = new
        if new.lapses is not old.lapses:
            self._rests[pair] = new.lapses.rests_until
        if len(self._facts) > MOST_PAIRS:
            self._forget(next(iter(self._facts)))

    def route(self, pair: Pair, *, reachable: bool, into_tunnel: bool, now: Nanos) -> bool:
        """The kernel's answer. A route proves no peer; none, or one into a tunnel of ours, rules the pair out."""
        if not reachable:
            return self.learn(pair, Reach.INTO_TUNNEL if into_tunnel else Reach.UNREACHABLE, now=now)
        return self.is_unreachable(pair) and self.learn(pair, Reach.UNTRIED, now=now)

    @property
    def next_rested(self) -> Nanos | None:
        """When a pair may be returned to."""
        return min(self._rests.values(), default=None)

    def take_rested(self, now: Nanos) -> bool:
        """Has one rested since this was asked last, that may work again?"""
        over = [pair for pair, until in self._rests.items() if until <= now]
        for pair in over:
            del self._rests[pair]
        return any(not self._facts.get(pair, UNTRIED).reach.is_bad for pair in over)

    def forget_local(self, ip: Ip) -> None:
        """The address is there again, perhaps somewhere else: nothing bad that was known of it holds."""
        for pair in [pair for pair in self._facts if pair.local == ip]:
            self._forget(pair)

    def forget_bad(self, pair: Pair) -> None:
        if Reach.SILENT <= self._facts.get(pair, UNTRIED).reach <= Reach.REFUSED:
            self._forget(pair)

    def _forget(self, pair: Pair) -> None:
        fact = self._facts.pop(pair)
        self._unreachable -= not fact.reach.is_routed
