"""A world in which a gateway dies and begins anew: its client takes the IKE SA up again by its ticket (RFC 5723)."""

import pytest

from mobike.commands import SetTicketKeys
from mobike.sim import faults, scenario
from mobike.sim.faults import Fault
from mobike.sim.story import Story
from mobike.sim.world import SECOND

WORLD = """
title = "A gateway begins anew"
story = "It loses all it knows, but for the key of its tickets."
lasts = "10m"
bound = "1m"

[hosts.gateway.links.eth0]
addresses = ["198.51.100.1"]

[hosts.gateway.connections.phones]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@example.net"
psk = "correct horse battery staple"
local_ts = ["10.9.0.0/16"]
pool = ["10.7.0.0/16"]
tickets = "1h"

[hosts.phone.links.wlan0]
addresses = ["192.0.2.10"]

[hosts.phone.connections.home]
role = "initiator"
remote = ["198.51.100.1"]
local_id = "phone@example.net"
remote_id = "gw.example.net"
psk = "correct horse battery staple"
remote_ts = ["10.9.0.0/16"]
virtual_ip = ["ipv4"]
liveness = "2s"
resume = true
"""


@pytest.mark.parametrize("same_key", [True, False])
def test_a_phone_takes_its_ike_sa_up_again_at_a_gateway_that_knows_its_ticket_key(same_key: bool) -> None:
    story = Story(scenario.read("tickets", WORLD), 1)
    story.stage.boot()
    world, gateway, phone = story.world, story.stage.hosts["gateway"], story.stage.hosts["phone"]
    gateway.submit([SetTicketKeys((b"k" * 32,), 1_700_000_000 * SECOND)])
    world.run_until(5 * SECOND)
    assert gateway.core.counters()["ike_tickets_given"] == 1
    faults.happen(story.stage, Fault(world.now, "restart", "gateway"))
    gateway.submit([SetTicketKeys(((b"k" if same_key else b"x") * 32,), 1_700_000_005 * SECOND)])
    world.run_until(400 * SECOND)
    counters = gateway.core.counters()
    assert (counters["ike_sessions_resumed"], counters["ike_tickets_refused"]) == ((1, 0) if same_key else (0, 1))
    assert [each.state for each in phone.fleet.connections()] == ["up"]
    assert story.rules.violations == []
