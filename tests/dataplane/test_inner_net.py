"""What the TUN device must carry, and that the last tunnel that needs a route is the one that takes it away."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from mobike.address import ChildId, Endpoint, Ip, Path, SaId
from mobike.commands import Pool, Profile
from mobike.dataplane.inner_net import Change, InnerAddress, InnerNet, InnerRoute, OuterExemption
from mobike.events import ChildDown, ChildUp, IkeSaDown, IkeSaUp, Nat, PeerAddresses, Redirected, Role

GATEWAY = ip_address("203.0.113.1")
VIRTUAL = ip_address("10.99.0.5")
HERE = ip_address("192.0.2.7")


def profile(*pools: Pool) -> Profile:
    return Profile("office", "a", "b", b"psk", (), (), (), (), pools)


def ike_sa_up(sa: int, role: Role, virtual_ips: tuple[Ip, ...] = (VIRTUAL,)) -> IkeSaUp:
    path = Path(Endpoint(HERE, 4500), Endpoint(GATEWAY, 4500))
    return IkeSaUp(SaId(sa), None, "office", role, path, Nat.NONE, "gw", True, (), virtual_ips, 1, 2, "suite")


def child_up(sa: int, child: int, *remote_ts: str) -> ChildUp:
    return ChildUp(SaId(sa), ChildId(child), "c", 1, 2, "aes128gcm16", ("10.99.0.5/32",), remote_ts, True)


@pytest.mark.req("D2-1")
def test_where_the_peer_may_be_is_never_routed_into_the_tunnel_to_it() -> None:
    other = ip_address("203.0.113.9")
    net = InnerNet([profile()], {"office": (GATEWAY, other)})
    changes = net.handle([ike_sa_up(1, Role.INITIATOR, ()), child_up(1, 1, "0.0.0.0/0")])
    assert changes == [
        Change(OuterExemption(GATEWAY), wanted=True),
        Change(OuterExemption(other), wanted=True),
        Change(InnerRoute(ip_network("0.0.0.0/0")), wanted=True),
    ], "and before the route is there"


def test_a_client_gets_its_virtual_address_and_a_route_from_it() -> None:
    net = InnerNet([profile()])
    changes = net.handle([ike_sa_up(1, Role.INITIATOR), child_up(1, 1, "10.77.0.0/24")])
    assert changes == [
        Change(InnerAddress(VIRTUAL), wanted=True),
        Change(InnerRoute(ip_network("10.77.0.0/24"), VIRTUAL), wanted=True),
    ]
    assert net.handle([IkeSaDown(SaId(1), "closed")]) == [
        Change(InnerRoute(ip_network("10.77.0.0/24"), VIRTUAL), wanted=False),
        Change(InnerAddress(VIRTUAL), wanted=False),
    ]


@pytest.mark.req("D2-1")
def test_a_tunnel_for_everything_does_not_swallow_the_way_to_its_own_gateway() -> None:
    net = InnerNet([profile()])
    changes = net.handle([ike_sa_up(1, Role.INITIATOR), child_up(1, 1, "0.0.0.0/0")])
    facts = [change.fact for change in changes]
    assert facts.index(OuterExemption(GATEWAY)) < facts.index(InnerRoute(ip_network("0.0.0.0/0"), VIRTUAL))
    second = ip_address("198.51.100.1")
    assert net.handle([PeerAddresses(SaId(1), (second,), GATEWAY)]) == [Change(OuterExemption(second), wanted=True)]
    assert net.handle([PeerAddresses(SaId(1), (), second)]) == [], "an address in use may be missing from the list"


def test_a_gateway_routes_its_pool_once_and_no_client_by_client() -> None:
    net = InnerNet([profile(Pool(ip_address("10.99.0.0"), 256))])
    changes = net.handle([ike_sa_up(1, Role.RESPONDER), child_up(1, 1, "10.99.0.5/32")])
    assert changes == [Change(InnerRoute(ip_network("10.99.0.0/24")), wanted=True)]
    assert net.handle([ChildDown(SaId(1), ChildId(1), "gone"), IkeSaDown(SaId(1), "gone")]) == []
    assert net.everything() == [Change(InnerRoute(ip_network("10.99.0.0/24")), wanted=False)]


def test_a_route_that_two_tunnels_need_goes_with_the_second() -> None:
    net = InnerNet([profile()])
    first = net.handle([ike_sa_up(1, Role.RESPONDER, ()), child_up(1, 1, "10.80.0.0/16")])
    assert first == [Change(InnerRoute(ip_network("10.80.0.0/16")), wanted=True)]
    assert net.handle([ike_sa_up(2, Role.RESPONDER, ()), child_up(2, 2, "10.80.0.0/16")]) == []
    assert net.handle([IkeSaDown(SaId(1), "replaced")]) == []
    assert net.handle([IkeSaDown(SaId(2), "closed")]) == [Change(InnerRoute(ip_network("10.80.0.0/16")), wanted=False)]


def test_a_second_child_adds_what_it_brings_and_takes_it_along() -> None:
    net = InnerNet([profile()])
    net.handle([ike_sa_up(1, Role.INITIATOR), child_up(1, 1, "10.77.0.0/24")])
    range_route = [
        Change(InnerRoute(ip_network("10.78.0.8/31"), VIRTUAL), wanted=True),
        Change(InnerRoute(ip_network("10.78.0.10/32"), VIRTUAL), wanted=True),
    ]
    assert net.handle([child_up(1, 2, "10.78.0.8-10.78.0.10[tcp/80]")]) == range_route
    gone = net.handle([ChildDown(SaId(1), ChildId(2), "closed")])
    assert {change.fact for change in gone} == {change.fact for change in range_route}


def test_of_two_tunnels_to_one_prefix_the_one_that_stays_keeps_its_route() -> None:
    """A new IKE SA may come with another inner address than the one before it (RFC 5685, RFC 7296 section 2.8.3)."""
    there, other = ip_network("10.77.0.0/24"), ip_address("10.98.0.5")
    net = InnerNet([profile()])
    net.handle([ike_sa_up(1, Role.INITIATOR), child_up(1, 1, str(there))])
    assert net.handle([ike_sa_up(2, Role.INITIATOR, (other,)), child_up(2, 2, str(there))]) == [
        Change(InnerAddress(other), wanted=True),
        Change(InnerRoute(there, other), wanted=True),
    ]
    assert net.handle([IkeSaDown(SaId(1), "closed")]) == [
        Change(InnerRoute(there, VIRTUAL), wanted=False),
        Change(InnerRoute(there, other), wanted=True),
        Change(InnerAddress(VIRTUAL), wanted=False),
    ]


def test_the_way_to_a_gateway_that_we_are_sent_on_to_stays_outside_if_we_may_go_there() -> None:
    allowed = ip_address("203.0.113.2")
    net = InnerNet([profile()], None, {"office": lambda to: (allowed,) if to == str(allowed) else ()})
    net.handle([ike_sa_up(1, Role.INITIATOR), child_up(1, 1, "0.0.0.0/0")])
    assert net.handle([Redirected(SaId(1), "198.51.100.66")]) == []
    assert net.handle([Redirected(SaId(1), str(allowed))]) == [Change(OuterExemption(allowed), wanted=True)]
    assert net.handle([Redirected(SaId(2), str(allowed))]) == []


def test_transport_mode_needs_no_route_for_packets_go_to_the_peer_itself() -> None:
    net = InnerNet([profile()])
    hosts = replace(child_up(1, 1, "203.0.113.1/32"), transport_mode=True)
    assert net.handle([ike_sa_up(1, Role.INITIATOR, ()), hosts]) == []
    assert net.handle([ChildDown(SaId(1), ChildId(1), "closed")]) == []


def test_routes_that_are_still_wanted_are_put_back_when_the_device_loses_its_last_address() -> None:
    """With that the kernel takes all routes over the device away, whatever their source is."""
    net, other = InnerNet([profile()]), ip_address("10.99.0.6")
    net.handle([ike_sa_up(1, Role.INITIATOR, ()), child_up(1, 1, "10.80.0.0/16", "fd80::/32")])
    net.handle([ike_sa_up(2, Role.INITIATOR), child_up(2, 2, "10.77.0.0/24")])
    net.handle([ike_sa_up(3, Role.INITIATOR, (other,)), child_up(3, 3, "10.78.0.0/24")])
    left = Change(InnerRoute(ip_network("10.80.0.0/16")), wanted=True)
    assert left not in net.handle([IkeSaDown(SaId(2), "closed")])
    assert net.handle([IkeSaDown(SaId(3), "closed")]) == [
        Change(InnerRoute(ip_network("10.78.0.0/24"), other), wanted=False),
        Change(InnerAddress(other), wanted=False),
        left,
    ]
