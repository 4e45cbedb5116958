"""From what the kernel holds to what it should hold, for one IKE SA at a time. Pure.

A plan is a few waves: a wave is sent at once, and the next one follows if nothing of it was refused. Whatever happens
between two steps, packets included:

* A selector that is protected before and after is never in the clear: policies are replaced in place, and what sends
  over an SA that moves blocks meanwhile.
* A counter of sent packets is carried along exactly, or read once nothing uses it any more, and then jumps ahead.

How an SA moves is the best that the kernel can do (`Means`). Ports alone need nothing of it: XFRM_MSG_UPDSA takes them.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Flag, auto
from typing import Final, NamedTuple, TypeAlias

from mobike.address import Ip
from mobike.dataplane.xfrm.state import BOUNDED, Action, Policy, PolicyKey, Sa, SaName, priority_of
from mobike.dataplane.xfrm.steps import (
    AddSa,
    Advance,
    Bound,
    Calm,
    DropPolicy,
    DropSa,
    Migrate,
    MigrateState,
    PutPolicy,
    Read,
    Restore,
    Retune,
    Step,
    Take,
)
from mobike.dataplane.xfrm.uapi import Dir

Wave: TypeAlias = tuple[Step, ...]


class Means(Flag):
    """How this kernel can move an SA, best first. `docs/kernel.md` has the table."""

    NONE = 0
    MIGRATE_STATE = auto()
    """At once, counters and all, encapsulation on or off."""
    MIGRATE = auto()
    """The kernel makes a copy and removes the old one; encapsulation is put on, never off."""
    TAKE = auto()
    """Read, removed and made again: the kernel shows keys."""


class Holding(NamedTuple):
    """What is, or should be, in the kernel for one IKE SA."""

    sas: Mapping[SaName, Sa]
    policies: Mapping[PolicyKey, Policy]
    doubtful: frozenset[SaName] = frozenset()
    """Outbound SAs that are copies, and whose counters may be behind those that they were made from."""


class NoWayError(Exception):
    """This kernel cannot move an SA like this: the Child SA needs new keys instead."""

    def __init__(self, name: SaName) -> None:
        super().__init__(f"this kernel cannot move SAs of Child SA {name.child}")
        self.name = name


def plan(have: Holding, want: Holding, means: Means, *, swift: bool = False) -> list[Wave]:
    """The waves that lead from one to the other. NoWayError: none does. `swift`: nothing blocks, where that can be."""
    moves = _moves(have, want, means)
    if swift and _is_swift(have, moves):
        return _swiftly(have, want, moves)
    blocked = tuple(_blocks(have, moves))
    first = (*_early(have, want), *_broken(have, want), *_additions(have, want), *_away(moves))
    advanced = tuple(Advance(move.name, move.sa) for move in moves if move.to_advance)
    second = (*_back(moves), *_outbound(have, want, moves))
    third = (*_limits(moves), *_removals(have, want))
    return [wave for wave in (blocked, first, advanced, second, third) if wave]


NOTHING: Final = Holding({}, {})


def plan_fresh(want: Holding) -> list[Wave]:
    """The same, where nothing is there yet and no policy blocks: without a look at what could be in the way."""
    early = [PutPolicy(policy, fresh=True) for key, policy in want.policies.items() if key.direction is not Dir.OUT]
    late = [PutPolicy(policy, fresh=True) for key, policy in want.policies.items() if key.direction is Dir.OUT]
    return [(*early, *(AddSa(name, sa) for name, sa in want.sas.items())), tuple(late)]


def _is_swift(have: Holding, moves: "list[_Move]") -> bool:
    """Are there copies that only the new policy will send over, once they are right?"""
    leaving = [move for move in moves if move.leaves]
    ends = {_ends(move.was) for move in leaving}.isdisjoint(_ends(move.sa) for move in leaving)
    return (
        bool(leaving)
        and ends
        and not have.doubtful
        and all(move.by is Means.MIGRATE for move in leaving)
        and not any(_sends_over(policy, {_ends(move.sa) for move in leaving}) for policy in have.policies.values())
    )


def _swiftly(have: Holding, want: Holding, moves: "list[_Move]") -> list[Wave]:
    """What sends goes on until its copy is there, with a counter ahead of all that the old one may have sent: that is
    limited first. It goes by one send, so that next to nothing is sent meanwhile. In that send the policy follows
    unasked: XFRM_MSG_NEWAE is only refused for an SA that is not there, and then nothing is sent over it either."""
    leaving = [move for move in moves if move.leaves]
    rest = [move for move in moves if not move.leaves]
    reads = tuple(Read(move.name, move.was) for move in leaving)
    looks = tuple(Calm(move.name, move.was) for move in leaving)
    change: list[Step] = [*_early(have, want), *_additions(have, want), *_away(rest)]
    change += [Bound(move.name, move.was) for move in leaving]
    for move in leaving:
        bounded = move.was._replace(volumes=BOUNDED)
        change += [Migrate(move.name, bounded, move.sa), Advance(move.name, move.sa), Retune(move.name, move.sa)]
    change += _outbound(have, want, [])
    after = (*_back(rest), *_limits(rest), *_removals(have, want))
    return [wave for wave in (reads, looks, tuple(change), after) if wave]


@dataclass(frozen=True, slots=True)
class _Move:
    name: SaName
    was: Sa
    sa: Sa
    by: Means
    """NONE: it is retuned, or stays."""
    doubtful: bool = False

    @property
    def leaves(self) -> bool:
        """Nothing may be sent over it meanwhile."""
        return not self.name.inbound and (self.doubtful or self.by is not Means.NONE)

    @property
    def to_advance(self) -> bool:
        """The copy may have been made before the last packet left, by this move or an earlier one."""
        copied = self.by is Means.MIGRATE or (self.doubtful and self.by is not Means.TAKE)
        return copied and not self.name.inbound

    @property
    def limits_follow(self) -> bool:
        """Copies that the kernel makes keep their limits."""
        return self.by in (Means.MIGRATE_STATE, Means.MIGRATE) and self.was.volumes != self.sa.volumes


def _moves(have: Holding, want: Holding, means: Means) -> list[_Move]:
    """Oldest Child SA first: of two SAs for the same packets the kernel takes the one that came last."""
    if not have.sas:
        return []
    both = sorted((name for name in have.sas.keys() & want.sas.keys()), key=lambda name: (name.child, name.inbound))
    return [
        _Move(name, was, sa, _how(name, was, sa, means), name in have.doubtful)
        for name in both
        if (was := have.sas[name]) != (sa := want.sas[name]) or name in have.doubtful
    ]


def _how(name: SaName, was: Sa, sa: Sa, means: Means) -> Means:
    if was._replace(encap=sa.encap, volumes=sa.volumes) == sa and (was.encap is None) == (sa.encap is None):
        return Means.NONE
    if was.transport_mode or sa.transport_mode:
        # Its packets have the addresses of the SA inside: elsewhere it is about other packets.
        raise NoWayError(name)
    marks_stay = (was.mark, was.output_mark, was.interface) == (sa.mark, sa.output_mark, sa.interface)
    if Means.MIGRATE_STATE in means and marks_stay:
        return Means.MIGRATE_STATE
    encap_stays_or_comes = was.encap is None or sa.encap is not None
    if Means.MIGRATE in means and marks_stay and encap_stays_or_comes and was.reqid == sa.reqid:
        return Means.MIGRATE
    if Means.TAKE in means:
        return Means.TAKE
    raise NoWayError(name)


def _blocks(have: Holding, moves: list[_Move]) -> Iterator[Step]:
    """Nothing is sent over an SA while it moves."""
    for policy in _behind(have, moves):
        blocking = Policy(policy.key, Action.BLOCK, priority_of(policy.key.selector, Action.BLOCK))
        yield PutPolicy(blocking, fresh=False)


def _behind(have: Holding, moves: list[_Move]) -> list[Policy]:
    """The policies that send over SAs that move, from where those are or from where they will be."""
    if not moves and not have.doubtful:
        return []
    both = [sa for move in moves if move.leaves for sa in (move.was, move.sa)]
    both += [have.sas[name] for name in have.doubtful]
    ends = {_ends(sa) for sa in both}
    return [policy for policy in have.policies.values() if _sends_over(policy, ends)]


def _ends(sa: Sa) -> tuple[int, Ip, Ip]:
    """What a policy names of an SA."""
    return sa.reqid, sa.source, sa.destination


def _sends_over(policy: Policy, ends: Collection[tuple[int, Ip | None, Ip | None]]) -> bool:
    template = policy.template
    if policy.key.direction is not Dir.OUT or template is None:
        return False
    return (template.reqid, template.source, template.destination) in ends


def _early(have: Holding, want: Holding) -> Iterator[Step]:
    """What lets packets in, and what blocks: harmless before there are SAs."""
    for key, policy in want.policies.items():
        if have.policies.get(key) != policy and (key.direction is not Dir.OUT or policy.action is Action.BLOCK):
            yield PutPolicy(policy, fresh=key not in have.policies)


def _broken(have: Holding, want: Holding) -> Iterator[Step]:
    """Doubtful copies that are not wanted go before a policy could send over them."""
    for name in sorted(have.doubtful - want.sas.keys(), key=lambda name: name.child):
        yield DropSa(name, have.sas[name])


def _additions(have: Holding, want: Holding) -> Iterator[Step]:
    """Inbound first: the peer may send as soon as it hears from us."""
    for name in sorted(want.sas.keys() - have.sas.keys(), key=lambda name: (name.child, not name.inbound)):
        yield AddSa(name, want.sas[name])


def _away(moves: list[_Move]) -> Iterator[Step]:
    for move in moves:
        if move.by is Means.NONE and move.was != move.sa:
            yield Retune(move.name, move.sa)
        elif move.by is Means.MIGRATE_STATE:
            yield MigrateState(move.name, move.was, move.sa)
        elif move.by is Means.TAKE:
            yield Take(move.name, move.was)
        elif move.by is Means.MIGRATE:
            yield Migrate(move.name, move.was, move.sa)
        if move.to_advance or move.by is Means.MIGRATE:
            # Of an SA that is not there, XFRM_MSG_MIGRATE makes no copy, and is content.
            yield Read(move.name, move.sa)


def _back(moves: list[_Move]) -> Iterator[Step]:
    for move in moves:
        if move.by is Means.TAKE:
            yield Restore(move.name, move.sa)


def _outbound(have: Holding, want: Holding, moves: list[_Move]) -> Iterator[Step]:
    """What sends, once there is something to send over."""
    blocked = {policy.key for policy in _behind(have, moves)}
    for key, policy in want.policies.items():
        if key.direction is not Dir.OUT or policy.action is Action.BLOCK:
            continue
        if have.policies.get(key) != policy or key in blocked:
            yield PutPolicy(policy, fresh=key not in have.policies)


def _limits(moves: list[_Move]) -> Iterator[Step]:
    for move in moves:
        if move.limits_follow:
            yield Retune(move.name, move.sa)


def _removals(have: Holding, want: Holding) -> Iterator[Step]:
    """SAs first: while a policy is there, what it is about does not go in the clear."""
    for name in sorted(have.sas.keys() - want.sas.keys() - have.doubtful, key=lambda name: (name.child, name.inbound)):
        yield DropSa(name, have.sas[name])
    for key in have.policies.keys() - want.policies.keys():
        yield DropPolicy(key)
