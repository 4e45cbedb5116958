"""Tunnels whose ESP is the kernel's at both ends, and the moves they make under a stream of numbered datagrams."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias

from mobike.dataplane.xfrm.kernel import Kernel
from mobike.dataplane.xfrm.state import Sa
from tests.dataplane.xfrm.lab import in_namespace
from tests.interop.rig import (
    GW1,
    INNER,
    UP1,
    UP2,
    Cable,
    Charon,
    Mobike,
    Namespace,
    Rig,
    addresses,
    initiator,
    merge,
    mobike_client,
    mobike_gateway,
    psk,
    responder,
    until,
)
from tests.interop.tunnels import UPLINK_1_FIRST

from .ends import PLUGINS, in_kernel
from .hands import Hand, hand
from .kernel_state import PolicyShown, SaShown, faults, policies, sas
from .stream import PATIENCE_S, Account, Stream, Streams, streams

POOL_NET = "10.177.0."
LOOK_S = 0.3
"""Between two looks at a kernel by `ip`: what it costs would slow down the daemons, on one processor."""
BEHIND_NAT = GW1.via
"""How a gateway sees a client behind the router's NAT."""
OTHER = "10.1.1.7"
"""Another address for uplink 1."""
ABSENT_S = 0.2
"""How long a client is without any address, where that is what is tried."""
STAYS_S = 1.0
"""What a peer that does not move of itself gets, before its old network goes."""
LATE_S = 3.5
"""After a move nothing that was sent before it comes any more."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where ESP goes."""

    client: str
    gateway: str
    seen: str
    """The client, as the gateway sees it."""
    encap: bool


HOME = Place(UP1.address, GW1.address, UP1.address, False)
AWAY = Place(UP2.address, GW1.address, UP2.address, False)
HIDDEN = Place(UP2.address, GW1.address, BEHIND_NAT, True)
RENUMBERED = Place(OTHER, GW1.address, OTHER, False)
HOME6 = Place(UP1.address6, GW1.address6, UP1.address6, False)

Step = Callable[["Journey"], None]
Kind: TypeAlias = type[Mobike] | type[Charon]


@dataclass(frozen=True, slots=True)
class Move:
    """What happens, and where it leads."""

    name: str
    steps: tuple[Step, ...]
    to: Place
    made_first: bool = False
    """The new way is there, and used, before the old one goes: nothing need be lost between two of ours."""
    silent: bool = False
    """No event tells of it: only who tests paths leaves."""
    tidy: tuple[Step, ...] = ()
    """Afterwards, for the next one."""

    @property
    def breaks_first(self) -> bool:
        """The way in use goes, and nothing came before it."""
        return len(self.steps) == 1


@dataclass(frozen=True, slots=True)
class Route:
    """Moves that one tunnel makes, one after the other."""

    name: str
    start: Place
    moves: tuple[Move, ...]
    nat: tuple[Cable, ...] = ()
    ipv6: bool = False


@dataclass(frozen=True, slots=True)
class Leg:
    """One move that was made, and what it cost."""

    move: Move
    out: Account
    """From the client."""
    back: Account
    broken: tuple[int, int]
    """What was sent next, out and back, when the old way was about to go."""
    mended: tuple[int, int]
    """And when there was another."""

    @property
    def absent(self) -> tuple[int, int]:
        """Sent while there was no way at all."""
        return self.mended[0] - self.broken[0], self.mended[1] - self.broken[1]


@dataclass(frozen=True, slots=True)
class Outlooks:
    """A socket to the kernel of each end."""

    client: Kernel
    gateway: Kernel

    @classmethod
    @contextmanager
    def of(cls, rig: Rig) -> Iterator[Outlooks]:
        with ExitStack() as stack:
            kernels = [in_namespace(ns, Kernel) for ns in (rig.client, rig.gateway)]
            for kernel in kernels:
                stack.callback(kernel.close)
            yield cls(*kernels)

    def shown(self) -> tuple[list[Sa], list[Sa]]:
        """All SAs, of the client and of the gateway."""
        near, far = ([seen.sa for seen in kernel.sas()] for kernel in (self.client, self.gateway))
        return near, far


