"""A kernel made of dictionaries: what steps do, and what packets do in between, as unkindly as a real one may be.

It sends a packet of every selector whenever it can, also between the two messages of a `Take` and while a `Migrate`
copies, and raises AssertionError when a sequence number is used twice under one key.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mobike.address import Ip
from mobike.dataplane.operations import SealedKeys
from mobike.dataplane.xfrm.answers import AnswersLostError, Done, Refusal
from mobike.dataplane.xfrm.fresh import step_by_step
from mobike.dataplane.xfrm.plan import Holding
from mobike.dataplane.xfrm.selectors import Selector
from mobike.dataplane.xfrm.state import (
    BOUNDED,
    MOST_CALM_PACKETS,
    SEQUENCE_JUMP,
    Action,
    Counters,
    Policy,
    PolicyKey,
    PolicySeen,
    Sa,
    SaKey,
    SaName,
    SaSeen,
)
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

IN_FLIGHT = 3
"""Packets that have passed their policy when it changes, and are numbered after that."""


@dataclass
class Held:
    """One SA in it; `key` names its keys, of which no number may be used twice."""

    sa: Sa
    key: SaName
    sent: int = 0
    since: int = 0
    packets_in: int = 0
    room: int | None = None
    """Packets that it may still send; None: any number."""


class Killed(BaseException):
    """The process is, just before it says something more to the kernel."""


@dataclass
class ModelKernel:
    """Refuses the steps numbered in `refuse`, counted over its life."""

    refuse: dict[int, int] = field(default_factory=dict)
    sas_by_key: dict[SaKey, Held] = field(default_factory=dict)
    policies_by_key: dict[PolicyKey, Policy] = field(default_factory=dict)
    used: set[tuple[SaName, int]] = field(default_factory=set)
    taken: dict[SaName, int] = field(default_factory=dict)
    counted: dict[SaName, int] = field(default_factory=dict)
    """Packets that came in, of those that were read."""
    went_clear: list[Selector] = field(default_factory=list)
    watched: tuple[Selector, ...] = ()
    """Selectors that packets are sent for after each step."""
    steps_done: int = 0
    faults: set[int] = field(default_factory=set)
    """Steps at which a fault of ours shows itself."""
    lose_answers: set[int] = field(default_factory=set)
    """Steps before which the answers are lost, of these and of what follows in the same send."""
    bound: int = 256
    """What `Bound` leaves an SA."""
    expired: list[SaKey] = field(default_factory=list)
    """SAs that sent all they may, and are gone: news of the kernel."""
    runs_until_killed: int | None = None

    @classmethod
    def holding(cls, holding: Holding) -> ModelKernel:
        kernel = cls(policies_by_key=dict(holding.policies))
        for name, sa in holding.sas.items():
            kernel._insert(sa, name, sent=5)
            kernel.used |= {(name, number) for number in range(1, 6)} if not name.inbound else set()
        return kernel

    def run(self, steps: Sequence[Step], keys: Mapping[int, SealedKeys]) -> Done:
        if self.runs_until_killed is not None:
            self.runs_until_killed -= 1
            if self.runs_until_killed < 0:
                self.runs_until_killed = None
                raise Killed
        done = Done()
        for place, step in enumerate(steps):
            if self.steps_done in self.lose_answers:
                self.lose_answers.discard(self.steps_done)
                raise AnswersLostError("as the test wants it")
            if self.steps_done in self.faults:
                self.faults.discard(self.steps_done)
                raise ArithmeticError("as the test wants it")
            error = self._refused(step, steps[:place]) or self._do(step, keys, done)
            self.steps_done += 1
            if error:
                done.refusals[place] = Refusal(error, "as the test wants it" if error else "")
            self._packets()
        return done

    def _refused(self, step: Step, before: Sequence[Step]) -> int:
        """XFRM_MSG_NEWAE takes no memory: what was copied just now can be advanced."""
        copied = {each.name for each in before if isinstance(each, Migrate)}
        sure = isinstance(step, Advance) and step.name in copied
        return 0 if sure else self.refuse.get(self.steps_done, 0)

    def run_fresh(self, wanted: Sequence[Holding], keys: Mapping[int, SealedKeys], /) -> tuple[int, Done]:
        return step_by_step(self.run, wanted, keys)

    def look(self, wanted: Sequence[tuple[SaName, Sa]]) -> dict[SaName, SaSeen]:
        there = {seen.sa.key: seen for seen in self.sas()}
        return {name: there[sa.key] for name, sa in wanted if sa.key in there}

    def sas(self) -> list[SaSeen]:
        return [
            SaSeen(held.sa, Counters(held.sent), held.packets_in if held.sa.inbound else held.sent, 0, 0)
            for held in self.sas_by_key.values()
        ]

    def policies(self) -> list[PolicySeen]:
        return [PolicySeen(policy, 0) for policy in self.policies_by_key.values()]

    def now_holding(self) -> Holding:
        sas = {held.key: held.sa for held in self.sas_by_key.values()}
        return Holding(sas, dict(self.policies_by_key))

    def send(self, selector: Selector) -> str:
        """What becomes of a packet: `clear`, `blocked`, or `sent`."""
        policy = self.policies_by_key.get(PolicyKey(Dir.OUT, selector))
        if policy is None or policy.action is Action.PASS:
            return "clear"
        if policy.action is Action.BLOCK or policy.template is None:
            return "blocked"
        fit = [
            held
            for held in self.sas_by_key.values()
            if not held.key.inbound
            and held.sa.reqid == policy.template.reqid
            and held.sa.source == policy.template.source
            and held.sa.destination == policy.template.destination
        ]
        if not fit:
            return "blocked"
        return "sent" if self._number(max(fit, key=lambda held: held.since)) else "blocked"

    def forget(self, destination: Ip, spi: int) -> None:
        """Somebody else removes an SA."""
        del self.sas_by_key[SaKey(destination, spi)]

    def _packets(self) -> None:
        for selector in self.watched:
            if self.send(selector) == "clear":
                self.went_clear.append(selector)

    def _number(self, held: Held) -> bool:
        """One that has sent all it may is gone instead."""
        if held.room == 0:
            self.spend(held)
            return False
        if held.room is not None:
            held.room -= 1
        held.sent += 1
        assert (held.key, held.sent) not in self.used, f"{held.key} sends number {held.sent} twice"
        self.used.add((held.key, held.sent))
        return True

    def spend(self, held: Held) -> None:
        """It reached its limit, while there may be another one of its address and SPI already."""
        if self.sas_by_key.get(held.sa.key) is held:
            del self.sas_by_key[held.sa.key]
            self.expired.append(held.sa.key)

    def _insert(self, sa: Sa, name: SaName, sent: int, packets_in: int = 0) -> int:
        if sa.key in self.sas_by_key:
            return errno.EEXIST
        self.sas_by_key[sa.key] = Held(
            sa, name, sent, 1 + max((h.since for h in self.sas_by_key.values()), default=0), packets_in
        )
        return 0

    def _do(self, step: Step, keys: Mapping[int, SealedKeys], done: Done) -> int:
        match step:
            case AddSa(name, sa):
                keys[name.child].lengths()  # whoever adds an SA has its keys
                return self._insert(sa, name, 0)
            case PutPolicy(policy, fresh):
                if fresh and policy.key in self.policies_by_key:
                    return errno.EEXIST
                self.policies_by_key[policy.key] = policy
                return 0
            case DropPolicy(key):
                return 0 if self.policies_by_key.pop(key, None) else errno.ENOENT
            case Restore(name, sa):
                if name not in self.taken:
                    return errno.ENOKEY
                sent = self.taken.pop(name) + (0 if name.inbound else SEQUENCE_JUMP)
                return self._insert(sa, name, sent, self.counted.pop(name, 0))
            case Advance(name, sa):
                if (held := self.sas_by_key.get(sa.key)) is None or name not in self.taken:
                    return errno.ESRCH
                held.sent = self.taken.pop(name) + SEQUENCE_JUMP
                return 0
            case Calm(name, sa):
                return self._calm(name, sa)
            case Bound(_, sa):
                return self._bound(sa)
            case MigrateState(name, was, sa) | Migrate(name, was, sa):
                return self._migrate(was, sa, exact=isinstance(step, MigrateState))
            case Retune(name, sa) | Take(name, sa) | Read(name, sa) | DropSa(name, sa):
                return self._with_one(step, name, sa, done)

    def _calm(self, name: SaName, sa: Sa) -> int:
        if (held := self.sas_by_key.get(sa.key)) is None:
            return errno.ESRCH
        before, self.taken[name] = self.taken[name], held.sent
        return errno.EBUSY if held.sent - before > MOST_CALM_PACKETS else 0

    def _bound(self, sa: Sa) -> int:
        if (held := self.sas_by_key.get(sa.key)) is None:
            return errno.ESRCH
        held.sa, held.room = sa._replace(volumes=BOUNDED), self.bound
        return 0

    def _with_one(self, step: Step, name: SaName, sa: Sa, done: Done) -> int:
        held = self.sas_by_key.get(sa.key)
        if held is None:
            return errno.ESRCH
        if isinstance(step, Retune):
            if (held.sa.encap is None) != (sa.encap is None):
                return errno.EINVAL
            held.sa, held.room = sa, None
        if isinstance(step, Take | Read):
            self.taken[name] = held.sent
            self.counted[name] = held.packets_in
            done.seen[name] = SaSeen(held.sa, Counters(held.sent), held.packets_in, 0, 0)
        if isinstance(step, Take):
            self._late(held)
            self._packets()
        if isinstance(step, Take | DropSa):
            del self.sas_by_key[sa.key]
        return 0

    def _migrate(self, was: Sa, sa: Sa, *, exact: bool) -> int:
        held = self.sas_by_key.get(was.key)
        if held is None:
            return errno.ESRCH if exact else 0
        if not exact and was.encap is not None and sa.encap is None:
            return errno.EINVAL
        if sa.key != was.key and sa.key in self.sas_by_key:
            return errno.EEXIST if exact else errno.ENODATA
        copied = held.sent
        if not exact:
            self._late(held)
            self._packets()
        self.sas_by_key.pop(was.key, None)
        self._insert(sa._replace(volumes=was.volumes), held.key, copied, held.packets_in)
        self.sas_by_key[sa.key].room = None if exact else held.room
        return 0

    def _late(self, held: Held) -> None:
        for _ in range(0 if held.key.inbound else IN_FLIGHT):
            self._number(held)
