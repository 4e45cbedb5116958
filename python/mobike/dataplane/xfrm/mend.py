"""What follows when the kernel refuses: another way, back to where it was, or new keys. Pure.

An IKE SA is brought from what is to what should be in a few tries. After each it is known exactly what is there, since
every step was answered. A Child SA that lost an SA on the way, or whose keys the kernel does not take, is given up: its
policies stay and block, and the engine is told to make another.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from errno import EBUSY, EEXIST, ENOENT, ESRCH
from typing import Final

from mobike.dataplane.xfrm.answers import Refusal
from mobike.dataplane.xfrm.plan import NOTHING, Holding, Means, NoWayError, Wave, plan, plan_fresh
from mobike.dataplane.xfrm.state import BOUNDED, Policy, PolicyKey, Sa, SaName
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

MOST_LOOKS: Final = 4
"""How often it is looked whether little is sent. A busy machine lets much time go by between two looks, now and then;
where much is sent, all of them say so."""

MOST_TRIES: Final = 6 + MOST_LOOKS
"""Each takes a means away, gives up a Child SA, looks once more, or turns back; so there are never more."""


class Ended(Enum):
    """How it came out."""

    DONE = auto()
    BACK = auto()
    """The kernel would not, and holds what it held before."""
    STUCK = auto()
    """It would not go back either: what it holds is known, and the order will be repeated."""


@dataclass(slots=True)
class Strand:
    """One IKE SA on its way from one state to another."""

    have: Holding
    want: Holding
    means: Means
    before: Holding
    """Where to go back to."""
    waves: list[Wave]
    tries: int = 0
    ended: Ended | None = None
    backing: bool = False
    looks: int = 0
    """So often too much was being sent for a move that blocks nothing."""
    lost: dict[int, str] = field(default_factory=dict)
    """By Child SA: why it cannot be carried any longer."""
    why: str = ""
    """Why it turned back."""
    _obeyed: list[Wave] = field(default_factory=list)
    """Waves of which nothing was refused, and which are not in `have` yet."""

    @classmethod
    def begin(cls, have: Holding, want: Holding, means: Means, lost: Mapping[int, str] | None = None) -> "Strand":
        """`lost`: Child SAs that cannot be carried there, and why."""
        strand = cls(have, want, means, have, [], lost=dict(lost or {}))
        _go(strand)
        return strand

    @classmethod
    def begin_fresh(cls, want: Holding, means: Means) -> "Strand":
        """The same, of an IKE SA that nothing is there for yet, and whose policies only protect."""
        return cls(NOTHING, want, means, NOTHING, plan_fresh(want), tries=1)

    def next_wave(self) -> Wave:
        """What to send now; empty: it has ended."""
        return self.waves[0] if self.ended is None and self.waves else ()

    def answered(self, refusals: Mapping[int, Refusal]) -> None:
        """What became of the wave: refusals by place in it."""
        wave = self.waves.pop(0)
        self._obeyed.append(wave)
        if not refusals:
            if not self.waves:
                self.have, self.ended = self.want, Ended.BACK if self.backing else Ended.DONE
            return
        for each in self._obeyed[:-1]:
            self.have = after(self.have, each, {})
        self.have = after(self.have, wave, refusals)
        self._obeyed.clear()
        unmoved = _unmoved(wave, refusals)
        serious = [
            (step, why)
            for place, why in refusals.items()
            if not _done_already(step := wave[place], why)
            and not (isinstance(step, Read | Advance | Retune) and step.name in unmoved)
        ]
        if serious:
            self._mend(serious)
        elif not self.waves:
            self.ended = Ended.BACK if self.backing else Ended.DONE

    def begin_again(self, have: Holding) -> None:
        """Answers were lost: this is what is there."""
        self.have = have
        self._obeyed.clear()
        self.ended = None
        self._count_losses()
        _go(self)

    def stop(self, why: str) -> None:
        """There is no talking to the kernel: whoever waits is told so."""
        for each in self._obeyed:
            self.have = after(self.have, each, {})
        self._obeyed.clear()
        self.why = why
        self.ended = Ended.STUCK
        self.lost |= dict.fromkeys({name.child for name in self.want.sas.keys() - self.have.sas.keys()}, why)

    def _mend(self, refused: Sequence[tuple[Step, Refusal]]) -> None:
        self.looks += any(_is_busy(step, why) for step, why in refused)
        for step, why in refused:
            self._learn(step, why)
        self._count_losses()
        _go(self)

    def _learn(self, step: Step, why: Refusal) -> None:
        match step:
            case AddSa(name, _):
                self.lost[name.child] = f"the kernel does not take its SA: {why}"
            case Calm() if _is_busy(step, why):
                pass  # looked at once more, or blocked meanwhile
            case (
                Bound(name, _) | Calm(name, _) | Restore(name, _) | Take(name, _) | Retune(name, _)
                | Advance(name, _) | Read(name, _)
            ):  # fmt: skip
                self.lost[name.child] = f"its SA could not be carried along: {why}"
            case MigrateState(name, _, _):
                self._without(Means.MIGRATE_STATE, name, why)
            case Migrate(name, _, _):
                self._without(Means.MIGRATE, name, why)
            case PutPolicy(policy, fresh) if fresh and why.error == EEXIST:
                self._turn_back(f"a policy that is not ours is in the way: {policy.key.selector}")
            case PutPolicy():
                self._turn_back(str(why))
            case DropPolicy() | DropSa():
                self.why = str(why)  # it is tried again, and later once more

    def _without(self, means: Means, name: SaName, why: Refusal) -> None:
        self.means &= ~means
        if why.error == ESRCH:
            self.lost[name.child] = f"its SA is gone: {why}"

    def _turn_back(self, why: str) -> None:
        if self.backing:
            self.ended = Ended.STUCK
        self.backing = True
        self.why = self.why or why
        fresh = {name.child for name in self.want.sas.keys() - self.before.sas.keys()}
        self.lost |= dict.fromkeys(fresh, why)
        self.want = self.before

    def _count_losses(self) -> None:
        """An SA that was there before and is not any more cannot come back: its keys are gone."""
        for name in self.before.sas.keys() - self.have.sas.keys():
            if name in self.want.sas:
                self.lost.setdefault(name.child, "the kernel does not have its SA any more")


def _go(strand: Strand) -> None:
    """Plan what is left to do, without what is lost."""
    while strand.ended is None:
        strand.tries += 1
        strand.want = _without_children(strand.want, strand.lost)
        strand.before = _without_children(strand.before, strand.lost)
        try:
            strand.waves = plan(strand.have, strand.want, strand.means, swift=strand.looks < MOST_LOOKS)
        except NoWayError as error:
            strand.lost[error.name.child] = str(error)
            continue
        if strand.tries > MOST_TRIES:
            strand.ended = Ended.STUCK
        elif not strand.waves:
            strand.ended = Ended.BACK if strand.backing else Ended.DONE
        return


def after(have: Holding, wave: Sequence[Step], refusals: Mapping[int, Refusal]) -> Holding:
    """What the kernel holds once it has answered these steps."""
    sas, policies, doubtful = dict(have.sas), dict(have.policies), set(have.doubtful)
    unmoved = _unmoved(wave, refusals)
    for place, step in enumerate(wave):
        refusal = refusals.get(place)
        if isinstance(step, Read | Advance | Retune) and step.name in unmoved:
            continue
        if refusal is None or _done_already(step, refusal):
            _take_effect(step, sas, policies, doubtful)
        elif refusal.error == ESRCH and not isinstance(step, PutPolicy | DropPolicy | AddSa):
            sas.pop(step.name, None)
    return Holding(sas, policies, frozenset(doubtful & sas.keys()))


def _unmoved(wave: Sequence[Step], refusals: Mapping[int, Refusal]) -> set[SaName]:
    """What did not move cannot be read where it would be."""
    refused = (wave[place] for place in refusals)
    return {step.name for step in refused if isinstance(step, Migrate | MigrateState)}


def _done_already(step: Step, refusal: Refusal) -> bool:
    """It is as it should be, without us."""
    absent = isinstance(step, DropSa) and refusal.error == ESRCH
    return absent or (isinstance(step, DropPolicy) and refusal.error == ENOENT)


def _is_busy(step: Step, refusal: Refusal) -> bool:
    """Is too much being sent for a move that blocks nothing?"""
    return isinstance(step, Calm) and refusal.error == EBUSY


def _without_children(holding: Holding, children: Collection[int]) -> Holding:
    if not children:
        return holding
    left = {name: sa for name, sa in holding.sas.items() if name.child not in children}
    return holding._replace(sas=left)


def _take_effect(step: Step, sas: dict[SaName, Sa], policies: dict[PolicyKey, Policy], doubtful: set[SaName]) -> None:
    match step:
        case AddSa(name, sa) | Retune(name, sa):
            sas[name] = sa
        case Restore(name, sa):
            sas[name] = sa
            doubtful.discard(name)
        case MigrateState(name, was, sa):
            sas[name] = sa._replace(volumes=was.volumes)
        case Migrate(name, was, sa):
            sas[name] = sa._replace(volumes=was.volumes)
            if not name.inbound:
                doubtful.add(name)
        case Advance(name, _):
            doubtful.discard(name)
        case Take(name, _) | DropSa(name, _):
            sas.pop(name, None)
        case PutPolicy(policy, _):
            policies[policy.key] = policy
        case DropPolicy(key):
            policies.pop(key, None)
        case Bound(name, sa):
            sas[name] = sa._replace(volumes=BOUNDED)
        case Read() | Calm():
            pass