@dataclass(slots=True)
class Journey:
    """A tunnel that is up, and its streams."""

    rig: Rig
    client: Mobike | Charon
    gateway: Mobike | Charon
    streams: Streams
    outlooks: Outlooks
    hand: Hand
    """In the client's namespace."""
    here: Place
    broken: tuple[int, int] = (0, 0)
    mended: tuple[int, int] = (0, 0)
    sent: dict[int, int] = field(default_factory=dict)
    """By SPI, as the kernel counts."""

    @property
    def seeks_the_best(self) -> bool:
        """Does the client leave a network that works for a better one?"""
        return isinstance(self.client, Mobike)

    def make(self, move: Move) -> Leg:
        """Move, see that all is as it should be, and count what was lost."""
        begin = self.broken = self.mended = self.streams.now()
        for step in move.steps:
            step(self)
        self.settle(move.to)
        end = self.streams.now()
        out, back = self.streams.account(begin, end)
        for step in move.tidy:
            step(self)
        return Leg(move, out, back, self.broken, self.mended)

    def breaks(self) -> None:
        """The old way is about to go; another one is there."""
        self.broken = self.mended = self.streams.now()

    def settle(self, place: Place) -> None:
        """Wait until traffic flows there, and both kernels hold exactly what they should."""
        self.here = place
        try:
            until(self.is_there, f"{place} is in use", PATIENCE_S)
            self.streams.wait_flow()
            with self.streams.paused():
                until(self.is_exact, f"SAs and policies of {place}", PATIENCE_S, LOOK_S)
        except TimeoutError as late:
            late.add_note(self.shown())
            raise
        self.streams.wait_flow()

    def is_there(self) -> bool:
        """Do both kernels send there? A look that costs them little."""
        place = self.here
        ways = ((place.client, place.gateway), (place.gateway, place.seen))
        return all(
            any((str(sa.source), str(sa.destination), sa.encap is not None) == (*way, place.encap) for sa in shown)
            for way, shown in zip(ways, self.outlooks.shown(), strict=True)
        )

    def is_exact(self) -> bool:
        """Do both kernels hold just the two SAs and the policies of this tunnel, where it is?"""
        place, rig = self.here, self.rig
        near, far = sas(rig.client), sas(rig.gateway)
        self.counted(near + far)
        return (
            _are(near, place.client, place.gateway, place.encap)
            and _are(far, place.seen, place.gateway, place.encap)
            and {sa.spi for sa in near} == {sa.spi for sa in far}
            and _lead(policies(rig.client), place.client, place.gateway)
            and _lead(policies(rig.gateway), place.gateway, place.seen)
        )

    def counted(self, shown: Sequence[SaShown]) -> None:
        """Sequence numbers never go back."""
        for sa in shown:
            if sa.sent:
                assert sa.sent >= self.sent.get(sa.spi, 0), f"{sa} went back"
                self.sent[sa.spi] = sa.sent

    def end(self) -> None:
        """Take the tunnel down: nothing is left in either kernel, and all that came in was counted."""
        with self.streams.paused():
            for end, stream in ((self.gateway, self.streams.out), (self.client, self.streams.back)):
                self.adds_up(end, stream)
            if isinstance(self.client, Mobike):
                self.client.post("connections/net/down")
            else:
                self.client.terminate()
            until(lambda: not any(map(self.left, (self.rig.client, self.rig.gateway))), "nothing is left", PATIENCE_S)
        assert not any(stream.duplicates for stream in self.streams.both())
        for ns, stream in ((self.rig.gateway, self.streams.out), (self.rig.client, self.streams.back)):
            # What waits at a router for a link that is down comes when that is up again: old numbers, once.
            thrown = faults(self.rig, ns)
            assert thrown.get("XfrmInStateSeqError", 0) <= stream.lost(), f"numbers came again to {ns}: {thrown}"

    def adds_up(self, end: Mobike | Charon, stream: Stream) -> None:
        """What is counted as come in is what came, over all moves. Where there are several processors, one may come
        between the copy of an SA and its end (XFRM_MSG_MIGRATE), and is in no counter then. strongSwan moves SAs and
        policies one after the other: what its kernel took from ESP may be let in by no policy, or is not counted."""
        alone = os.cpu_count() == 1

        def adds_up() -> bool:
            missing = stream.arrived() - self.counted_in(end)
            if isinstance(end, Charon):
                return abs(missing) <= stream.lost()
            return missing == 0 if alone else missing >= 0

        try:
            until(adds_up, "counters add up", PATIENCE_S, LOOK_S)
        except TimeoutError as late:
            late.add_note(f"{end}: {self.counted_in(end)} counted, {stream.arrived()} came\n{self.shown()}")
            raise
        print(f"{type(end).__name__}: {self.counted_in(end)} counted, {stream.arrived()} came")

    def counted_in(self, end: Mobike | Charon) -> int:
        """Packets that came in through the one tunnel of this end: as our daemon says, or the kernel of strongSwan."""
        if isinstance(end, Mobike):
            return end.wait_up().children[0].packets_in
        rig, place = self.rig, self.here
        ns, here = (rig.gateway, place.gateway) if end is self.gateway else (rig.client, place.client)
        return sum(sa.packets for sa in sas(ns) if sa.destination == here)

    def left(self, ns: Namespace) -> list[object]:
        """What a kernel holds."""
        return [*sas(ns), *policies(ns)]

    def shown(self) -> str:
        """For an error."""
        lines: list[str] = []
        for ns in (self.rig.client, self.rig.gateway):
            lines += map(str, [ns, *sas(ns), *policies(ns), faults(self.rig, ns)])
        return "\n".join(lines)


