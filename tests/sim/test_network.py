"""The network between the hosts: each datagram arrives, late or twice or not at all, and what is lost has a reason."""

from ipaddress import ip_address
from random import Random

import pytest

from mobike.address import Endpoint
from mobike.sim.nat import Nat
from mobike.sim.network import NO_UDP, Link, Network, Weather
from mobike.sim.world import MS, SECOND, World

A = Endpoint(ip_address("192.0.2.1"), 4500)
B = Endpoint(ip_address("198.51.100.1"), 4500)
MANY = 2_000


class Ends:
    """Two links, and what came to the second."""

    def __init__(self, seed: int = 1, *, nat: Nat | None = None) -> None:
        self.world = World(seed)
        self.network = Network(self.world)
        self.came: list[tuple[int, Endpoint, bytes]] = []
        self.one = self.network.attach("one", [A.ip], lambda *_: None, nat=nat)
        self.other = self.network.attach("other", [B.ip], self._take)

    def _take(self, own: Endpoint, sender: Endpoint, data: bytes) -> None:
        assert own == B
        self.came.append((self.world.now, sender, data))

    def send(self, data: bytes = b"x", count: int = 1) -> None:
        for _ in range(count):
            self.network.send(self.one, A, B, data)
        self.world.run_until(self.world.now + SECOND)


def test_latencies_of_both_links_add_up() -> None:
    ends = Ends()
    ends.one.weather, ends.other.weather = Weather(latency=7 * MS), Weather(latency=20 * MS)
    ends.send(b"hello")
    assert ends.came == [(27 * MS, A, b"hello")]


@pytest.mark.parametrize("which", ["one", "other"])
def test_loss_and_doubles_are_as_frequent_as_the_weather_says(which: str) -> None:
    ends = Ends()
    link: Link = getattr(ends, which)
    link.weather = Weather(loss=0.25)
    ends.send(count=MANY)
    assert abs(len(ends.came) / MANY - 0.75) < 0.05 and ends.network.lost["weather"] == MANY - len(ends.came)
    link.weather = Weather(duplicate=0.25)
    ends.came.clear()
    ends.send(count=MANY)
    assert abs(len(ends.came) / MANY - 1.25) < 0.05


def test_a_reordering_link_lets_packets_overtake_each_other_and_a_calm_one_does_not() -> None:
    def order(weather: Weather) -> list[bytes]:
        ends = Ends()
        ends.one.weather = weather
        for number in range(100):
            ends.network.send(ends.one, A, B, bytes([number]))
        ends.world.run_until(SECOND)
        return [data for _, _, data in ends.came]

    sent = [bytes([number]) for number in range(100)]
    assert order(Weather()) == sent
    mixed = order(Weather(reorder=0.3))
    assert mixed != sent and sorted(mixed) == sent


@pytest.mark.parametrize(("link", "size", "passes"), [("one", 572, True), ("one", 573, False), ("other", 573, False)])
def test_what_is_longer_than_a_link_takes_is_lost_in_silence(link: str, size: int, passes: bool) -> None:
    # 28 octets of IPv4 and UDP in front.
    ends = Ends()
    getattr(ends, link).weather = Weather(mtu=600)
    ends.send(bytes(size))
    assert len(ends.came) == passes and sum(ends.network.lost.values()) == (not passes)


def test_a_black_hole_a_cut_and_an_address_that_is_gone_each_have_their_reason() -> None:
    ends = Ends()
    ends.one.lost_out = True
    ends.send()
    ends.network.heal()
    ends.other.lost_in = True
    ends.send()
    ends.network.heal()
    ends.network.cut("one", "other")
    ends.send()
    ends.network.cut("other", "one")
    ends.network.mend("one", "other")
    ends.send()
    assert len(ends.came) == 1, "a cut is one way"
    ends.other.up = False
    ends.send()
    assert ends.network.lost == {
        "black hole on the sender's link": 1,
        "black hole on the receiver's link": 1,
        "cut on the way": 1,
        "nobody has the address": 1,
    }


def test_what_works_is_what_a_datagram_and_its_answer_would_pass() -> None:
    ends = Ends()
    assert ends.network.works(ends.one, ends.other)
    ends.network.cut("other", "one")
    assert not ends.network.works(ends.one, ends.other)
    ends.network.heal()
    ends.other.lost_out = True
    assert not ends.network.works(ends.one, ends.other)


def test_behind_a_nat_the_sender_is_seen_at_its_outside_and_after_renumbering_at_another() -> None:
    nat = Nat(ip_address("203.0.113.7"), Random(1))
    ends = Ends(nat=nat)
    ends.send()
    ends.network.renumber(nat, ip_address("203.0.113.99"))
    ends.send()
    assert [str(sender.ip) for _, sender, _ in ends.came] == ["203.0.113.7", "203.0.113.99"]


def test_the_same_seed_gives_the_same_weather_and_another_seed_another() -> None:
    def run(seed: int) -> list[tuple[int, Endpoint, bytes]]:
        ends = Ends(seed)
        ends.one.weather = Weather(jitter=30 * MS, loss=0.2, duplicate=0.2, reorder=0.2)
        ends.send(count=50)
        return ends.came

    assert run(1) == run(1) != run(2)


def test_a_firewall_lets_segments_pass_and_no_datagram_and_tells_nobody() -> None:
    for blocked in ("one", "other"):
        ends = Ends()
        ends.other.receive_segment = ends._take
        ends.network.links[blocked].no_udp = True
        ends.send(count=3)
        ends.network.send(ends.one, A, B, b"segment", stream=True)
        ends.world.run_until(2 * SECOND)
        assert [data for _, _, data in ends.came] == [b"segment"]
        assert ends.network.lost[NO_UDP] == 3
        assert ends.network.works(ends.one, ends.other, stream=True)
        assert not ends.network.works(ends.one, ends.other)
        ends.network.heal()
        ends.send()
        assert len(ends.came) == 2


def test_a_nat_gives_streams_ports_of_their_own_that_last() -> None:
    nat = Nat(ip_address("203.0.113.7"), Random(1), expiry=30 * SECOND)
    ends = Ends(nat=nat)
    seen: list[Endpoint] = []
    ends.other.receive_segment = lambda _own, sender, _data: seen.append(sender)
    for _ in range(2):
        ends.network.send(ends.one, A, B, b"segment", stream=True)
        ends.world.run_until(ends.world.now + 600 * SECOND)
    nat.forget()
    ends.network.send(ends.one, A, B, b"segment", stream=True)
    ends.world.run_until(ends.world.now + SECOND)
    assert seen[0] == seen[1] != seen[2]
    assert {each.ip for each in seen} == {nat.outside}
