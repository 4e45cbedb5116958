"""Moves, new keys, limits that are reached and crashes, one over the other: when all is quiet the kernel has exactly
what should be there, and nothing of what was on its way.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from hypothesis import given, note, settings
from hypothesis import strategies as st

from mobike.address import ChildId, Generation, Nanos, Path
from mobike.commands import ChildRefused, ChildSpent
from mobike.commands import Move as Asked
from mobike.dataplane.operations import Behind, MoveSa, RemoveChild, Sends
from mobike.dataplane.xfrm.ahead import EXPECTED
from mobike.dataplane.xfrm.plan import Means
from mobike.dataplane.xfrm.plane import ORPHANS_AFTER
from mobike.dataplane.xfrm.read import Expired
from mobike.dataplane.xfrm.state import SaKey
from mobike.events import Role, SaMoved
from mobike.selector import Traffic

from .model import Killed, ModelKernel
from .test_plane import ELSEWHERE, NEW, OLD, SA, SELECTOR, THERE, Rig, order

PATHS = (OLD, Path(ELSEWHERE, THERE), NEW)
"""Of the first two the peer's address is the same: so SAs that send have the same key on both."""
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Rekey:
    """New keys, the old ones go; one that answered a rekey sends only then."""

    answers: bool
    at_once: bool
    """The old ones go right away."""


@dataclass(frozen=True)
class End:
    """The oldest pair goes, if there is another."""


@dataclass(frozen=True)
class Foresee:
    way: int


@dataclass(frozen=True)
class Move:
    way: int
    behind: Behind


@dataclass(frozen=True)
class Wake:
    ms: int


@dataclass(frozen=True)
class Spend:
    """An SA reaches its limit."""

    which: int


@dataclass(frozen=True)
class Bound:
    """SAs that move may send so few packets meanwhile."""

    packets: int


@dataclass(frozen=True)
class Kill:
    """After so many more talks to the kernel; what begins again thinks that it is on this way."""

    runs: int
    way: int


@dataclass(frozen=True)
class Trouble:
    kind: str
    steps: int


ways = st.integers(0, len(PATHS) - 1)
deeds = st.one_of(
    st.builds(Rekey, st.booleans(), st.booleans()),
    st.builds(End),
    st.builds(Foresee, ways),
    st.builds(Move, ways, st.sampled_from(Behind)),
    st.builds(Wake, st.sampled_from([10, 200, 3_000, 31_000])),
    st.builds(Spend, st.integers(0, 5)),
    st.builds(Bound, st.integers(0, 12)),
    st.builds(Kill, st.integers(0, 6), ways),
    st.builds(Trouble, st.sampled_from(["refuse", "lose", "vanish"]), st.integers(0, 9)),
)