@contextmanager
def journey(folder: Path, route: Route, client: Kind, gateway: Kind, moves: str = "auto") -> Iterator[Journey]:
    """A tunnel where the route starts, under traffic. `moves`: how SAs of ours get elsewhere."""
    with ExitStack() as stack:
        rig = stack.enter_context(Rig(nat=route.nat, ipv6=route.ipv6))
        remotes = (GW1.address, GW1.address6) if route.ipv6 else (GW1.address,)
        answers, calls = _gateway(rig, folder, gateway, moves), _client(rig, folder, client, remotes, moves)
        stack.enter_context(answers)
        stack.enter_context(calls)
        if isinstance(calls, Charon):
            calls.initiate()
        both = stack.enter_context(streams(rig, _virtual_address(rig), INNER))
        outlooks = stack.enter_context(Outlooks.of(rig))
        made = Journey(rig, calls, answers, both, outlooks, stack.enter_context(hand(rig.client)), route.start)
        made.settle(route.start)
        yield made


def _gateway(rig: Rig, folder: Path, kind: Kind, moves: str) -> Mobike | Charon:
    if issubclass(kind, Mobike):
        return Mobike(rig, rig.gateway, folder / "gateway", in_kernel(mobike_gateway(), moves))
    return Charon(rig.gateway, folder / "gateway", responder(), secrets=psk(), plugins=PLUGINS)


def _client(rig: Rig, folder: Path, kind: Kind, remotes: Sequence[str], moves: str) -> Mobike | Charon:
    if kind is Mobike:
        config = in_kernel(mobike_client(*remotes, links=UPLINK_1_FIRST, liveness="1s"), moves)
        return Mobike(rig, rig.client, folder / "client", config)
    # It tests its peer as often as ours does: it would not unasked.
    settings = merge(initiator(",".join(remotes[::-1])), {"connections": {"gw": {"dpd_delay": "1s"}}})
    return Charon(rig.client, folder / "client", settings, secrets=psk(), plugins=PLUGINS)


def _virtual_address(rig: Rig) -> str:
    def find() -> str | None:
        words = rig.run(rig.client, ["ip", "-4", "-o", "address"]).stdout.split()
        return next((word.partition("/")[0] for word in words if word.startswith(POOL_NET)), None)

    return until(find, "the client has its inner address", PATIENCE_S, LOOK_S)


def _are(shown: list[SaShown], one: str, other: str, encap: bool) -> bool:
    ends = sorted((sa.source, sa.destination) for sa in shown)
    return ends == sorted([(one, other), (other, one)]) and all((sa.ports is not None) is encap for sa in shown)


def _lead(shown: list[PolicyShown], here: str, there: str) -> bool:
    """One each way; those for what comes in may name no addresses."""
    if sorted(policy.direction for policy in shown) != ["fwd", "in", "out"]:
        return False
    for policy in shown:
        ends = (policy.source, policy.destination)
        if policy.direction == "out":
            if ends != (here, there):
                return False
        elif ends != (there, here) and ends not in (("0.0.0.0", "0.0.0.0"), ("::", "::")):
            return False
    return True


# --- steps -----------------------------------------------------------------------------------------------------------


def _down(cable: Cable) -> Step:
    def step(trip: Journey) -> None:
        trip.breaks()
        trip.hand.do(f"link set {cable.device} down")

    return step


def _up(cable: Cable) -> Step:
    return lambda trip: trip.rig.link_up(trip.rig.client, cable.device)


def _follows(place: Place) -> Step:
    """A client that seeks the best goes there now; another one has time to."""

    def step(trip: Journey) -> None:
        if trip.seeks_the_best:
            trip.settle(place)
        else:
            _may_follow(trip)

    return step


def _may_follow(trip: Journey) -> None:
    """Whoever wants to has time to."""
    time.sleep(STAYS_S)


def _gains(address: str) -> Step:
    return lambda trip: trip.rig.addr_add(trip.rig.client, UP1.device, _interface(address))


def _interface(address: str) -> str:
    """Of another prefix than what is there: of equal ones, those that came later go with the first."""
    return f"{address}/{25 if address == OTHER else 24}"


