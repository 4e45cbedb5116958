"""What lies between the hosts: a link for each way into the network, and a core that carries all the rest at once."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from mobike.address import Endpoint, Ip
from mobike.sim.nat import Nat
from mobike.sim.world import MS, World

UDP_AND_IP: Final = {4: 28, 6: 48}
"""Octets of the headers in front of a UDP payload, by family."""

SENDERS_HOLE: Final = "black hole on the sender's link"
RECEIVERS_HOLE: Final = "black hole on the receiver's link"
NOBODY: Final = "nobody has the address"
CUT: Final = "cut on the way"
NO_UDP: Final = "a network that lets no UDP pass"
UNREACHABLE: Final = frozenset({RECEIVERS_HOLE, NOBODY, CUT})
"""What a router in front of the receiver can know."""

REORDERED_BY: Final = 4
"""A packet that is overtaken comes so many latencies late at most."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How a link is, each way. Times in nanoseconds, chances from 0 to 1."""

    latency: int = 5 * MS
    jitter: int = 0
    """Added at random, evenly from none to all of it: with enough of it, packets overtake each other."""
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    """How many packets come some latencies late."""
    mtu: int = 1500
    """Octets of a whole IP packet; a bigger one is lost. Nothing is fragmented, and nobody is told."""


CALM: Final = Weather()

Receive: TypeAlias = Callable[[Endpoint, Endpoint, bytes], None]
"""Takes (own endpoint, the sender's as seen here, datagram)."""

Complain: TypeAlias = Callable[[Endpoint, Endpoint, bytes], None]
"""Takes (own endpoint, the other's, beginning of a datagram): it cannot be delivered, somebody says (ICMP)."""

QUOTED: Final = 128
"""Octets of a datagram that an ICMP error quotes."""


class Link:
    """One way into the network: some addresses of one host."""

    __slots__ = (
        *("addresses", "answers", "complain", "deaf", "lost_in", "lost_out", "name", "nat", "no_udp"),
        *("receive", "receive_segment", "up", "weather"),
    )

    def __init__(self, name: str, addresses: Iterable[Ip], receive: Receive, *, nat: Nat | None, deaf: bool) -> None:
        self.name = name
        self.addresses = tuple(addresses)
        self.receive = receive
        self.receive_segment: Receive = _nobody_listens
        """The same for TCP."""
        self.nat = nat
        self.deaf = deaf
        """It sends with somebody else's addresses: what is sent to them does not come here."""
        self.answers = False
        """A router before it says so of what it cannot deliver here, or cannot carry on from here."""
        self.complain: Complain = _nobody_listens
        self.up = True
        """Its host has the addresses now."""
        self.lost_out = False
        """A silent black hole: nobody is told. This one swallows what leaves."""
        self.lost_in = False
        self.no_udp = False
        """A firewall before it lets TCP pass only, and tells nobody."""
        self.weather = CALM

    def __str__(self) -> str:
        return self.name


def _nobody_listens(_own: Endpoint, _other: Endpoint, _quoted: bytes) -> None:
    pass


@dataclass(frozen=True, slots=True)
class _Flight:
    way: Link
    origin: Endpoint
    """As the sender calls itself."""
    source: Endpoint
    """As the receiver will see it."""
    destination: Endpoint
    data: bytes
    stream: bool


