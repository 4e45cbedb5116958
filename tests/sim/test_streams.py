"""Streams in the world: a TCP that loses nothing, hosts that open and lose streams, networks that let no UDP pass."""

from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest

from mobike.address import Endpoint, Transport
from mobike.events import OperatorRekey
from mobike.sim import scenario
from mobike.sim.faults import Fault
from mobike.sim.story import Story
from mobike.sim.tcp import Calls, Connection, Stage, decode
from mobike.sim.world import MS, SECOND, World

HERE, THERE = Endpoint(ip_address("192.0.2.1"), 40_000), Endpoint(ip_address("198.51.100.1"), 4_500)
HOSTILE = scenario.shipped()["udp-hostile"]
SEEDS = (1, 2, 3)


@dataclass
class Ends:
    """Two ends of one connection, and a network between them that is as bad as its numbers."""

    loss: float = 0.0
    late: float = 0.0
    dead: bool = False
    world: World = field(default_factory=lambda: World(7))
    got: list[bytes] = field(default_factory=list)
    opened: list[Connection] = field(default_factory=list)
    ended: list[Connection] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        chance = self.world.chance("air")

        def carry(sender: Connection, segment: bytes) -> None:
            self.sent += 1
            if self.dead or chance.random() < self.loss:
                return
            other = self.far if sender is self.near else self.near
            delay = 10 * MS + (chance.randrange(100) * MS if chance.random() < self.late else 0)
            self.world.after(delay, lambda: other.handle(*decode(segment)))

        calls = Calls(carry, self.opened.append, lambda _, message: self.got.append(message), self.ended.append)
        self.near = Connection(HERE, THERE, self.world, calls, Stage.CONNECTING)
        self.far = Connection(THERE, HERE, self.world, calls, Stage.OPEN)

    def passes(self, span: int) -> None:
        self.world.run_until(self.world.now + span)


@pytest.mark.parametrize(("loss", "late"), [(0.0, 0.0), (0.2, 0.0), (0.0, 0.5), (0.3, 0.3)])
def test_what_is_written_arrives_once_and_in_order(loss: float, late: float) -> None:
    ends = Ends(loss, late)
    ends.near.connect()
    ends.passes(60 * SECOND)
    assert ends.opened == [ends.near]
    messages = [b"%d" % number for number in range(200)]
    for message in messages:
        ends.near.write(message)
        ends.passes(5 * MS)
    ends.passes(300 * SECOND)
    assert ends.got == messages
    assert ends.near.waiting == 0
    assert ends.ended == []


def test_a_network_that_swallows_all_ends_a_connection_in_its_own_time_and_quietly() -> None:
    ends = Ends()
    ends.near.connect()
    ends.passes(SECOND)
    ends.dead = True
    before = ends.sent
    ends.near.write(b"anybody?")
    ends.passes(60 * SECOND)
    assert ends.ended == []
    assert ends.sent - before < 12, "ever more slowly"
    ends.passes(3_600 * SECOND)
    assert ends.ended == [ends.near]


def test_who_closes_is_heard_of_at_once() -> None:
    ends = Ends()
    ends.near.connect()
    ends.passes(SECOND)
    ends.near.close()
    ends.passes(SECOND)
    assert ends.ended == [ends.far]


# --- hosts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("knows_probes", [True, False])
def test_a_tunnel_goes_into_a_stream_and_comes_home_and_only_the_way_there_costs_packets(
    seed: int,
    knows_probes: bool,
) -> None:
    text = HOSTILE if knows_probes else HOSTILE.replace('transport = "auto"', 'transport = "auto"\nextensions = []')
    told = Story(scenario.read("udp-hostile", text), seed)
    outcome = told.run()
    assert outcome.violations == ()
    into = [each for each in outcome.recoveries if each.what.startswith("block-udp")]
    home = [each for each in outcome.recoveries if each.what.startswith("pass-udp")]
    (restart,) = [each for each in outcome.recoveries if each.what.startswith("restart")]
    for each in into:
        assert each.recovered is not None and each.recovered < 1_500 * MS, each
    for each in home:
        assert len(each.moves) == 1 and each.moves[0] < 65 * SECOND, each
    assert restart.recovered is not None and restart.recovered < 2 * SECOND, restart
    pings = [ping for stream in told._streams for pinger in stream.pingers for ping in pinger.score()]
    on_the_way_home = [ping for ping in pings if 10 < ping.sent / SECOND < 94.7 or 103 < ping.sent / SECOND < 188]
    assert len(on_the_way_home) > 7_000
    assert all(ping.answered is not None for ping in on_the_way_home)
    assert len([line for line in outcome.timeline if line.kind == "sa-up" and line.who == "phone"]) == 2


