"""Moves that lose nothing: both addresses receive meanwhile, and what sends goes on until its copy is there."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence

import pytest

from mobike.address import ChildId, Generation, Nanos, Path
from mobike.commands import ChildSpent, Move
from mobike.dataplane.operations import Behind, MoveSa, RemoveChild, SealedKeys
from mobike.dataplane.planes import foreseen
from mobike.dataplane.xfrm.ahead import AGAIN, EXPECTED, LATE
from mobike.dataplane.xfrm.answers import Done
from mobike.dataplane.xfrm.mend import MOST_LOOKS
from mobike.dataplane.xfrm.plan import Means
from mobike.dataplane.xfrm.read import Expired
from mobike.dataplane.xfrm.state import Action, SaKey
from mobike.dataplane.xfrm.steps import Advance, Bound, Calm, PutPolicy, Step
from mobike.events import PlaneRefused, Role, SaMoved

from .test_plane import ELSEWHERE, HERE, NEW, OLD, SA, SELECTOR, THERE, Rig

SPI_IN = 0x1001
OLDER = Means.MIGRATE | Means.TAKE
ASIDE = Path(ELSEWHERE, THERE)
"""Another address of ours, the same of the peer."""


def asked(path: Path = ASIDE) -> list[Move]:
    return [Move(SA, path, Generation(1), None)]


def inbound(rig: Rig) -> set[str]:
    """Where packets of the peer find an SA."""
    return {str(key.destination) for key in rig.kernel.sas_by_key if key.spi == SPI_IN}


def arrive(rig: Rig, at: Path, packets: int) -> None:
    rig.kernel.sas_by_key[SaKey(at.local.ip, SPI_IN)].packets_in += packets


def carried(rig: Rig) -> int:
    counted = rig.plane.carried(ChildId(1))
    assert counted is not None
    return counted["packets_in"]


@pytest.mark.parametrize("means", [Means.MIGRATE | Means.TAKE, Means.TAKE], ids=str)
def test_both_addresses_receive_from_before_the_peer_is_asked_until_a_little_after_it_moved(means: Means) -> None:
    rig = Rig(means=means).established()
    arrive(rig, OLD, 5)
    rig.plane.foresee(asked())
    assert inbound(rig) == {str(HERE.ip), str(ELSEWHERE.ip)}
    arrive(rig, OLD, 1)
    arrive(rig, ASIDE, 2)
    rig.plane.apply([MoveSa(SA, ASIDE, encap=True)])
    assert rig.plane.take() == [SaMoved(SA, ASIDE)]
    assert inbound(rig) == {str(HERE.ip), str(ELSEWHERE.ip)}
    assert carried(rig) == 8
    arrive(rig, OLD, 1)
    rig.plane.wake(Nanos(LATE))
    assert inbound(rig) == {str(ELSEWHERE.ip)}
    assert carried(rig) == 9
    assert rig.kernel.send(SELECTOR) == "sent"
    assert rig.kernel.went_clear == []


def test_copies_go_when_nothing_comes_of_the_move() -> None:
    rig = Rig().established()
    rig.plane.foresee(asked())
    assert rig.plane.poll_deadline() is not None
    rig.plane.wake(Nanos(EXPECTED))
    assert inbound(rig) == {str(HERE.ip)}


def test_a_move_to_somewhere_else_leaves_none_behind_for_long() -> None:
    rig = Rig().established()
    rig.plane.foresee(asked(Path(THERE, THERE)))
    rig.plane.apply([MoveSa(SA, NEW, encap=True)])
    assert inbound(rig) == {str(NEW.local.ip), str(THERE.ip)}, "the peer may have heard of it, and its answer was lost"
    rig.plane.wake(Nanos(EXPECTED))
    assert inbound(rig) == {str(NEW.local.ip)}


def test_back_again_at_once_and_once_more() -> None:
    rig = Rig(means=Means.MIGRATE | Means.TAKE).established()
    for path in (ASIDE, OLD, ASIDE, OLD):
        rig.plane.foresee(asked(path))
        rig.plane.apply([MoveSa(SA, path, encap=True)])
        assert rig.plane.take() == [SaMoved(SA, path)]
    rig.plane.wake(Nanos(LATE))
    assert inbound(rig) == {str(HERE.ip)}
    # The old way breaks while its SA still waits where traffic is to go.
    rig.plane.foresee(asked(ASIDE))
    rig.plane.apply([MoveSa(SA, ASIDE, encap=True)])
    rig.plane.apply([MoveSa(SA, OLD, encap=True)])
    assert rig.plane.take() == [SaMoved(SA, ASIDE), SaMoved(SA, OLD)]
    rig.plane.wake(Nanos(2 * LATE))
    assert inbound(rig) == {str(HERE.ip)}


def test_who_goes_ahead_of_the_answer_receives_wherever_the_peer_may_send() -> None:
    """A gateway begins again, and its kernel sends to where the client was, whichever way that tries meanwhile."""
    rig = Rig(means=OLDER).established()
    last = Path(THERE, THERE)
    sent = 0
    for path in (ASIDE, OLD, last, ASIDE, OLD, ASIDE):
        rig.plane.apply([MoveSa(SA, path, encap=True, behind=Behind.MORE)])
        assert rig.plane.take() == [SaMoved(SA, path)]
        assert {str(HERE.ip), str(path.local.ip)} <= inbound(rig)
        arrive(rig, OLD, 3)
        arrive(rig, path, 1)
        sent += 4
        assert carried(rig) == sent
    rig.plane.wake(Nanos(EXPECTED - 1))
    assert inbound(rig) == {str(HERE.ip), str(THERE.ip), str(ELSEWHERE.ip)}
    rig.plane.wake(Nanos(EXPECTED))
    assert inbound(rig) == {str(ELSEWHERE.ip)}
    assert carried(rig) == sent
    assert rig.kernel.went_clear == []


@pytest.mark.parametrize("ahead", [False, True])
def test_new_keys_meanwhile_are_received_wherever_the_peer_may_send(ahead: bool) -> None:
    """A gateway that has begun again makes new keys at once, and hears of the move later."""
    rig = Rig(means=OLDER).established()
    if ahead:
        rig.plane.apply([MoveSa(SA, ASIDE, encap=True, behind=Behind.MORE)])
    else:
        rig.plane.foresee(asked(ASIDE))
    rig.install(2, path=ASIDE if ahead else OLD, instead_of=ChildId(1))
    rig.plane.carry([RemoveChild(SA, ChildId(1))])
    new = {str(key.destination) for key in rig.kernel.sas_by_key if key.spi == 0x1002}
    assert new == {str(HERE.ip), str(ELSEWHERE.ip)}
    rig.plane.wake(Nanos(EXPECTED))
    assert {str(key.destination) for key in rig.kernel.sas_by_key if key.spi in (SPI_IN, 0x1002)} == {
        str((ASIDE if ahead else OLD).local.ip)
    }


def test_what_is_gone_for_certain_needs_no_copy() -> None:
    rig = Rig(means=OLDER).established()
    rig.plane.apply([MoveSa(SA, ASIDE, encap=True)])
    assert inbound(rig) == {str(ELSEWHERE.ip)}


def test_encapsulation_that_turns_out_otherwise_is_put_right() -> None:
    rig = Rig(means=Means.MIGRATE | Means.TAKE).established()
    rig.plane.foresee(asked())
    rig.plane.apply([MoveSa(SA, ASIDE, encap=False)])
    assert rig.plane.take() == [SaMoved(SA, ASIDE)]
    assert rig.kernel.sas_by_key[SaKey(ELSEWHERE.ip, SPI_IN)].sa.encap is None


@pytest.mark.parametrize("place", range(4))
def test_a_copy_that_the_kernel_does_not_take_is_done_without(place: int) -> None:
    rig = Rig(means=Means.MIGRATE | Means.TAKE).established()
    rig.kernel.refuse = {rig.kernel.steps_done + place: errno.ENOMEM}
    rig.plane.foresee(asked())
    rig.plane.apply([MoveSa(SA, ASIDE, encap=True)])
    (answer,) = rig.plane.take()
    assert isinstance(answer, SaMoved | PlaneRefused)
    rig.plane.wake(Nanos(10 * LATE))
    assert rig.kernel.went_clear == []


@pytest.mark.parametrize("arrived", [False, True])
def test_with_its_child_sa_a_copy_goes(arrived: bool) -> None:
    rig = Rig().established()
    rig.plane.foresee(asked())
    if arrived:
        rig.plane.apply([MoveSa(SA, ASIDE, encap=True)])
    rig.plane.carry([RemoveChild(SA, ChildId(1))])
    assert rig.kernel.now_holding().sas == {}


def test_who_is_told_where_to_go_receives_at_its_old_address_until_the_peer_knows() -> None:
    rig = Rig(means=Means.MIGRATE | Means.TAKE)
    rig.install(role=Role.RESPONDER)
    rig.plane.apply([MoveSa(SA, ASIDE, encap=True, behind=Behind.LATE)])
    assert rig.plane.take() == [SaMoved(SA, ASIDE)]
    assert inbound(rig) == {str(HERE.ip), str(ELSEWHERE.ip)}
    rig.plane.wake(Nanos(LATE))
    assert inbound(rig) == {str(ELSEWHERE.ip)}


def test_asking_once_more_keeps_the_copies() -> None:
    rig = Rig().established()
    rig.plane.foresee(asked())
    rig.plane.wake(Nanos(EXPECTED - 1))
    rig.plane.foresee(asked())
    rig.plane.wake(Nanos(EXPECTED))
    assert inbound(rig) == {str(HERE.ip), str(ELSEWHERE.ip)}


def test_an_ike_sa_without_child_sas_has_none() -> None:
    rig = Rig()
    rig.plane.foresee(asked())
    assert rig.plane.poll_deadline() is None


def test_nothing_is_copied_without_a_reason() -> None:
    rig = Rig().established()
    rig.plane.foresee(asked(Path(HERE, NEW.remote)))
    assert inbound(rig) == {str(HERE.ip)}, "the address is the one that it has"
    blind = Rig(means=Means.MIGRATE).established()
    blind.plane.foresee(asked())
    assert inbound(blind) == {str(HERE.ip)}, "this kernel hides its keys"
    assert foreseen(asked(), [MoveSa(SA, ASIDE, encap=True)]) == [], "traffic follows at once: what it leaves is dead"
    assert foreseen(asked(), []) == asked()


# --- what sends -------------------------------------------------------------------------------------------------------


def kinds_of_a_move(rig: Rig) -> list[type[Step]]:
    """The steps that it takes, in order, and none blocks in vain."""
    done: list[Step] = []
    run = rig.kernel.run

    def noting(steps: Sequence[Step], keys: Mapping[int, SealedKeys]) -> Done:
        done.extend(steps)
        return run(steps, keys)

    rig.kernel.run = noting  # type: ignore[method-assign]
    rig.plane.apply([MoveSa(SA, NEW, encap=True)])
    assert rig.plane.take() == [SaMoved(SA, NEW)]
    assert rig.kernel.went_clear == []
    return [type(step) for step in done if not (isinstance(step, PutPolicy) and step.policy.action is Action.PROTECT)]


def busy_for(rig: Rig, looks: int) -> dict[int, int]:
    """Each time it is read, and looked at again."""
    return {rig.kernel.steps_done + 2 * look + 1: errno.EBUSY for look in range(looks)}


def blocks(kinds: list[type[Step]]) -> bool:
    return PutPolicy in kinds


def test_what_sends_little_goes_on_sending_until_its_copy_is_there() -> None:
    kinds = kinds_of_a_move(Rig(means=OLDER).established())
    assert not blocks(kinds)
    order = [kind for kind in kinds if kind in (Calm, Bound, Advance)]
    assert order == [Calm, Bound, Advance]


def test_what_sends_much_is_blocked_while_it_moves() -> None:
    rig = Rig(means=OLDER).established()
    rig.kernel.refuse = busy_for(rig, MOST_LOOKS)
    kinds = kinds_of_a_move(rig)
    assert blocks(kinds)
    assert Bound not in kinds
    assert rig.kernel.send(SELECTOR) == "sent"


def test_what_sent_much_between_two_looks_is_looked_at_again() -> None:
    rig = Rig(means=OLDER).established()
    rig.kernel.refuse = busy_for(rig, MOST_LOOKS - 1)
    kinds = kinds_of_a_move(rig)
    assert not blocks(kinds)
    assert kinds.count(Calm) == MOST_LOOKS
    assert rig.kernel.send(SELECTOR) == "sent"


def test_an_sa_that_reached_its_bound_and_went_is_replaced() -> None:
    rig = Rig(means=OLDER).established()
    rig.kernel.refuse = {rig.kernel.steps_done + place: errno.ESRCH for place in (1, 2)}
    rig.plane.apply([MoveSa(SA, NEW, encap=True)])
    assert ChildSpent(ChildId(1)) in rig.plane.words()
    assert rig.kernel.went_clear == []


def test_an_sa_that_expires_while_there_is_a_copy_of_its_address_and_spi_is_not_the_copy() -> None:
    """Another address of ours, the same of the peer. What sends is found by the peer's."""
    rig = Rig(means=OLDER).established()
    rig.plane.apply([MoveSa(SA, ASIDE, encap=True)])
    there = set(rig.kernel.sas_by_key)
    rig.news.news = [Expired(SaKey(THERE.ip, 0x2001), 0, hard=True)]
    rig.plane.wake(Nanos(1))
    assert not any(isinstance(word, ChildSpent) for word in rig.plane.words())
    assert set(rig.kernel.sas_by_key) == there
    assert rig.kernel.send(SELECTOR) == "sent"
    rig.plane.carry([RemoveChild(SA, ChildId(1))])
    assert rig.kernel.sas_by_key == {}


