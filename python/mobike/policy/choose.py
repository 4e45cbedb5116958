"""The choice: which pair now, and why. Also the ranking behind it, for who wants to see it.

A working pair is left for five reasons only: it cannot be used any more; it is bad and another is not; the peer's list
has become one without its address; the operator prefers another link (or pinned another pair); a plug says so. Anything
else keeps what works.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from mobike.address import Ip, Nanos, Pair, Transport
from mobike.policy.knowledge import UNTRIED, Knowledge, Measured, Reach
from mobike.policy.links import Candidate
from mobike.policy.pairs import ANY_PAIR, PairRules, objection
from mobike.policy.score import PeerSide, Score, Standing, score


@dataclass(frozen=True, slots=True)
class Pin:
    """The operator's wish for one SA; a half that is None is left to policy. A pin that cannot work does not hold."""

    local: Ip | None
    remote: Ip | None

    def holds(self, pair: Pair) -> bool:
        return self.local in (None, pair.local) and self.remote in (None, pair.remote)

    def __str__(self) -> str:
        return f"{self.local or 'any address'} -> {self.remote or 'any address'}"


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a choice depends on."""

    candidates: tuple[Candidate, ...]
    """Local addresses. A current local address that is not among them is gone."""
    remotes: tuple[Ip, ...]
    """The peer's addresses, most preferred first."""
    knowledge: Knowledge = field(default_factory=dict)
    current: Pair | None = None
    """The pair in use, if it may still work."""
    rules: PairRules = ANY_PAIR
    pin: Pin | None = None
    excluded: frozenset[Pair] = frozenset()
    """Pairs that were already tried in the search that goes on now."""
    now: Nanos = Nanos(0)  # noqa: RUF009
    """What is known of pairs ages."""
    transports: tuple[Transport, ...] = (Transport.UDP,)
    left_out: Ip | None = None
    """An address of the peer that was in use when its list left it out (RFC 4555 section 3.5)."""


@dataclass(frozen=True, slots=True)
class RankedPair:
    """One pair with its place."""

    pair: Pair
    link: str
    score: Score
    usable: bool
    settled: bool
    resting: bool
    """It failed not long ago, so that no working pair is left for it yet."""
    why: str
    """Usable: what speaks for it. Not usable: what is against it."""
    measured: Measured | None = None
    """What path probes say of it; None where nobody probes."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Use this pair from now on."""

    pair: Pair
    why: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Stay with the current pair."""

    why: str


@dataclass(frozen=True, slots=True)
class NoPair:
    """Nothing can be used now."""

    why: str


Decision: TypeAlias = Choice | Keep | NoPair


class Policy(Protocol):
    """The plug: an operator's own ranking has these two methods, pure and quick."""

    def choose(self, situation: Situation) -> Decision: ...

    def rank(self, situation: Situation) -> tuple[RankedPair, ...]: ...


@dataclass(frozen=True, slots=True)
class OrderedPolicy:
    """The shipped policy: pairs in the order of `Score`, with hysteresis."""

    def choose(self, situation: Situation) -> Decision:
        return choose(situation)

    def rank(self, situation: Situation) -> tuple[RankedPair, ...]:
        return rank(situation)


def choose(situation: Situation) -> Decision:
    """Which pair now."""
    ranked = rank(situation)
    usable = [each for each in ranked if each.usable]
    if not usable:
        return NoPair(_why_none(situation, ranked))
    best = usable[0]
    current = next((each for each in usable if each.pair == situation.current), None)
    if current is None:
        return Choice(best.pair, _why_chosen(situation, _why_left(situation, ranked), best, len(usable)))
    if current.score.reach.is_bad:
        return _leave_bad(situation, current, best, len(usable))
    if current.score.peer_side is PeerSide.LEFT_OUT:
        return _leave_unlisted(situation, current, usable)
    better = _worth_more(current, usable)
    if better is None:
        return Keep(_why_kept(current, usable))
    return Choice(better.pair, _why_chosen(situation, _why_preferred(current, better), better, len(usable)))


def rank(situation: Situation) -> tuple[RankedPair, ...]:
    """All pairs of one family, usable ones first, best first."""
    return tuple(sorted(_pairs(situation), key=lambda each: (not each.usable, each.score)))


def _pairs(situation: Situation) -> Iterator[RankedPair]:
    for candidate in dict.fromkeys(situation.candidates):
        for order, remote in enumerate(dict.fromkeys(situation.remotes)):
            if candidate.ip.version == remote.version:
                for transport in situation.transports:
                    yield _ranked(situation, candidate, Pair(candidate.ip, remote, transport), order)


def _ranked(situation: Situation, candidate: Candidate, pair: Pair, order: int) -> RankedPair:
    fact = situation.knowledge.get(pair, UNTRIED)
    pinned = situation.pin is not None and situation.pin.holds(pair)
    place = score(
        candidate,
        pair,
        fact,
        pinned=pinned,
        current=situation.current,
        left_out=situation.left_out,
        peer_order=order,
        now=situation.now,
    )
    routed = fact if pair.in_udp is pair else situation.knowledge.get(pair.in_udp, UNTRIED)
    against = _against(situation, candidate, pair, routed.reach)
    return RankedPair(
        pair=pair,
        link=candidate.link,
        score=place,
        usable=against is None,
        settled=candidate.settled or pinned,
        resting=situation.now < fact.lapses.rests_until,
        why=str(place) if against is None else against,
        measured=fact.measured_lately(situation.now),
    )


