"""What a host needs to reach anything stays possible where a policy is about everything."""

from ipaddress import ip_network

from mobike.dataplane.xfrm.selectors import ANY_PORT, Ports, Selector
from mobike.dataplane.xfrm.spared import spared
from mobike.dataplane.xfrm.state import Action, PolicyKey, PolicySeen, priority_of
from mobike.dataplane.xfrm.uapi import Dir
from mobike.selector import Traffic

from .test_plane import Rig

ANY4, ANY6 = ip_network("0.0.0.0/0"), ip_network("::/0")
DHCP = Selector(ANY4, ANY4, 17, Ports(68, 0xFFFF), Ports(67, 0xFFFF))
ASK = Selector(ANY6, ANY6, 58, Ports(135, 0xFFFF), ANY_PORT)


def test_a_host_that_blocks_everything_still_gets_leases_and_finds_its_neighbours() -> None:
    rig = Rig()
    rig.plane.block("office", [Traffic((net,), (net,)) for net in ("0.0.0.0/0", "::/0")])
    held = rig.kernel.policies_by_key
    for selector in (DHCP, ASK):
        assert held[PolicyKey(Dir.OUT, selector)].action is Action.PASS
        assert held[PolicyKey(Dir.OUT, selector)].priority < priority_of(selector, Action.PROTECT)
    assert held[PolicyKey(Dir.IN, DHCP.reversed())].action is Action.PASS
    # What comes in has the type in the same place.
    assert held[PolicyKey(Dir.IN, ASK)].action is Action.PASS
    assert not any(key.direction is Dir.FWD for key in held if held[key].action is Action.PASS)
    rig.plane.unblock("office")
    assert held == {}


def test_policies_about_less_leave_nothing_out() -> None:
    assert not list(spared(Selector(ANY4, ip_network("10.0.0.0/8"))))
    assert not list(spared(Selector(ip_network("10.0.0.0/8"), ANY4)))
    assert not list(spared(Selector(ANY4, ANY4, 17)))


def test_after_a_crash_they_are_known_as_ours_and_go() -> None:
    rig = Rig()
    rig.plane.block("office", [Traffic(("::/0",), ("::/0",))])
    assert all(PolicySeen(policy, 0).ours for policy in rig.kernel.policies_by_key.values())
    again = Rig(kernel=rig.kernel)
    again.plane.remove_orphans()
    assert rig.kernel.policies_by_key == {}