@pytest.mark.parametrize("who", ["phone", "gateway"])
@pytest.mark.parametrize("how", ["hand-over", "kill"])
def test_another_process_goes_on_in_another_stream(who: str, how: str) -> None:
    told = Story(scenario.read("udp-hostile", HOSTILE), 1)
    told.begin()
    world, phone = told.world, told.stage.hosts["phone"]

    def on_tcp() -> bool:
        return all(
            host.fleet.page(None, 9).items[0].path.transport is Transport.TCP for host in told.stage.hosts.values()
        )

    world.run_until(2 * SECOND)
    told.stage.network.links["phone wlan0"].no_udp = True
    world.run_until(6 * SECOND)
    assert on_tcp()
    host = told.stage.hosts[who]
    host.write_down()
    host.hand_over(in_order=how == "hand-over", after=300 * MS)
    world.run_until(12 * SECOND)
    assert on_tcp()
    assert len(phone.ups) == 1
    first = next(iter(phone.pingers.values()))
    count = first.count
    world.run_until(14 * SECOND)
    assert all(ping.answered is not None for ping in list(first.score(count))[:80])
    assert told.rules.violations == []
    streams = phone.streams
    assert streams is not None
    assert streams.counted["opened"] == (1 if who == "phone" else 2)


BEHIND_A_NAT = (
    HOSTILE.replace(
        'addresses = ["192.0.2.10"]',
        'addresses = ["192.168.1.10"]\nnat = "home"',
    )
    + """
[nats.home]
outside = "203.0.113.7"
"""
)


def test_new_keys_that_are_on_their_way_when_a_nat_is_renumbered_do_not_keep_a_stream_from_being_followed() -> None:
    # The request for them is the first that comes from the new address. It moves nobody (RFC 4555 section 3.5); what
    # follows does.
    told = Story(scenario.read("behind a NAT", BEHIND_A_NAT), 1)
    told.begin()
    world, phone, gateway = told.world, told.stage.hosts["phone"], told.stage.hosts["gateway"]
    world.run_until(2 * SECOND)
    told.stage.network.links["phone wlan0"].no_udp = True
    world.run_until(6 * SECOND)
    assert gateway.fleet.page(None, 9).items[0].path.transport is Transport.TCP
    told.let(Fault(6 * SECOND, "renumber-nat", "home", "203.0.113.9"))
    phone.order(OperatorRekey(next(iter(phone.ups)), children=True))
    world.run_until(8 * SECOND)
    path = gateway.fleet.page(None, 9).items[0].path
    assert (path.transport, path.remote.ip) == (Transport.TCP, ip_address("203.0.113.9"))
    first = next(iter(phone.pingers.values()))
    count = first.count
    world.run_until(10 * SECOND)
    assert all(ping.answered is not None for ping in list(first.score(count))[:80])
    assert told.rules.violations == []


def test_streams_that_nobody_uses_any_more_are_closed() -> None:
    told = Story(scenario.read("udp-hostile", HOSTILE), 1)
    told.begin()
    told.world.run_until(2 * SECOND)
    told.stage.network.links["phone wlan0"].no_udp = True
    told.world.run_until(20 * SECOND)
    phone, gateway = told.stage.hosts["phone"].streams, told.stage.hosts["gateway"].streams
    assert phone is not None
    assert gateway is not None
    assert (len(phone.opened), len(gateway.accepted)) == (1, 1)
    told.stage.network.links["phone wlan0"].no_udp = False
    told.world.run_until(130 * SECOND)
    assert (len(phone.opened), len(gateway.accepted)) == (0, 0)
    assert told.rules.violations == []