class Story:
    """One IKE SA, and what the core knows of it."""

    def __init__(self, means: Means, role: Role) -> None:
        self.means = means
        self.role = role
        self.kernel = ModelKernel()
        self.alive: dict[int, int | None] = {}
        """Child SAs, with whom each takes the place of."""
        self.now = 0
        self.path = OLD
        self.next = 1
        self.ends_with: int | None = None
        self.start()
        self.kernel.watched = (SELECTOR,)
        self.install()

    def start(self) -> None:
        self.kernel.expired.clear()
        self.rig = Rig(means=self.means, kernel=self.kernel, now=self.now)
        self.rig.plane.block("net", [Traffic(("10.1.0.0/16",), ("10.2.0.0/16",))])

    def install(self, instead: int | None = None, *, answers: bool = False) -> None:
        child, self.next = self.next, self.next + 1
        sends = Sends.WHEN_USED if answers and instead is not None else Sends.AT_ONCE
        if not self.alive:
            self.path = OLD
        new = order(
            child, role=self.role, sends=sends, path=self.path,
            instead_of=None if instead is None else ChildId(instead),
        )  # fmt: skip
        self.alive[child] = instead if sends is Sends.WHEN_USED else None
        self.rig.plane.carry([new])

    def remove(self, child: int) -> None:
        del self.alive[child]
        self.rig.plane.carry([RemoveChild(SA, ChildId(child))])

    def do(self, deed: object) -> None:
        if isinstance(deed, Kill):
            self.kernel.runs_until_killed, self.ends_with = deed.runs, deed.way
            return
        try:
            self.deed(deed)
            self.hear()
        except Killed:
            self.begin_again()

    def begin_again(self) -> None:
        """Another process adopts what there should be, on the way that was written down last."""
        assert self.ends_with is not None
        self.start()
        self.path = PATHS[self.ends_with]
        for child in list(self.alive):
            self.alive[child] = None
            self.rig.plane.carry([order(child, role=self.role, path=self.path, keys=None)])
            self.hear()

    def deed(self, deed: object) -> None:
        rig = self.rig
        match deed:
            case Rekey(answers, at_once) if self.alive:
                old = list(self.alive)[-1]
                self.install(old, answers=answers)
                if at_once and old in self.alive:
                    self.remove(old)
            case Rekey():
                self.install()
            case End() if len(self.alive) > 1:
                self.remove(next(iter(self.alive)))
            case Foresee(way):
                rig.plane.foresee([Asked(SA, PATHS[way], Generation(1), None)])
            case Move(way, behind):
                rig.plane.apply([MoveSa(SA, PATHS[way], encap=True, behind=behind)])
            case Wake(ms):
                self.wake(ms * 1_000_000)
            case Spend(which) if self.kernel.sas_by_key:
                held = list(self.kernel.sas_by_key.values())
                self.kernel.spend(held[which % len(held)])
            case Bound(packets):
                self.kernel.bound = packets
            case Trouble("refuse", steps):
                self.kernel.refuse[self.kernel.steps_done + steps] = errno.EINVAL
            case Trouble("lose", steps):
                self.kernel.lose_answers.add(self.kernel.steps_done + steps)
            case Trouble("vanish", steps) if self.kernel.sas_by_key:
                key = list(self.kernel.sas_by_key)[steps % len(self.kernel.sas_by_key)]
                self.kernel.forget(key.destination, key.spi)

    def wake(self, later: int) -> None:
        self.now += later
        self.rig.news.news = [Expired(key, 0, hard=True) for key in self.kernel.expired]
        self.kernel.expired.clear()
        self.rig.plane.wake(Nanos(self.now))

    def hear(self) -> None:
        """The core ends what the plane gives up."""
        for event in self.rig.plane.take():
            if isinstance(event, SaMoved) and self.alive:
                self.path = event.path
        for word in self.rig.plane.words():
            if isinstance(word, ChildRefused | ChildSpent) and word.child in self.alive:
                self.remove(word.child)

    def calm_down(self) -> None:
        """The kernel obeys again, nobody orders anything, and time goes by."""
        self.kernel.refuse.clear()
        self.kernel.lose_answers.clear()
        self.kernel.runs_until_killed = None
        for later in (SECOND, SECOND, SECOND, EXPECTED, ORPHANS_AFTER, SECOND, SECOND):
            self.wake(later)
            self.hear()

    def should_be(self) -> set[SaKey]:
        found = {SaKey(self.path.local.ip, 0x1000 + child) for child in self.alive}
        sending = [child for child, instead in self.alive.items() if instead not in self.alive]
        return found | {SaKey(self.path.remote.ip, 0x2000 + child) for child in sending}


@given(
    st.lists(deeds, max_size=14),
    st.sampled_from([Means.MIGRATE | Means.TAKE, Means.MIGRATE_STATE | Means.MIGRATE | Means.TAKE, Means.TAKE]),
    st.sampled_from(list(Role)),
)
@settings(max_examples=400, deadline=None)
def test_when_all_is_quiet_the_kernel_has_what_should_be_and_nothing_else(
    story: list[object], means: Means, role: Role
) -> None:
    note(f"{means}, {role}: {story}")
    told = Story(means, role)
    for deed in story:
        told.do(deed)
        assert told.kernel.went_clear == []
    told.calm_down()
    assert told.kernel.went_clear == []
    assert set(told.kernel.sas_by_key) == told.should_be()