class Network:
    """All links and translators. Every datagram that does not arrive is counted with its reason."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._chance = world.chance("network")
        self._homes: dict[Ip, Link] = {}
        """Who is reached at an address from everywhere."""
        self._inside: dict[tuple[int, Ip], Link] = {}
        """Who is reached at an address behind a NAT (its identity), by the NAT itself."""
        self._nats: dict[Ip, Nat] = {}
        self._cuts: set[tuple[str, str]] = set()
        self.lost: Counter[str] = Counter()
        self.links: dict[str, Link] = {}

    # --- how it is built, and how it changes ---

    def attach(
        self, name: str, addresses: Iterable[Ip], receive: Receive, *, nat: Nat | None = None, deaf: bool = False
    ) -> Link:
        link = Link(name, addresses, receive, nat=nat, deaf=deaf)
        self.links[name] = link
        for ip in link.addresses:
            if nat is not None:
                self._inside[id(nat), ip] = link
            elif not deaf:
                self._homes[ip] = link
        if nat is not None:
            self._nats[nat.outside] = nat
        return link

    def renumber(self, nat: Nat, outside: Ip) -> None:
        """The provider gives the NAT another address; its mappings are gone with the old one."""
        del self._nats[nat.outside]
        nat.outside = outside
        nat.forget()
        self._nats[outside] = nat

    def cut(self, one: str, other: str) -> None:
        """Swallow what goes from one link to the other, this way only."""
        self._cuts.add((one, other))

    def mend(self, one: str, other: str) -> None:
        self._cuts.discard((one, other))

    def heal(self) -> None:
        """No cuts, no black holes any more. Weather stays."""
        self._cuts.clear()
        for link in self.links.values():
            link.lost_in = link.lost_out = link.no_udp = False

    # --- what it does ---

    def send(self, way: Link, source: Endpoint, destination: Endpoint, data: bytes, *, stream: bool = False) -> None:
        """A datagram, or a segment of a TCP stream, leaves by a link of the host that has this source address."""
        lost = self._lost_at_once(way, source, data, stream=stream)
        if lost is not None:
            self.lost[lost] += 1
            if lost is SENDERS_HOLE and way.answers:
                self._return(_Flight(way, source, source, destination, data, stream), CALM)
            return
        world = self.world
        origin = source
        if way.nat is not None:
            source = _translator(way.nat, stream).outward(world.now, source, destination)
        flight = _Flight(way, origin, source, destination, data, stream)
        door = self._door(destination.ip)
        for delay in self._delays(way.weather, CALM if door is None else door.weather):
            world.after(delay, partial(self._arrive, flight))

    def works(self, one: Link, other: Link, *, stream: bool = False) -> bool:
        """Does a datagram from `one` reach `other`, and the answer come back? Chance aside, and with patience.

        `stream`: can `one` open a stream to `other`?
        """
        if not stream and (one.no_udp or other.no_udp):
            return False
        if not (one.up and other.up) or one.deaf or other.deaf:
            return False
        if one.lost_in or one.lost_out or other.lost_in or other.lost_out:
            return False
        if (one.name, other.name) in self._cuts or (other.name, one.name) in self._cuts:
            return False
        return other.nat is None or other.nat.fixed is not None

    def _lost_at_once(self, way: Link, source: Endpoint, data: bytes, *, stream: bool) -> str | None:
        if not way.up:
            return "the sender does not have the address"
        if way.lost_out:
            return SENDERS_HOLE
        if stream:
            return None  # TCP finds out what passes
        if way.no_udp:
            return NO_UDP
        if len(data) + UDP_AND_IP[source.ip.version] > way.weather.mtu:
            return "too big for the sender's link"
        return None

    def _door(self, ip: Ip) -> Link | None:
        nat = self._nats.get(ip)
        if nat is None:
            return self._homes.get(ip)
        return next((link for link in self.links.values() if link.nat is nat), None)

    def _delays(self, out: Weather, into: Weather) -> list[int]:
        """When each copy arrives; none: it is lost."""
        chance = self._chance
        if (out.loss and chance.random() < out.loss) or (into.loss and chance.random() < into.loss):
            self.lost["weather"] += 1
            return []
        copies = 1 + any(each.duplicate and chance.random() < each.duplicate for each in (out, into))
        return [self._delay(out) + self._delay(into) for _ in range(copies)]

    def _delay(self, weather: Weather) -> int:
        chance = self._chance
        delay = weather.latency
        if weather.jitter:
            delay += int(chance.random() * weather.jitter)
        if weather.reorder and chance.random() < weather.reorder:
            delay += int(chance.random() * REORDERED_BY * weather.latency)
        return delay

    def _arrive(self, flight: _Flight) -> None:
        found = self._receiver(flight)
        if isinstance(found, str):
            self.lost[found] += 1
            door = self._door(flight.destination.ip)
            if door is not None and door.answers and found in UNREACHABLE:
                self._return(flight, door.weather)
            return
        link, destination = found
        receive = link.receive_segment if flight.stream else link.receive
        receive(destination, flight.source, flight.data)

    def _return(self, flight: _Flight, far: Weather) -> None:
        """A router says that it cannot be delivered. That takes no draw of chance: worlds without such routers stay.
        What it says of TCP the kernel keeps to itself."""
        if flight.stream:
            return
        way = flight.way
        self.world.after(far.latency + way.weather.latency, partial(self._complain, flight))

    def _complain(self, flight: _Flight) -> None:
        way = flight.way
        nat = way.nat if flight.source is not flight.origin else None
        known = nat is None or nat.inward(self.world.now, flight.source.port, flight.destination) == flight.origin
        if known and way.up and not way.lost_in:
            way.complain(flight.origin, flight.destination, flight.data[:QUOTED])

    def _receiver(self, flight: _Flight) -> tuple[Link, Endpoint] | str:
        destination = flight.destination
        nat = self._nats.get(destination.ip)
        if nat is not None:
            inside = _translator(nat, flight.stream).inward(self.world.now, destination.port, flight.source)
            if inside is None:
                return "no mapping at the NAT"
            link = self._inside.get((id(nat), inside.ip))
            destination = inside
        else:
            link = self._homes.get(destination.ip)
        if link is None or not link.up:
            return NOBODY
        if link.lost_in:
            return RECEIVERS_HOLE
        if (flight.way.name, link.name) in self._cuts:
            return CUT
        return (None if flight.stream else _against_datagram(link, destination, flight.data)) or (link, destination)


def _against_datagram(link: Link, destination: Endpoint, data: bytes) -> str | None:
    if link.no_udp:
        return NO_UDP
    too_big = len(data) + UDP_AND_IP[destination.ip.version] > link.weather.mtu
    return "too big for the receiver's link" if too_big else None


def _translator(nat: Nat, stream: bool) -> Nat:
    return nat.of_streams if stream else nat
