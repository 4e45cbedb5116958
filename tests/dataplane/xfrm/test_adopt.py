"""What an earlier process left is taken over as it is, or not at all."""

from __future__ import annotations

from mobike.address import ChildId
from mobike.commands import ChildInstalled, ChildRefused
from mobike.dataplane.xfrm.read import Expired
from mobike.dataplane.xfrm.state import SaKey

from .test_plane import HERE, SELECTOR, Rig, order


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
