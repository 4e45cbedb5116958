"""A search by the draft's timing and by ours, in one simulated network: for `benches.draft_arithmetic` and its test.

A client and a gateway with four addresses each are connected over a seventeenth pair of another family. That pair dies
in silence, and so do fifteen of the other sixteen: only the one that both rules try last still works. Engine, fleet and
network are the same for both; what differs is the table `search` of the client's connection.
"""

from dataclasses import dataclass
from typing import Final

from mobike.policy.schedule import SECOND
from mobike.sim import scenario
from mobike.sim.story import Line, Story

SIDE: Final = 4
"""Addresses at each end."""
DIES_AT: Final = 5 * SECOND
PATIENCE: Final = 3 * 3600 * SECOND

AS_THE_DRAFT: Final = 'first = "100ms", factor_percent = 200, most = "6h", jitter_percent = 0, budget = "12h"'
AS_SHIPPED: Final = ""

_WORLD: Final = """
title = "Sixteen pairs"
story = "The seventeenth dies."
lasts = "12h"
bound = "1m"

{links}

[hosts.gateway.connections.all]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@example.net"
psk = "correct horse battery staple"
local_ts = ["10.9.0.0/16"]
pool = ["10.7.0.0/16"]
liveness = "0"                  # the draft takes longer than any gateway waits

[hosts.client.connections.home]
role = "initiator"
remote = ["2001:db8::1", {remotes}]
local_id = "client@example.net"
remote_id = "gw.example.net"
psk = "correct horse battery staple"
remote_ts = ["10.9.0.0/16"]
virtual_ip = ["ipv4"]
liveness = "1s"
retransmit = {{ give_up_initiator = "12h" }}
search = {{ {search} }}
extensions = []                 # as with a peer that does no more than the RFC: path probes would find the pair first
"""


@dataclass(frozen=True, slots=True)
class Search:
    """What one search cost. Times in seconds, from the beginning of the first test."""

    starts: tuple[float, ...]
    """Of each test."""
    found: float
    """The last pair answered."""
    packets: int
    """IKE messages that the client and the gateway sent, from the death of the pair on."""


def run(search: str, seed: int) -> Search:
    """The whole story, from the death of the pair to the answer on the last one."""
    told: list[Line] = []
    story = Story(scenario.read("sixteen-pairs", _world(search)), seed, told.append)
    story.stage.boot()
    world = story.world
    world.run_until(DIES_AT)
    client, network = story.stage.hosts["client"], story.stage.network
    (up,) = client.initiated()
    worst = client.fleet.explain(up.sa)[-1].pair
    for ours in client.links.values():
        for theirs in story.stage.hosts["gateway"].links.values():
            if (worst.local, worst.remote) != (ours.addresses[0], theirs.addresses[0]):
                network.cut(str(ours), str(theirs))
                network.cut(str(theirs), str(ours))
    while not story.rules.moved_at and world.now < PATIENCE:
        world.run_until(world.now + SECOND // 100)
    began = [line.at for line in told if line.who == "client" and line.kind == "moving"]
    (found, *_) = [at for at, _, _ in story.rules.moved_at]
    starts = tuple((at - began[0]) / SECOND for at in began)
    return Search(starts, (found - began[0]) / SECOND, sum(at > DIES_AT for at in story.rules.ike_at))


def _world(search: str) -> str:
    links = [
        '[hosts.gateway.links.six]\naddresses = ["2001:db8::1"]',
        '[hosts.client.links.six]\naddresses = ["2001:db8::2"]',
    ]
    for n in range(1, SIDE + 1):
        links.append(f'[hosts.gateway.links.eth{n}]\naddresses = ["203.0.113.{n}"]')
        links.append(f'[hosts.client.links.eth{n}]\naddresses = ["198.51.100.{n}"]')
    remotes = ", ".join(f'"203.0.113.{n}"' for n in range(1, SIDE + 1))
    return _WORLD.format(links="\n\n".join(links), remotes=remotes, search=search)
