"""A peer outside a symmetric NAT moves to an address nobody knows (RFC 4621 section 5.2.4): it ends cleanly."""

import pytest

from mobike.sim import faults, scenario
from mobike.sim.faults import Fault
from mobike.sim.story import Line, Story
from mobike.sim.world import SECOND

WORLD = """
title = "Nobody knows where"
story = "The gateway gets another address, and its client sits behind a NAT that lets in only who was called."
lasts = "10m"
bound = "1m"

[nats.home]
outside = "203.0.113.7"
mapping = "address-and-port-dependent"
filtering = "address-and-port-dependent"

[hosts.gateway.links.eth0]
addresses = ["198.51.100.1"]

[hosts.gateway.links.eth1]
addresses = ["198.51.100.99"]
up = false

[hosts.gateway.connections.phones]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@example.net"
psk = "correct horse battery staple"
local_ts = ["10.9.0.0/16"]
pool = ["10.7.0.0/16"]

[hosts.phone.links.wlan0]
addresses = ["192.168.1.10"]
nat = "home"

[hosts.phone.connections.home]
role = "initiator"
remote = ["198.51.100.1"]
local_id = "phone@example.net"
remote_id = "gw.example.net"
psk = "correct horse battery staple"
remote_ts = ["10.9.0.0/16"]
virtual_ip = ["ipv4"]
liveness = "5s"
"""


@pytest.mark.req("D5.2-3")
@pytest.mark.parametrize("seed", [1, 2])
def test_a_gateway_that_moves_where_no_nat_lets_it_in_is_given_up_with_a_reason_and_found_again_when_it_is_back(
    seed: int,
) -> None:
    told: list[Line] = []
    story = Story(scenario.read("unknown-address", WORLD), seed, told.append)
    story.stage.boot()
    world, (gateway, phone) = story.world, story.stage.hosts.values()
    world.run_until(5 * SECOND)
    (ours,), (theirs,) = phone.ups, gateway.ups
    for do, link in (("down", "gateway eth0"), ("up", "gateway eth1")):
        faults.happen(story.stage, Fault(world.now, do, link))
    began = world.now
    world.run_until(began + 160 * SECOND)
    assert phone.fleet.row(ours) is not None, "patience: it may come back"
    assert gateway.fleet.row(theirs) is not None
    world.run_until(began + 320 * SECOND)
    ends = [(line.who, line.text) for line in told if line.kind == "sa-down"]
    assert [who for who, _ in ends] == ["phone", "gateway"]
    assert all("no answer for" in why for _, why in ends), ends
    # No packet of the gateway's came in, nobody was moved, and the data plane was sent nowhere else.
    assert story.rules.moved_at == []
    assert story.rules.violations == []
    assert (len(phone.ups), len(gateway.ups)) == (0, 0)
    (row,) = phone.fleet.connections()
    assert (row.state, row.sas) == ("connecting", 0)
    assert row.last_error is not None
    assert "no answer" in row.last_error
    # It goes on trying, ever more rarely, and has it back as soon as it can.
    faults.happen(story.stage, Fault(world.now, "up", "gateway eth0"))
    world.run_until(world.now + 120 * SECOND)
    assert [each.state for each in phone.fleet.connections()] == ["up"]
