"""Two Child SAs with one address and SPI, and faults of ours: who is not concerned goes on, and who is hears of it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from mobike.address import ChildId, Nanos, SaId
from mobike.commands import ChildInstalled, ChildRefused, ChildSpent
from mobike.dataplane.operations import MoveSa, RemoveChild, Sends
from mobike.dataplane.xfrm.plan import Means
from mobike.dataplane.xfrm.selectors import Selector
from mobike.dataplane.xfrm.state import SaKey, SaName
from mobike.events import PlaneRefused, SaMoved

from .lab import SameKeys
from .test_plane import EVERY, NEW, OLD, SA, SELECTOR, THERE, Rig, ends, order

SECOND = SaId(8)
NET = Selector(ip_network("10.1.0.0/16"), ip_network("10.3.0.0/16"))
"""Behind the second client."""
CHOSEN = 0x2001
"""By both of them."""
ALL_MEANS = pytest.mark.parametrize("means", [EVERY, Means.MIGRATE | Means.TAKE, Means.TAKE], ids=str)


class BrokenKeys(SameKeys):
    """Every look at them is a fault."""

    def lengths(self) -> tuple[int, int]:
        raise ArithmeticError("as the test wants it")


def second(**changes: object) -> dict[str, object]:
    return {"sa": SECOND, "remote_ts": ("10.3.0.0/16",), "spi_out": CHOSEN} | changes


def unharmed(rig: Rig) -> None:
    """The first one sends with its own keys, and loses nothing."""
    assert rig.kernel.sas_by_key[SaKey(THERE.ip, CHOSEN)].key == SaName(1, inbound=False)
    assert rig.kernel.send(SELECTOR) == "sent"
    assert rig.kernel.went_clear == []


def test_of_two_clients_behind_one_nat_that_choose_the_same_spi_the_first_keeps_it() -> None:
    rig = Rig().established()
    (word,) = rig.install(2, **second())
    assert isinstance(word, ChildRefused) and word.child == ChildId(2)
    assert word.why == "its peer chose SPI 0x00002001, with which another Child SA sends to 203.0.113.1"
    unharmed(rig)
    rig.plane.carry([RemoveChild(SECOND, ChildId(2))])
    assert rig.addresses() == ends(OLD) and len(rig.kernel.sas_by_key) == 2
    assert rig.install(3, **second(spi_out=0x2003)) == [ChildInstalled(ChildId(3))]
    assert rig.kernel.send(NET) == "sent"
    unharmed(rig)


def test_both_may_come_in_one_batch() -> None:
    rig = Rig()
    rig.plane.carry([order(1), order(2, **second())])
    words = rig.plane.words()
    assert words[0] == ChildInstalled(ChildId(1)) and isinstance(words[1], ChildRefused)
    unharmed(rig)


def test_a_peer_that_uses_one_spi_twice_has_the_first_child_sa() -> None:
    rig = Rig()
    rig.plane.carry([order(1), order(2, remote_ts=("10.3.0.0/16",), spi_out=CHOSEN)])
    assert {
        type(word): word.child for word in rig.plane.words() if isinstance(word, ChildInstalled | ChildRefused)
    } == {
        ChildInstalled: ChildId(1),
        ChildRefused: ChildId(2),
    }
    unharmed(rig)


def test_a_new_pair_with_the_spi_of_the_one_that_it_replaces_ends_and_the_old_one_sends_until_then() -> None:
    rig = Rig().established()
    rig.install(2, sends=Sends.WHEN_USED, instead_of=ChildId(1), spi_out=CHOSEN)
    unharmed(rig)
    rig.plane.carry([RemoveChild(SA, ChildId(1))])
    assert rig.plane.words() == [ChildSpent(ChildId(2))]
    assert rig.kernel.send(SELECTOR) == "blocked"


@ALL_MEANS
def test_who_moves_to_where_its_spi_is_taken_gets_another_and_harms_nobody(means: Means) -> None:
    rig = Rig(means=means).established()
    assert rig.install(2, **second(path=NEW)) == [ChildInstalled(ChildId(2))]
    assert rig.install(3, **second(remote_ts=("10.4.0.0/16",), spi_out=0x2003, path=NEW)) == [
        ChildInstalled(ChildId(3))
    ]
    rig.plane.apply([MoveSa(SECOND, OLD, encap=True)])
    assert rig.plane.take() == [SaMoved(SECOND, OLD)], "the other one is there"
    assert rig.plane.words() == [ChildSpent(ChildId(2))]
    assert rig.kernel.send(NET) == "blocked"
    assert rig.addresses() == ends(OLD) and len(rig.kernel.sas_by_key) == 4
    unharmed(rig)


@ALL_MEANS
def test_one_moves_away_and_another_to_where_it_was_in_one_batch(means: Means) -> None:
    rig = Rig(means=means).established()
    rig.install(2, **second(path=NEW))
    third = replace(NEW, remote=replace(NEW.remote, ip=ip_address("203.0.113.77")))
    rig.plane.apply([MoveSa(SA, third, encap=True), MoveSa(SECOND, OLD, encap=True)])
    assert rig.plane.take() == [SaMoved(SA, third), SaMoved(SECOND, OLD)]
    assert rig.plane.words() == []
    assert (rig.kernel.send(SELECTOR), rig.kernel.send(NET)) == ("sent", "sent")


def test_lost_answers_take_nothing_that_another_has() -> None:
    rig = Rig().established()
    rig.kernel.lose_answers = {rig.kernel.steps_done + place for place in range(3)}
    (word,) = rig.install(2, **second())
    assert isinstance(word, ChildRefused)
    unharmed(rig)
    rig.plane.carry([RemoveChild(SECOND, ChildId(2))])
    unharmed(rig)
    assert len(rig.kernel.sas_by_key) == 2


def test_what_an_earlier_process_left_is_not_taken_by_whoever_comes_first() -> None:
    before = Rig().established()
    before.plane.close(keep=True)
    rig = Rig(kernel=before.kernel)
    (word,) = rig.install(2, **second())
    assert isinstance(word, ChildRefused)
    assert rig.install(1, keys=None) == [ChildInstalled(ChildId(1))]
    unharmed(rig)


def test_of_two_with_one_spi_each_is_adopted_by_its_own() -> None:
    """A crash lost the move of the first; where it was asked for, the SA of the second must not be taken for it."""
    before = Rig().established()
    before.install(2, **second(path=NEW))
    before.plane.close(keep=True)
    rig = Rig(kernel=before.kernel)
    elsewhere = replace(NEW, remote=replace(NEW.remote, ip=ip_address("203.0.113.77")))
    assert rig.install(1, path=elsewhere, keys=None) == [ChildInstalled(ChildId(1))]
    assert rig.install(2, keys=None, **second(path=NEW)) == [ChildInstalled(ChildId(2))]
    assert {held.key.child for held in rig.kernel.sas_by_key.values() if held.sa.destination == NEW.remote.ip} == {2}


def test_a_newcomer_shares_no_reqid_with_what_is_adopted_after_it() -> None:
    before = Rig().established()
    before.plane.close(keep=True)
    rig = Rig(kernel=before.kernel)
    rig.install(2, **second(spi_out=0x2002))
    rig.install(1, keys=None)
    reqids = {held.key.child: held.sa.reqid for held in rig.kernel.sas_by_key.values()}
    assert reqids[1] != reqids[2]
    assert (rig.kernel.send(SELECTOR), rig.kernel.send(NET)) == ("sent", "sent")


def test_a_pair_that_comes_and_goes_in_one_batch_leaves_the_others_as_they_were() -> None:
    rig = Rig().established()
    there = dict(rig.kernel.sas_by_key)
    new = order(2, sends=Sends.WHEN_USED, instead_of=ChildId(1))
    rig.plane.carry([new, RemoveChild(SA, ChildId(2))])
    assert rig.plane.words() == []
    assert rig.kernel.sas_by_key == there
    unharmed(rig)


@pytest.mark.parametrize("place", range(4))
def test_a_fault_of_ours_while_one_comes_does_no_harm_to_others_of_the_batch(place: int) -> None:
    rig = Rig().established()
    rig.kernel.faults = {rig.kernel.steps_done + place}
    rig.plane.carry([order(2, **second(spi_out=0x2002)), order(3, sa=SaId(9), remote_ts=("10.4.0.0/16",))])
    assert rig.plane.words() == [ChildInstalled(ChildId(2)), ChildInstalled(ChildId(3))]
    unharmed(rig)


def test_a_fault_that_stays_refuses_whom_it_concerns_and_is_gone_with_it() -> None:
    rig = Rig().established()
    steps = rig.kernel.steps_done
    rig.plane.carry([order(2, keys=BrokenKeys((20, 0))), order(3, sa=SaId(9), remote_ts=("10.4.0.0/16",))])
    words = rig.plane.words()
    assert ChildInstalled(ChildId(3)) in words
    (refused,) = (word for word in words if isinstance(word, ChildRefused))
    assert refused.child == ChildId(2) and "fault" in refused.why
    assert rig.kernel.steps_done > steps
    rig.plane.carry([RemoveChild(SA, ChildId(2))])
    rig.plane.wake(Nanos(10_000_000_000))
    assert len(rig.kernel.sas_by_key) == 4
    unharmed(rig)


def test_a_fault_in_a_move_is_answered() -> None:
    rig = Rig().established()
    rig.kernel.faults = {rig.kernel.steps_done + place for place in range(3)}
    rig.plane.apply([MoveSa(SA, NEW, encap=True)])
    (event,) = rig.plane.take()
    assert isinstance(event, PlaneRefused | SaMoved)
    rig.plane.apply([MoveSa(SA, NEW, encap=True)])
    assert rig.plane.take() == [SaMoved(SA, NEW)]
    assert rig.kernel.went_clear == []
