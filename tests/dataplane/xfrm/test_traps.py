"""Traffic that is waited for: a policy without an SA makes the kernel ask, and nothing leaves meanwhile."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from mobike.address import ChildId, Nanos
from mobike.commands import ChildInstalled
from mobike.dataplane.operations import RemoveChild
from mobike.dataplane.xfrm.book import NOBODY_THERE
from mobike.dataplane.xfrm.read import Acquire, messages, sa_of
from mobike.dataplane.xfrm.selectors import Ports, Selector
from mobike.dataplane.xfrm.state import OUR_REQIDS, TRAP_REQIDS, Action, PolicyKey, Sa, Template
from mobike.dataplane.xfrm.suites import suite_of
from mobike.dataplane.xfrm.uapi import Dir
from mobike.dataplane.xfrm.wire import Batch
from mobike.events import TrafficWaits
from mobike.selector import Traffic

from .test_plane import SA, SELECTOR, Rig

TRAFFIC = (Traffic(("10.1.0.0/16",), ("10.2.0.0/16",)),)
OUT = PolicyKey(Dir.OUT, SELECTOR)
PACKET = Selector(ip_network("10.1.0.9/32"), ip_network("10.2.0.1/32"), 17, Ports(40_000, 0xFFFF), Ports(53, 0xFFFF))
TOLD = TrafficWaits(ip_address("10.1.0.9"), ip_address("10.2.0.1"), 17, 40_000, 53)


def waiting() -> Rig:
    rig = Rig()
    rig.plane.block("office", TRAFFIC)
    rig.plane.wait_for("office", TRAFFIC)
    rig.kernel.watched = (SELECTOR,)
    return rig


def trap(rig: Rig) -> Template:
    policy = rig.kernel.policies_by_key[OUT]
    assert policy.action is Action.PROTECT
    assert policy.template is not None
    return policy.template


def asks(rig: Rig, reqid: int) -> list[object]:
    rig.news.news.append(Acquire(reqid, PACKET))
    rig.plane.wake(Nanos(1))
    return list(rig.plane.take())


def test_a_packet_that_is_waited_for_is_told_of_and_does_not_leave() -> None:
    rig = waiting()
    template = trap(rig)
    assert template.reqid in TRAP_REQIDS and template.reqid in OUR_REQIDS
    assert (template.source, template.destination) == (NOBODY_THERE, NOBODY_THERE), "it is asked about without a route"
    assert rig.kernel.send(SELECTOR) != "clear" and not rig.kernel.went_clear
    back = SELECTOR.reversed()
    inward = [rig.kernel.policies_by_key[PolicyKey(way, back)].action for way in (Dir.IN, Dir.FWD)]
    assert inward == [Action.BLOCK, Action.BLOCK]
    assert asks(rig, template.reqid) == [TOLD]


def test_each_wait_has_a_reqid_of_its_own_since_a_kernel_asks_but_once_in_half_a_minute() -> None:
    rig = waiting()
    first = trap(rig).reqid
    rig.plane.wait_for("office", TRAFFIC)
    second = trap(rig).reqid
    assert first != second
    assert asks(rig, first) == [], "that is an old question"
    assert asks(rig, second) == [TOLD]
    assert not rig.kernel.went_clear


def test_reqids_of_traps_are_used_in_turn_and_by_nobody_else() -> None:
    rig = waiting()
    seen = {trap(rig).reqid}
    for _ in range(len(TRAP_REQIDS)):
        rig.plane._book.trap("office", [SELECTOR])
        seen |= set(rig.plane._book._traps[SELECTOR].values())
    assert seen == set(TRAP_REQIDS)
    assert rig.install() == [ChildInstalled(ChildId(1))]
    assert all(held.sa.reqid not in TRAP_REQIDS for held in rig.kernel.sas_by_key.values())


def test_a_tunnel_takes_the_place_of_its_trap_and_gives_it_back() -> None:
    rig = waiting()
    reqid = trap(rig).reqid
    assert rig.install() == [ChildInstalled(ChildId(1))]
    assert rig.kernel.send(SELECTOR) == "sent"
    assert trap(rig).source != NOBODY_THERE
    rig.plane.carry([RemoveChild(SA, ChildId(1))])
    assert trap(rig) == Template(reqid, NOBODY_THERE, NOBODY_THERE)
    rig.plane.wait_for("office", TRAFFIC)
    assert asks(rig, trap(rig).reqid) == [TOLD]
    assert not rig.kernel.went_clear


def test_when_nobody_waits_any_more_nothing_is_left() -> None:
    rig = waiting()
    reqid = trap(rig).reqid
    rig.plane.unblock("office")
    assert rig.kernel.policies_by_key == {}
    assert asks(rig, reqid) == []


def test_two_that_wait_for_the_same_do_not_harm_each_other() -> None:
    rig = waiting()
    rig.plane.wait_for("branch", TRAFFIC)
    rig.plane.unblock("office")
    assert asks(rig, trap(rig).reqid) == [TOLD]
    rig.plane.unblock("branch")
    assert rig.kernel.policies_by_key == {}


def test_after_a_crash_the_trap_is_set_anew_without_a_moment_in_the_clear() -> None:
    old = waiting()
    reqid = trap(old).reqid
    rig = Rig(kernel=old.kernel)
    assert asks(rig, reqid) == [], "nobody here waits yet"
    rig.plane.block("office", TRAFFIC)
    rig.plane.wait_for("office", TRAFFIC)
    assert trap(rig).reqid != reqid
    assert rig.plane.remove_orphans() == ()
    assert asks(rig, trap(rig).reqid) == [TOLD]
    assert not rig.kernel.went_clear


def test_what_an_earlier_process_waited_for_and_nobody_does_now_is_removed() -> None:
    rig = Rig(kernel=waiting().kernel)
    assert len(rig.plane.remove_orphans()) == 3
    assert rig.kernel.policies_by_key == {}


def test_what_a_kernel_has_asked_for_is_no_sa() -> None:
    asked = Sa(False, 0, NOBODY_THERE, NOBODY_THERE, TRAP_REQIDS.start, suite_of("aes128gcm16"), None)
    for sa, there in ((asked, False), (asked._replace(spi=0x1000), True)):
        batch = Batch(first=1, knows_direction=False)
        batch.new_sa(sa, lambda *_: None)
        (message,) = messages(bytes(batch.buffer))
        assert (sa_of(message.body) is not None) is there
