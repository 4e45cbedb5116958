"""What an earlier process left is taken over as it is, or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from mobike.address import ChildId, Nanos
from mobike.commands import ChildInstalled, ChildRefused
from mobike.dataplane.operations import RemoveChild
from mobike.dataplane.xfrm.plane import ORPHANS_AFTER
from mobike.dataplane.xfrm.read import Expired
from mobike.dataplane.xfrm.state import OUR_PRIORITIES, OUR_REQIDS, SPARED_PRIORITY, SaKey
from mobike.selector import Traffic

from .test_plane import HERE, NEW, SA, SELECTOR, Rig, order


def after_a_crash() -> Rig:
    """Another process, on the kernel of one that was killed."""
    before = Rig().established()
    return Rig(kernel=before.kernel)


def test_who_adopts_what_is_as_it_should_be_changes_nothing() -> None:
    rig = after_a_crash()
    before = rig.kernel.steps_done
    assert rig.install(1, keys=None) == [ChildInstalled(ChildId(1))]
    assert rig.kernel.steps_done == before
    rig.kernel.watched = (SELECTOR,)
    assert rig.kernel.send(SELECTOR) == "sent"
    assert rig.plane.remove_orphans() == ()


def test_an_sa_that_expires_before_it_is_adopted_is_not_there() -> None:
    rig = after_a_crash()
    gone = SaKey(HERE.ip, 0x1001)
    del rig.kernel.sas_by_key[gone]
    rig.news.news = [Expired(gone, 0, hard=True)]
    rig.plane.wake(rig.plane._now)
    assert rig.install(1, keys=None) == [ChildRefused(ChildId(1), "the kernel does not have it any more")]
    rig.plane.remove_orphans()
    assert rig.kernel.sas_by_key == rig.kernel.policies_by_key == {}


def test_what_cannot_be_adopted_is_removed_as_what_nobody_wants() -> None:
    rig = after_a_crash()
    rig.plane.carry([order(1, keys=None, suite="rot13")])
    (word,) = rig.plane.words()
    assert isinstance(word, ChildRefused)
    assert len(rig.plane.remove_orphans()) == 2 + 3
    assert rig.kernel.sas_by_key == rig.kernel.policies_by_key == {}


@pytest.mark.parametrize("place", range(12))
def test_a_way_that_changed_and_a_kernel_that_refuses_leave_nothing_behind(place: int) -> None:
    rig = after_a_crash()
    rig.plane.block("net", [Traffic(("10.1.0.0/16",), ("10.2.0.0/16",))])
    rig.kernel.refuse = {rig.kernel.steps_done + place: errno.EINVAL}
    assert rig.install(1, keys=None, path=NEW)
    rig.plane.carry([RemoveChild(SA, ChildId(1))])
    rig.plane.unblock("net")
    rig.plane.wake(Nanos(ORPHANS_AFTER))
    assert rig.kernel.sas_by_key == rig.kernel.policies_by_key == {}


def test_orphans_whose_end_was_not_heard_of_are_removed_once_more_and_then_not_thought_of() -> None:
    rig = after_a_crash()
    rig.kernel.lose_answers = {rig.kernel.steps_done}
    rig.plane.wake(Nanos(ORPHANS_AFTER))
    rig.plane.wake(Nanos(ORPHANS_AFTER + 1))
    assert rig.kernel.sas_by_key == rig.kernel.policies_by_key == {}

    def once_more() -> tuple[str, ...]:
        raise AssertionError("with many SAs that takes long, and each turn would do it")

    rig.plane.remove_orphans = once_more  # type: ignore[method-assign]
    rig.plane.wake(Nanos(ORPHANS_AFTER + 2))


def test_the_page_says_which_numbers_are_ours() -> None:
    page = (Path(__file__).parents[3] / "docs/kernel.md").read_text()
    last = OUR_REQIDS.stop - 1
    assert f"reqid {OUR_REQIDS.start:#X} to {last:#X}".replace("0X", "0x") in page
    first, last = OUR_PRIORITIES.start, OUR_PRIORITIES.stop - 1
    assert f"priority {first:,} to {last:,}" in page
    assert f"; {SPARED_PRIORITY:,} and let pass" in page
