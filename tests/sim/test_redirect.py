"""A world with two gateways: one is drained under its clients' pings, and they go on with the other (RFC 5685)."""

import pytest

from mobike.events import OperatorDrain
from mobike.sim import scenario
from mobike.sim.host import Host
from mobike.sim.story import Line, Story
from mobike.sim.world import SECOND

GATEWAY = """
[hosts.{name}.links.eth0]
addresses = ["{address}"]

[hosts.{name}.connections.phones]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@example.net"
psk = "correct horse battery staple"
local_ts = ["10.9.0.0/16"]
pool = ["{pool}"]
"""

WORLD = (
    """
title = "Two gateways"
story = "One of them is taken out of service."
lasts = "10m"
bound = "1m"

[hosts.phone.links.wlan0]
addresses = ["192.0.2.10"]

[hosts.phone.links.wwan0]
addresses = ["203.0.113.10"]

[hosts.phone.connections.home]
role = "initiator"
remote = ["198.51.100.1"]
local_id = "phone@example.net"
remote_id = "gw.example.net"
psk = "correct horse battery staple"
remote_ts = ["10.9.0.0/16"]
virtual_ip = ["ipv4"]
liveness = "5s"
follow_redirects = ["198.51.100.0/24"]
"""
    + GATEWAY.format(name="one", address="198.51.100.1", pool="10.7.0.0/16")
    + GATEWAY.format(name="other", address="198.51.100.2", pool="10.8.0.0/16")
)


def where(host: Host) -> list[str]:
    """The peers of its SAs."""
    return sorted(str(row.path.remote.ip) for row in host.fleet.page(None, 10).items)


@pytest.mark.parametrize("seed", range(4))
def test_a_phone_goes_from_a_gateway_that_is_drained_to_the_next_and_moves_there_as_ever(seed: int) -> None:
    told: list[Line] = []
    story = Story(scenario.read("two-gateways", WORLD), seed, told.append)
    story.stage.boot()
    world, hosts = story.world, story.stage.hosts
    phone, one, other = hosts["phone"], hosts["one"], hosts["other"]
    world.run_until(5 * SECOND)
    assert where(phone) == ["198.51.100.1"]

    one.order(OperatorDrain(("198.51.100.2",)))
    world.run_until(10 * SECOND)
    assert where(phone) == ["198.51.100.2"]
    assert (where(one), len(where(other))) == ([], 1)

    # It is at home there: a lost link is left for the other one, to the same gateway.
    phone.links["wlan0"].up = False
    phone.wake()
    world.run_until(30 * SECOND)
    assert where(phone) == ["198.51.100.2"]
    assert where(other) == ["203.0.113.10"]

    # The other gateway dies. The first one, which knows nobody else, sends us there in vain; then it serves again.
    story.stage.hosts["other"].links["eth0"].up = False
    world.run_until(240 * SECOND)
    assert where(phone) == []
    one.order(OperatorDrain(()))
    world.run_until(480 * SECOND)
    assert where(phone) == ["198.51.100.1"]
    assert story.rules.violations == []
