"""Marks and XFRM interfaces: from what a connection says to SAs and policies, and gone with them."""

from __future__ import annotations

from dataclasses import replace

from mobike.address import ChildId, SaId
from mobike.commands import ChildInstalled
from mobike.dataplane.operations import MoveSa, RemoveChild
from mobike.dataplane.xfrm.plane import XfrmPlane
from mobike.dataplane.xfrm.read import messages, policy_of
from mobike.dataplane.xfrm.selectors import Lane, Mark
from mobike.dataplane.xfrm.state import Action, Policy, PolicyKey, Sa, Scope
from mobike.dataplane.xfrm.tasks import Ports
from mobike.dataplane.xfrm.uapi import Dir
from mobike.dataplane.xfrm.wire import Batch
from mobike.selector import Traffic

from .model import ModelKernel
from .test_plane import EVERY, NEW, SA, SELECTOR, Rig, Rumours, order
from .test_traps import TRAFFIC

LANE = Lane(7, Mark(0x10, 0xFF))
SCOPE = Scope(LANE, Mark(0x20, 0xFFFF_FFFF))
MARKED = replace(SELECTOR, lane=LANE)


def rig() -> Rig:
    made = Rig()
    made.kernel, made.news = ModelKernel(), Rumours()
    made.plane = XfrmPlane(made.kernel, made.news, EVERY, Ports(), {"red": SCOPE})
    return made


def sas(made: Rig, *, inbound: bool) -> list[Sa]:
    return [held.sa for held in made.kernel.sas_by_key.values() if held.sa.inbound is inbound]


def test_what_a_connection_says_is_on_its_sas_and_policies() -> None:
    made = rig()
    assert made.install(name="red") == [ChildInstalled(ChildId(1))]
    assert set(made.kernel.policies_by_key) == {
        PolicyKey(Dir.OUT, MARKED),
        PolicyKey(Dir.IN, MARKED.reversed()),
        PolicyKey(Dir.FWD, MARKED.reversed()),
    }
    (leaving,) = sas(made, inbound=False)
    assert (leaving.interface, leaving.mark, leaving.output_mark) == (7, LANE.mark, SCOPE.output_mark)
    (coming,) = sas(made, inbound=True)
    found = (coming.interface, coming.mark, coming.output_mark)
    assert found == (7, None, LANE.mark), "ESP comes without a mark, and what is in it gets ours"
    assert made.kernel.send(MARKED) == "sent"


def test_a_move_keeps_them_and_an_end_leaves_nothing() -> None:
    made = rig()
    made.install(name="red")
    before = {(sa.interface, sa.mark, sa.output_mark) for sa in sas(made, inbound=False)}
    made.plane.apply([MoveSa(SA, NEW, encap=True)])
    assert {(sa.interface, sa.mark, sa.output_mark) for sa in sas(made, inbound=False)} == before
    assert {(sa.interface, sa.mark, sa.output_mark) for sa in sas(made, inbound=True)} == {(7, None, LANE.mark)}
    made.plane.carry([RemoveChild(SA, ChildId(1))])
    made.plane.close(keep=False)
    assert made.kernel.policies_by_key == {}
    assert not made.kernel.sas_by_key


def test_two_connections_with_the_same_selectors_do_not_meet() -> None:
    made = rig()
    made.install(name="red")
    other = order(2, name="blue", sa=SaId(8), spi_in=0x5000, spi_out=0x6000)
    made.plane.carry([other])
    assert made.plane.words() == [ChildInstalled(ChildId(2))]
    assert len(made.kernel.policies_by_key) == 6
    assert len({sa.reqid for sa in sas(made, inbound=True)}) == 2
    made.plane.carry([RemoveChild(SaId(8), ChildId(2))])
    assert {key.selector.lane for key in made.kernel.policies_by_key} == {LANE}


def test_after_a_crash_they_are_adopted_as_they_are_and_mended_where_the_file_says_other_than_before() -> None:
    made = rig()
    made.install(name="red")
    again = Rig()
    again.kernel = made.kernel
    for scopes in ({"red": SCOPE}, {"red": replace(SCOPE, lane=LANE._replace(interface=9))}):
        again.plane = XfrmPlane(again.kernel, Rumours(), EVERY, Ports(), scopes)
        again.plane.carry([order(1, name="red", keys=None)])
        assert again.plane.words() == [ChildInstalled(ChildId(1))]
        again.plane.remove_orphans()
        assert {sa.interface for sa in (held.sa for held in again.kernel.sas_by_key.values())} == {
            scopes["red"].lane.interface
        }
        assert {key.selector.lane for key in again.kernel.policies_by_key} == {scopes["red"].lane}


def test_what_is_blocked_and_what_is_waited_for_is_so_in_its_lane() -> None:
    made = rig()
    made.plane.block("red", TRAFFIC)
    made.plane.wait_for("red", TRAFFIC)
    actions = {key: policy.action for key, policy in made.kernel.policies_by_key.items()}
    assert actions[PolicyKey(Dir.OUT, MARKED)] is Action.PROTECT
    assert {key.selector.lane for key in actions} == {LANE}
    made.plane.unblock("red")
    assert made.kernel.policies_by_key == {}


def test_with_another_lane_what_is_blocked_and_waited_for_goes_there() -> None:
    made, blue = rig(), Lane(9)
    made.plane.block("red", TRAFFIC)
    made.plane.wait_for("red", TRAFFIC)
    made.plane.obey({"red": Scope(blue)})
    made.plane.block("red", TRAFFIC)
    assert {key.selector.lane for key in made.kernel.policies_by_key} == {blue}
    assert {policy.action for policy in made.kernel.policies_by_key.values()} == {Action.BLOCK}
    made.plane.wait_for("red", TRAFFIC)
    out = PolicyKey(Dir.OUT, replace(SELECTOR, lane=blue))
    assert made.kernel.policies_by_key[out].action is Action.PROTECT


def test_what_is_spared_of_everything_is_so_in_its_lane() -> None:
    made = rig()
    made.plane.block("red", [Traffic((net,), (net,)) for net in ("0.0.0.0/0", "::/0")])
    lanes = {policy.action: policy.key.selector.lane for policy in made.kernel.policies_by_key.values()}
    assert lanes == {Action.BLOCK: LANE, Action.PASS: LANE}
    made.plane.unblock("red")
    assert made.kernel.policies_by_key == {}


def test_a_policy_is_read_as_it_was_written() -> None:
    for lane in (Lane(), Lane(7), Lane(0, Mark(1, 3)), LANE):
        policy = Policy(PolicyKey(Dir.OUT, replace(SELECTOR, lane=lane)), Action.BLOCK, 46_000)
        batch = Batch(first=1, knows_direction=True)
        batch.put_policy(policy, fresh=True)
        (message,) = messages(bytes(batch.buffer))
        seen = policy_of(message.body)
        assert seen is not None
        assert seen.policy == policy


def test_lanes_that_differ_do_not_overlap_and_the_texts_tell_them_apart() -> None:
    assert not MARKED.overlaps(SELECTOR)
    assert MARKED.overlaps(MARKED.reversed().reversed())
    assert str(MARKED) == "10.1.0.0/16 -> 10.2.0.0/16 if_id 0x7 mark 0x10/0xff"
