"""What is thrown away while a tunnel is down: when a shield stands, and what the routing tables have of it."""

from ipaddress import ip_address, ip_network

from mobike.address import SaId
from mobike.dataplane.inner_net import Change, InnerBlock, InnerFact, InnerNet, InnerRoute, OuterExemption
from mobike.dataplane.shields import Raised, Shield, Shields, Traps
from mobike.events import IkeSaDown, Role
from mobike.selector import Traffic

from .test_inner_net import GATEWAY, child_up, ike_sa_up, profile

NET = ip_network("10.77.0.0/24")
OFFICE = Shield("office", (Traffic(("0.0.0.0/0",), (str(NET), "10.78.0.0/24[tcp/80]")),), (GATEWAY,))


def test_a_shield_stands_while_its_connection_is_wanted() -> None:
    wanted: set[str] = set()
    site = Shield("site", OFFICE.traffic, always=True)
    shields = Shields([OFFICE, site, Shield("open", ())])
    assert shields.look(wanted.__contains__) == [Raised(site, up=True)]
    wanted |= {"office", "open"}
    assert shields.look(wanted.__contains__) == [Raised(OFFICE, up=True)]
    assert shields.look(wanted.__contains__) == [] and shields.any_up
    wanted.clear()
    assert shields.look(wanted.__contains__) == [Raised(OFFICE, up=False)]


def test_a_shield_that_is_another_now_stands_in_the_place_of_the_one_before() -> None:
    shields, less = Shields([OFFICE]), Shield("office", (Traffic(("0.0.0.0/0",), (str(NET),)),), (GATEWAY,))
    site = Shield("site", OFFICE.traffic, always=True)
    assert shields.look(lambda _: True) == [Raised(OFFICE, up=True)]
    shields.obey([less, site])
    assert shields.look(lambda _: True) == [Raised(less, up=True), Raised(site, up=True)]
    shields.obey([site])
    assert shields.look(lambda _: True) == [Raised(less, up=False)]
    shields.obey([OFFICE])
    assert shields.look(lambda _: False) == [Raised(site, up=False)]
    assert not shields.any_up


def test_what_two_shields_of_a_connection_cover_stays_closed_between_them() -> None:
    net = InnerNet([profile()])
    net.shield(Raised(OFFICE, up=True))
    less = Shield("office", (Traffic(("0.0.0.0/0",), (str(NET), "10.79.0.0/24")),), (GATEWAY,))
    assert net.shield(Raised(less, up=True)) == [
        Change(InnerBlock(ip_network("10.79.0.0/24")), wanted=True),
        Change(InnerBlock(ip_network("10.78.0.0/24")), wanted=False),
    ]
    net.shield(Raised(less, up=False))
    assert net.everything() == []


def test_what_leads_nowhere_is_there_before_the_tunnel_and_after_it() -> None:
    net = InnerNet([profile()])
    raised = net.shield(Raised(OFFICE, up=True))
    blocks = [InnerBlock(NET), InnerBlock(ip_network("10.78.0.0/24"))]
    assert raised == [Change(block, wanted=True) for block in blocks]
    route = InnerRoute(NET, ip_address("10.99.0.5"))
    changes = net.handle([ike_sa_up(1, Role.INITIATOR), child_up(1, 1, str(NET))])
    assert Change(route, wanted=True) in changes
    changes = net.handle([IkeSaDown(SaId(1), "gone")])
    assert Change(route, wanted=False) in changes
    assert not any(isinstance(change.fact, InnerBlock) for change in changes)
    assert net.shield(Raised(OFFICE, up=False)) == [Change(block, wanted=False) for block in reversed(blocks)]
    assert net.everything() == []


def test_what_a_shield_covers_leaves_the_way_to_the_gateway_open() -> None:
    everything = Shield("office", (Traffic(("0.0.0.0/0",), ("0.0.0.0/0",)),), (GATEWAY,))
    net = InnerNet([profile()])
    assert net.shield(Raised(everything, up=True)) == [
        Change(OuterExemption(GATEWAY), wanted=True),
        Change(InnerBlock(ip_network("0.0.0.0/0")), wanted=True),
    ], "and before there is no other way"
    net.handle([ike_sa_up(1, Role.INITIATOR, ()), child_up(1, 1, "0.0.0.0/0"), IkeSaDown(SaId(1), "gone")])
    assert net.everything(but_shields=True) == [], "they outlive a process that hands over"
    assert [change.fact for change in net.everything()] == [
        InnerBlock(ip_network("0.0.0.0/0")),
        OuterExemption(GATEWAY),
    ]


def test_what_brings_a_tunnel_up_is_led_to_the_device_and_else_nowhere() -> None:
    net = InnerNet([profile()])
    waits = Shield("office", OFFICE.traffic[:1], (GATEWAY,), waits=True)
    raised = net.shield(Raised(waits, up=True))
    routes = [InnerRoute(NET), InnerRoute(ip_network("10.78.0.0/24"))]
    blocks = [InnerBlock(route.network) for route in routes]
    facts: list[InnerFact] = [*blocks, *routes]
    assert raised == [Change(fact, wanted=True) for fact in facts]
    changes = net.handle([ike_sa_up(1, Role.INITIATOR), child_up(1, 1, str(NET)), IkeSaDown(SaId(1), "gone")])
    gone = changes.index(Change(InnerRoute(NET, ip_address("10.99.0.5")), wanted=False))
    assert changes[gone + 1] == Change(routes[0], wanted=True), "the route of the tunnel gives its place back"
    left = [change.fact for change in net.everything(but_shields=True)]
    assert left == routes[::-1], "they go with the device; what leads nowhere stays"


def test_with_other_marks_it_is_another_shield_in_the_place_of_the_first() -> None:
    red, blue = (Shield("office", OFFICE.traffic, waits=True, marks=each) for each in ("red", "blue"))
    shields, traps = Shields([red]), Traps([red])
    assert shields.look({"office"}.__contains__) == [Raised(red, up=True)]
    assert traps.look({"office"}.__contains__) == [red]
    shields.obey([blue])
    traps.obey([blue])
    assert shields.look({"office"}.__contains__) == [Raised(blue, up=True)]
    assert traps.look({"office"}.__contains__) == [blue]


def test_a_trap_is_set_each_time_that_a_connection_begins_to_wait() -> None:
    waits = Shield("office", OFFICE.traffic, waits=True)
    traps = Traps([waits, Shield("site", OFFICE.traffic)])
    waiting = {"site"}
    assert traps.look(waiting.__contains__) == []
    waiting.add("office")
    assert traps.look(waiting.__contains__) == [waits]
    assert traps.look(waiting.__contains__) == []
    waiting.remove("office")
    assert traps.look(waiting.__contains__) == []
    waiting.add("office")
    assert traps.look(waiting.__contains__) == [waits]