def _loses(address: str) -> Step:
    def step(trip: Journey) -> None:
        trip.breaks()
        trip.hand.do(f"address del {_interface(address)} dev {UP1.device}")

    return step


def _renumbered(old: str, new: str, after: float) -> Step:
    """The only address goes, and the routes with it; then another comes, and then its routes."""
    way = f"route replace default via {UP1.via} dev {UP1.device}"
    comes = (f"address add {_interface(new)} dev {UP1.device}", f"{way} metric {UP1.table}", f"{way} table {UP1.table}")

    def step(trip: Journey) -> None:
        _loses(old)(trip)
        time.sleep(after)
        trip.hand.do(*comes)
        trip.mended = trip.streams.now()

    return step


def _deprecates(address: str) -> Step:
    words = ["ip", "address", "change", f"{address}/24", "dev", UP1.device, "preferred_lft", "0"]

    def step(trip: Journey) -> None:
        trip.rig.run(trip.rig.client, words)

    return step


def _swallowed(trip: Journey) -> None:
    trip.breaks()
    trip.rig.drop_between(trip.rig.router, UP1.address, GW1.address)


def _forgotten(trip: Journey) -> None:
    """The NAT maps the client to another port; the gateway's kernel must come to send there."""
    before = _mapped(trip)
    trip.rig.flush_nat()
    until(lambda: _mapped(trip) != before, "the gateway sends to the new port", PATIENCE_S, LOOK_S)


def _forgotten_long_after(trip: Journey) -> None:
    """The same, when nothing that comes from elsewhere can be late ESP of the way before."""
    time.sleep(LATE_S)
    _forgotten(trip)


def _mapped(trip: Journey) -> int | None:
    sent = [sa for sa in sas(trip.rig.gateway) if sa.source == GW1.address]
    return sent[0].ports[1] if sent and sent[0].ports else None


def _loses_family(version: int) -> Step:
    def step(trip: Journey) -> None:
        for cable in reversed(trip.rig.uplinks):
            trip.breaks()
            trip.rig.addr_del(trip.rig.client, cable.device, cable.address if version == 4 else cable.address6)

    return step


def _gains_family(version: int) -> Step:
    def step(trip: Journey) -> None:
        for cable in trip.rig.uplinks:
            trip.rig.addr_add(trip.rig.client, cable.device, str(cable.host if version == 4 else cable.host6))
        known = {address for cable in trip.rig.uplinks for address in addresses(trip.rig.client, cable.device)}
        assert {ip_address(each).version for each in known} == {4, 6}

    return step


# --- routes ----------------------------------------------------------------------------------------------------------

PLAIN = Route(
    "plain",
    HOME,
    (
        Move("the uplink goes down", (_down(UP1),), AWAY),
        Move("a better uplink comes, then the old goes", (_up(UP1), _follows(HOME), _down(UP2)), HOME, made_first=True),
        Move(
            "a new address comes, then the old goes",
            (_gains(OTHER), _deprecates(UP1.address), _follows(RENUMBERED), _loses(UP1.address)),
            RENUMBERED,
            made_first=True,
        ),
        Move(
            "the address goes, 0.2 s later another comes",
            (_renumbered(OTHER, UP1.address, ABSENT_S),),
            HOME,
            tidy=(_up(UP2),),
        ),
        Move("the uplink becomes a black hole", (_swallowed,), AWAY, silent=True),
    ),
)
TO_AND_FRO = Route(
    "to and fro",
    HOME,
    (
        Move("the uplink goes down", (_down(UP1),), AWAY),
        Move("a better uplink comes", (_up(UP1),), HOME, made_first=True),
    ),
)
"""In short; as often as one likes."""
NAT = Route(
    "nat",
    HOME,
    (
        Move("the uplink goes down, the next is behind a NAT", (_down(UP1),), HIDDEN),
        Move("the NAT forgets its mapping soon after that: another port", (_forgotten,), HIDDEN),
        Move("the NAT forgets its mapping", (_forgotten_long_after,), HIDDEN),
        # Other forms of ESP: what one end sends in the old one, when the other expects the new one, is lost.
        Move("out of the NAT, then its uplink goes", (_up(UP1), _follows(HOME), _down(UP2)), HOME),
    ),
    nat=(UP2,),
)
FAMILIES = Route(
    "families",
    HOME6,
    (
        Move("IPv6 goes, IPv4 stays", (_loses_family(6),), HOME),
        # Ours leaves no pair that works for one that is as good. strongSwan goes home to its first addresses at once.
        Move("IPv6 comes back, then IPv4 goes", (_gains_family(6), _may_follow, _loses_family(4)), HOME6),
    ),
    ipv6=True,
)
ROUTES = (PLAIN, NAT, FAMILIES)
