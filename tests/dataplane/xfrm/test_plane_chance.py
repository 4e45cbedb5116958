"""Orders, refusals and losses in any order: the plane never leaks, never repeats a number, and tidies up in the end."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from hypothesis import given, note, settings
from hypothesis import strategies as st

from mobike.address import ChildId, Nanos, SaId
from mobike.commands import ChildInstalled, ChildRefused, ChildSpent
from mobike.dataplane.operations import MoveSa, Park, RemoveChild, Sends
from mobike.dataplane.xfrm.plan import Means
from mobike.selector import Traffic

from .test_plane import EVERY, NEW, OLD, SELECTOR, Rig, order

PATHS = (OLD, NEW)


@dataclass(frozen=True)
class Install:
    sa: int
    way: int
    replaces: bool
    same: bool
    """Its peer chose the SPI that others of this kind have, too."""


@dataclass(frozen=True)
class Remove:
    which: int


@dataclass(frozen=True)
class Move:
    sa: int
    way: int
    encap: bool


@dataclass(frozen=True)
class Parked:
    sa: int


@dataclass(frozen=True)
class Wake:
    ms: int


@dataclass(frozen=True)
class Trouble:
    """The step so far from now is refused, its answer lost, or a fault of ours shows itself; or an SA vanishes."""

    kind: str
    steps: int


sas = st.integers(1, 2)
deeds = st.one_of(
    st.builds(Install, sas, st.integers(0, 1), st.booleans(), st.booleans()),
    st.builds(Remove, st.integers(0, 3)),
    st.builds(Move, sas, st.integers(0, 1), st.booleans()),
    st.builds(Parked, sas),
    st.builds(Wake, st.sampled_from([10, 200, 3_000])),
    st.builds(Trouble, st.sampled_from(["refuse", "lose", "fault", "vanish"]), st.integers(0, 6)),
)


class Story:
    """What the core would know of it."""

    def __init__(self, means: Means) -> None:
        self.rig = Rig(means=means)
        self.alive: dict[int, int] = {}
        self.next = 1
        self.now = 0

    def do(self, deed: object) -> None:
        rig = self.rig
        match deed:
            case Install(sa, way, replaces, same):
                old = next((child for child, of in self.alive.items() if of == sa), None)
                sends = Sends.WHEN_USED if replaces and old is not None else Sends.AT_ONCE
                instead = ChildId(old) if sends is Sends.WHEN_USED and old is not None else None
                child, self.next = self.next, self.next + 1
                self.alive[child] = sa
                spi_out = 0x2000 if same else 0x2000 + child
                way_of = {"path": PATHS[way], "sends": sends, "instead_of": instead, "spi_out": spi_out}
                rig.plane.carry([order(child, sa=SaId(sa), **way_of)])
            case Remove(which) if self.alive:
                child = list(self.alive)[which % len(self.alive)]
                rig.plane.carry([RemoveChild(SaId(self.alive.pop(child)), ChildId(child))])
            case Move(sa, way, encap):
                rig.plane.apply([MoveSa(SaId(sa), PATHS[way], encap)])
            case Parked(sa):
                rig.plane.apply([Park(SaId(sa))])
            case Wake(ms):
                self.now += ms * 1_000_000
                rig.plane.wake(Nanos(self.now))
            case Trouble("refuse", steps):
                rig.kernel.refuse[rig.kernel.steps_done + steps] = errno.EINVAL
            case Trouble("lose", steps):
                rig.kernel.lose_answers.add(rig.kernel.steps_done + steps)
            case Trouble("fault", steps):
                rig.kernel.faults.add(rig.kernel.steps_done + steps)
            case Trouble("vanish", steps) if rig.kernel.sas_by_key:
                key = list(rig.kernel.sas_by_key)[steps % len(rig.kernel.sas_by_key)]
                rig.kernel.forget(key.destination, key.spi)
            case _:
                pass
        self.hear()

    def hear(self) -> None:
        """The core ends what the plane gives up, and hears of it once."""
        for word in self.rig.plane.words():
            match word:
                case ChildRefused(child) | ChildSpent(child):
                    assert child in self.alive, "nobody knows that one"
                    self.rig.plane.carry([RemoveChild(SaId(self.alive.pop(child)), child)])
                case ChildInstalled(child):
                    assert child in self.alive
                case _:
                    pass


@given(st.lists(deeds, max_size=14), st.sampled_from([EVERY, Means.MIGRATE | Means.TAKE, Means.TAKE]))
@settings(max_examples=300, deadline=None)
def test_whatever_happens_nothing_leaks_repeats_or_stays(story: list[object], means: Means) -> None:
    note(f"{means}: {story}")
    told = Story(means)
    told.rig.plane.block("net", [Traffic(("10.1.0.0/16",), ("10.2.0.0/16",))])
    told.rig.kernel.watched = (SELECTOR,)
    for deed in story:
        told.do(deed)
        assert told.rig.kernel.went_clear == []
    # The kernel obeys again, and everything ends.
    told.rig.kernel.refuse.clear()
    told.rig.kernel.lose_answers.clear()
    told.rig.kernel.faults.clear()
    for child, sa in list(told.alive.items()):
        told.rig.plane.carry([RemoveChild(SaId(sa), ChildId(child))])
    for seconds in (60, 70):
        told.rig.plane.wake(Nanos(told.now + seconds * 1_000_000_000))
    told.rig.kernel.watched = ()
    told.rig.plane.unblock("net")
    assert told.rig.kernel.now_holding().sas == {}
    assert told.rig.kernel.policies_by_key == {}
