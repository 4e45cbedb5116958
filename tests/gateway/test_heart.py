"""One turn with a data plane outside of the core: its word is with the core before the fleet begins to think."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from mobike.address import ChildId, Endpoint, Nanos, Path, SaId
from mobike.auth import Doorkeeper
from mobike.commands import ChildInstalled, ChildRemoved, ChildSpent, Command, PlaneWord
from mobike.dataplane.operations import ChildOrder, InstallChild, Operation, RemoveChild, Sends, Volumes
from mobike.dataplane.planes import InCore
from mobike.events import ChildDown, ChildUp, Event, PlaneEvent, Question, Role
from mobike.fleet import Decided, Fleet
from mobike.gateway.heart import Heart
from mobike.link.manual import ManualLinks

NOW = Nanos(5)
SA, OLD, NEW = SaId(1), ChildId(1), ChildId(2)
PATH = Path(Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(ip_address("192.0.2.2"), 4500))


@dataclass
class Steps:
    """What was done, in order."""

    done: list[object] = field(default_factory=list)
    told: list[Event | Question | ChildOrder] = field(default_factory=list)

    def submit(self, orders: Sequence[Command | Operation], /) -> None:
        self.done += orders

    def take_events(self, limit: int, /) -> Sequence[Event | Question | ChildOrder]:
        told, self.told = self.told, []
        return told


class Plane(InCore):
    """Carries whatever it is told; has one thing to say by itself."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._words: list[PlaneWord] = []

    def wake(self, now: Nanos) -> None:
        self._steps.done.append(now)
        self._words.append(ChildSpent(ChildId(9)))

    def carry(self, orders: Sequence[ChildOrder]) -> None:
        self._steps.done += orders
        self._words += [ChildInstalled(each.child) for each in orders if isinstance(each, InstallChild)]

    def words(self) -> list[PlaneWord]:
        words, self._words = self._words, []
        return words

    def apply(self, operations: Sequence[Operation]) -> None:
        self._steps.done += operations

    def take(self) -> list[PlaneEvent]:
        return []

    def carried(self, child: ChildId) -> dict[str, int] | None:
        return {"packets_in": 3} if child == OLD else None


class Thinker(Fleet):
    """Thinks of nothing, and that is a step, too."""

    def __init__(self, steps: Steps) -> None:
        super().__init__(())
        self._steps = steps

    def handle(self, events: Sequence[Event], now: Nanos) -> Decided:
        self._steps.done += [*events, "the fleet has thought"]
        return Decided([], [], [], [])


class Faulty(Plane):
    """Fails at whatever is named."""

    def __init__(self, steps: Steps, *where: str) -> None:
        super().__init__(steps)
        self._where = where

    def wake(self, now: Nanos) -> None:
        self._fail("wake")
        super().wake(now)

    def carry(self, orders: Sequence[ChildOrder]) -> None:
        self._fail("carry")
        super().carry(orders)

    def apply(self, operations: Sequence[Operation]) -> None:
        self._fail("apply")
        super().apply(operations)

    def _fail(self, where: str) -> None:
        if where in self._where:
            raise ArithmeticError(where)


def heart_of(steps: Steps, plane: Plane) -> Heart:
    return Heart(
        steps,
        ManualLinks(()),
        plane,
        Thinker(steps),
        lambda events, decided: steps.done.append("seen"),
        door=Doorkeeper({}),
        time_of_day=lambda: datetime.now(UTC),
    )


def test_a_part_of_a_turn_that_fails_takes_no_other_with_it() -> None:
    steps = Steps()
    down = ChildDown(SA, OLD, "replaced")
    steps.told = [RemoveChild(SA, NEW), down]
    with pytest.raises(ArithmeticError, match="carry"):
        heart_of(steps, Faulty(steps, "carry")).turn(NOW)
    assert steps.done == [NOW, down, "the fleet has thought", ChildSpent(ChildId(9)), "seen"]


def test_of_all_parts_that_failed_a_turn_tells() -> None:
    steps = Steps()
    steps.told = [down := ChildDown(SA, OLD, "replaced")]
    with pytest.raises(ExceptionGroup) as told:
        heart_of(steps, Faulty(steps, "wake", "apply")).turn(NOW)
    assert "wake" in repr(told.value.exceptions) and "apply" in repr(told.value.exceptions)
    assert steps.done == [down, "the fleet has thought", "seen"]


def test_orders_go_to_the_plane_and_its_words_to_the_core_before_the_fleet_thinks() -> None:
    steps = Steps()
    install = InstallChild(
        SA, NEW, "net", Role.RESPONDER, 0x100, 0x200, "aes128gcm16", ("10.0.0.0/8",), ("10.1.0.1/32",), PATH, True,
        Sends.AT_ONCE, None, Volumes(), None,
    )  # fmt: skip
    up = ChildUp(SA, OLD, "net", 1, 2, "aes128gcm16", (), (), True)
    remove, down = RemoveChild(SA, OLD), ChildDown(SA, OLD, "replaced")
    steps.told = [up, install, remove, down]
    heart_of(steps, Plane(steps)).turn(NOW)
    words = [ChildSpent(ChildId(9)), ChildInstalled(NEW), ChildRemoved(OLD)]
    told = [up, ChildDown(SA, OLD, "replaced", packets_in=3)]
    assert steps.done == [NOW, install, remove, *words, *told, "the fleet has thought", "seen"]