@pytest.mark.parametrize("trouble", ["refused", "lost"])
def test_a_copy_that_would_not_go_is_removed_a_little_later(trouble: str) -> None:
    rig = Rig(means=OLDER).established()
    rig.plane.foresee(asked())
    rig.plane.wake(Nanos(EXPECTED - 1))
    step = rig.kernel.steps_done + 1
    rig.kernel.refuse, rig.kernel.lose_answers = ({step: errno.EINVAL}, set()) if trouble == "refused" else ({}, {step})
    rig.plane.wake(Nanos(EXPECTED))
    assert inbound(rig) == {str(HERE.ip), str(ELSEWHERE.ip)}
    deadline = rig.plane.poll_deadline()
    assert deadline is not None and deadline <= EXPECTED + AGAIN
    for tenth in range(1, 11):
        rig.plane.wake(Nanos(EXPECTED + tenth * AGAIN // 10))
    assert inbound(rig) == {str(HERE.ip)}


def test_a_copy_that_would_not_go_is_not_removed_once_traffic_is_there_again() -> None:
    rig = Rig(means=OLDER).established()
    rig.plane.foresee(asked())
    rig.plane.wake(Nanos(EXPECTED - 1))
    rig.kernel.lose_answers = {rig.kernel.steps_done + 1}
    rig.plane.wake(Nanos(EXPECTED))
    rig.kernel.forget(ELSEWHERE.ip, SPI_IN)  # it went, and nobody heard
    rig.plane.apply([MoveSa(SA, ASIDE, encap=True)])
    rig.plane.wake(Nanos(EXPECTED + AGAIN))
    assert inbound(rig) == {str(ELSEWHERE.ip)}