def _against(situation: Situation, candidate: Candidate, pair: Pair, reach: Reach) -> str | None:
    if not candidate.available:
        return f"{candidate} is gone"
    illegal = objection(candidate, pair.remote, situation.rules)
    if illegal is not None:
        return illegal
    if reach is Reach.INTO_TUNNEL:
        return f"the route to {pair.remote} from {candidate} leads into one of our own tunnels"
    if reach is Reach.UNREACHABLE:
        return f"no route to {pair.remote} from {candidate}"
    if pair in situation.excluded:
        return f"{pair} was tried just now"
    return None


def _leave_bad(situation: Situation, current: RankedPair, best: RankedPair, usable: int) -> Decision:
    known = Reach.SILENT if current.score.reach is Reach.ONE_WAY else current.score.reach
    if best.score.reach >= known or best.score.reach is Reach.ONE_WAY:  # that one is known not to help
        return Keep(f"{current.pair} is {_reach(current)}, and none of {_count(usable)} is known to be better")
    return Choice(best.pair, _why_chosen(situation, f"{current.pair} is {_reach(current)}", best, usable))


def _leave_unlisted(situation: Situation, current: RankedPair, usable: list[RankedPair]) -> Decision:
    """The peer itself says that it is elsewhere, which is more than a guess and less than a proof."""
    left = f"the peer's list no longer has {current.pair.remote}"
    listed = [each for each in usable if each.score.peer_side is not PeerSide.LEFT_OUT and not each.score.reach.is_bad]
    if not listed:
        return Keep(f"{left}, and none of {_count(len(usable))} is known to be better")
    return Choice(listed[0].pair, _why_chosen(situation, left, listed[0], len(usable)))


def _worth_more(current: RankedPair, usable: list[RankedPair]) -> RankedPair | None:
    """The pair that the operator would rather see in use: it may work, and has been there long enough."""
    ready = (each for each in _preferred(current, usable) if each.settled and not _must_rest(current, each))
    return min(ready, key=lambda each: (each.score.worth, each.score), default=None)


def _must_rest(current: RankedPair, other: RankedPair) -> bool:
    """The operator's word of the moment is obeyed all the same."""
    same_word = (other.score.standing, other.score.pinned) == (current.score.standing, current.score.pinned)
    return other.resting and same_word


def _preferred(current: RankedPair, usable: list[RankedPair]) -> list[RankedPair]:
    return [
        each
        for each in usable
        if each.score.worth < current.score.worth
        and not each.score.reach.is_bad
        and each.score.peer_side is not PeerSide.LEFT_OUT
    ]


# --- sentences -----------------------------------------------------------------------------------------------------


def _why_left(situation: Situation, ranked: tuple[RankedPair, ...]) -> str | None:
    if situation.current is None:
        return None
    known = next((each.why for each in ranked if each.pair == situation.current), None)
    return known or f"{situation.current} cannot be used any more"


def _why_preferred(current: RankedPair, better: RankedPair) -> str:
    if better.score.pinned < current.score.pinned:
        return "the operator pinned another pair"
    if better.score.standing < current.score.standing:
        if current.score.standing is Standing.AVOIDED:
            return f"the operator avoids {current.link}"
        return f"{current.pair.local} is not yet proven to be ours alone"
    if better.score.loss < current.score.loss:
        return f"{current.pair} loses much, and {better.pair} does not"
    return _why_worth_more(current, better)


def _why_worth_more(current: RankedPair, better: RankedPair) -> str:
    if better.score.rank == current.score.rank and better.score.carrier < current.score.carrier:
        return f"{better.pair} needs no TCP"
    if (better.score.rank, better.score.cost) == (current.score.rank, current.score.cost):
        return f"{current.pair.local} is deprecated"
    return f"{better.link} is preferred to {current.link}"


def _why_chosen(situation: Situation, left: str | None, best: RankedPair, usable: int) -> str:
    # The peer's address is worth a word where it is part of the choice; sessions with one-address peers then share one
    # sentence.
    remote = f" -> {best.pair.remote}" if len(situation.remotes) > 1 else ""
    chosen = f"{best.pair.local} ({best.link}){remote} is the {_of(usable)}: {best.why}"
    return chosen if left is None else f"{left}; {chosen}"


def _why_kept(current: RankedPair, usable: list[RankedPair]) -> str:
    if preferred := _preferred(current, usable):
        rests = all(each.settled for each in preferred)
        place = f"kept until {preferred[0].link} has {'rested after it failed' if rests else 'been there for a while'}"
    elif current is usable[0]:
        place = f"the {_of(len(usable))}"
    else:
        place = f"as good as any of {_count(len(usable))}"
    return f"{current.pair.local} ({current.link}) -> {current.pair.remote} is {place}: {current.why}"


def _why_none(situation: Situation, ranked: tuple[RankedPair, ...]) -> str:
    if not situation.candidates:
        return "no usable pair: this host has no address"
    if not situation.remotes:
        return "no usable pair: no address of the peer is known"
    if not ranked:
        return "no usable pair: both ends have no address family in common"
    reasons = list(dict.fromkeys(each.why for each in ranked))
    shown = "; ".join(reasons[:_REASONS_SHOWN])
    more = f"; and {len(reasons) - _REASONS_SHOWN} more" if len(reasons) > _REASONS_SHOWN else ""
    return f"no usable pair: {shown}{more}"


_REASONS_SHOWN = 4
"""A sentence stays readable; the API shows every pair with its reason."""


def _of(usable: int) -> str:
    return "only usable pair" if usable == 1 else f"best of {usable} usable pairs"


def _count(usable: int) -> str:
    return "1 usable pair" if usable == 1 else f"{usable} usable pairs"


def _reach(each: RankedPair) -> str:
    return each.score.reach.name.lower().replace("_", " ")
