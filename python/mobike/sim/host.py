"""One end: the real core without sockets, the real fleet, and the real turn, woken by the world's clock."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from ipaddress import IPv4Address
from itertools import islice
from typing import Final, Literal, Protocol, TypeAlias

from mobike import _core
from mobike.address import Endpoint, Ip, Pair, Path, SaId, Token, Transport
from mobike.auth import Doorkeeper
from mobike.commands import Announce, Command, Connect, Move, Probe, SetProfile
from mobike.config import Connection
from mobike.dataplane.operations import ChildOrder, Operation
from mobike.events import Event, IkeSaDown, IkeSaRekeyed, IkeSaResumed, IkeSaUp, OperatorEvent, Question, Role
from mobike.fleet import Decided, Fleet
from mobike.gateway.heart import Heart
from mobike.inner import echo
from mobike.inner.pinger import Pinger
from mobike.sim.links import SimLinks
from mobike.sim.network import Link, Network
from mobike.sim.plane import SimPlane
from mobike.sim.streams import Streams
from mobike.sim.world import MS

NATT_PORT: Final = 4500

CORE_GAP: Final = 2 * MS
"""Turns that only the core asks for are so far apart, as in the daemon."""

CROWD_TOKENS: Final = 1 << 40
"""Tokens of a crowd begin here, far above those that a fleet gives out."""

CROWD_PACE: Final = MS // 2
"""Between the SAs of a crowd when they are set up."""

INNER_AT_ONCE: Final = 4096

DAY_ONE: Final = datetime(2030, 1, 1, tzinfo=UTC)
"""When a world begins, for certificates."""

OLD_ORDERS: Final = 32
"""Orders that a faulty mailbox may hand over again."""


SENT_REMEMBERED: Final = 8
"""Datagrams that somebody on the way may quote in an ICMP error."""

MOST_LOOKED_AT: Final = 64
"""SAs of which it is checked that an ICMP error moved nothing."""


PlaneName: TypeAlias = Literal["userspace", "kernel", "null"]
"""Who does ESP: the core, at once or when the host's plane has said so; or nobody."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What an ICMP error has made a core do at once."""

    datagrams: int
    told: bool
    """It has told its control plane of something."""
    moved: tuple[SaId, ...]


class Past(Enum):
    """What a process knows of the one before it."""

    NOTHING = "nothing"
    STORED = "stored"
    """What that one wrote down some time before it was killed."""
    ALL = "all"
    """That one ended in order."""


class Watcher(Protocol):
    """Who sees everything."""

    def wrote_down(self, host: "Host", sas: Sequence[SaId]) -> None: ...

    def booted(self, host: "Host") -> None: ...

    def not_resumed(self, host: "Host", sa: SaId, why: str) -> None: ...

    def sent(self, host: "Host", path: Path, data: bytes, carries: str) -> None: ...

    def received(self, host: "Host", path: Path, data: bytes) -> None: ...

    def grumbled(self, host: "Host", path: Path, effect: Effect) -> None: ...

    def delivered(self, host: "Host", packets: Sequence[bytes]) -> None: ...

    def told(self, host: "Host", events: Sequence[Event]) -> None: ...

    def ordered(self, host: "Host", orders: Sequence[Command | Operation]) -> None: ...

    def turned(self, host: "Host", events: Sequence[Event], decided: Decided) -> None: ...


class Host:
    """A gateway or a client."""

    def __init__(
        self,
        name: str,
        network: Network,
        watcher: Watcher,
        connections: Sequence[Connection],
        *,
        crowd: int,
        plane: PlaneName,
    ) -> None:
        """`crowd`: SAs of the first connection beside the one that the fleet keeps up."""
        self.name = name
        self.world = network.world
        self.connections = tuple(connections)
        self.links: dict[str, Link] = {}
        """By the name that the host itself calls them."""
        self.crowd = crowd
        self.kind = plane
        self.plane = SimPlane(self.world, self.submit, self.wake)
        self.secrets = tuple({each.profile.psk for each in connections})
        self.secret_words = tuple(each.decode(errors="replace") for each in self.secrets)
        self.boots = 0
        self.past = Past.NOTHING
        """What its process knows of the one before."""
        self.is_gone = False
        """No process is there: what comes meets nobody."""
        self._stored: Sequence[tuple[SaId, bytes]] = ()
        self._store_key = self.world.chance(f"{name}/store").randbytes(32)
        self.pingers: dict[SaId, Pinger] = {}
        """They are no part of the process, and outlive it as long as their SAs do."""
        self._ping_streams = 0
        profiles = [each.profile for each in connections]
        self._uses_streams = any(each.tcp for each in profiles)
        self._takes_streams = any(each.tcp and each.accepts for each in profiles)
        self.streams: Streams | None = None
        self.ups: dict[SaId, IkeSaUp] = {}
        """SAs that are up, as they came up."""
        self.sent: deque[tuple[Path, bytes]] = deque(maxlen=SENT_REMEMBERED)
        """What left last, keepalives aside."""
        self._network = network
        self._watcher = watcher
        self._ways: dict[Ip, Link] = {}

    # --- life ---

    def attach(self, name: str, link: Link) -> None:
        self.links[name] = link
        self._ways.update(dict.fromkeys(link.addresses, link))

    def boot(self, past: Past = Past.NOTHING) -> None:
        """A process begins."""
        self.boots += 1
        self.past = past
        self.is_gone = False
        seed = self.world.chance(f"{self.name}/{self.boots}").randbytes(32)
        self._end_streams()
        self.core = self.make_core(seed)
        if self._uses_streams:
            draw = self.world.chance(f"{self.name}/{self.boots}/ports").randint
            self.streams = Streams(self.world, self, NATT_PORT, self._takes_streams, draw)
        self.fleet = Fleet(
            (each.policy for each in self.connections),
            public=dict.fromkeys(ip for each in self.connections for ip in each.addresses),
        )
        self.plane.end()
        self.link_source = SimLinks(self.links, self.wake)
        self.plane = SimPlane(self.world, self.submit, self.wake)
        self._heart = Heart(
            self,
            self.link_source,
            self.plane,
            self.fleet,
            self._watch,
            door=self._door(),
            time_of_day=self._time_of_day,
        )
        self.stalled_until = 0
        self._turn_at: int | None = None
        self._last_turn = -CORE_GAP
        self._timer_at: int | None = None
        self.ups = {}
        if past is Past.NOTHING:
            self.pingers = {}
            self._stored = ()
        self._old_orders: deque[Move | Announce | Probe] = deque(maxlen=OLD_ORDERS)
        self._watcher.booted(self)
        self.submit([SetProfile(each.profile) for each in self.connections])
        self.wake()
        for number in range(self.crowd if past is Past.NOTHING else 0):
            self._soon((number + 1) * CROWD_PACE, partial(self._one_more, number))

    def make_core(self, seed: bytes) -> _core.SimCore:
        """The real one, without sockets."""
        return _core.SimCore(seed=seed, plane=self.kind, store_key=self._store_key)

    def _door(self) -> Doorkeeper:
        return Doorkeeper({each.name: each.trust for each in self.connections if each.trust is not None})

    def _time_of_day(self) -> datetime:
        return DAY_ONE + timedelta(microseconds=self.world.now // 1000)

    def write_down(self) -> None:
        """What changed is put into the daemon's store; this is what it holds then."""
        if not self.is_gone:
            self._write_down(in_order=False)

    def _write_down(self, *, in_order: bool) -> None:
        self._stored = self.core.records(self.fleet.remember(None, self.world.now), in_order=in_order)
        self._watcher.wrote_down(self, [sa for sa, _ in self._stored])

    def hand_over(self, *, in_order: bool, after: int) -> None:
        """The process ends, and another goes on with its SAs so much later: it parks them, or it is killed."""
        if self.is_gone:
            return
        if in_order:
            self.plane.finish()
            self._write_down(in_order=True)
        self.plane.end()
        self.is_gone = True
        self._end_streams()
        self.ups = {}
        self._soon(after, partial(self._go_on, Past.ALL if in_order else Past.STORED))

    def _go_on(self, past: Past) -> None:
        records, self._stored = self._stored, ()
        self.boot(past)
        verdicts = self.core.resume(self.world.now, [(record, False) for _, record in records])
        refused = [(sa, why) for sa, why in verdicts if why is not None]
        for sa, why in refused:
            self._watcher.not_resumed(self, sa, why)
        self.fleet.expect(len(records) - len(refused))
        self._drain()

    def wake(self) -> None:
        """Take a turn as soon as the control plane can."""
        self._turn_by(self.world.now)

    def order(self, order: OperatorEvent) -> None:
        self._heart.order(order)
        self.wake()

    def stall(self, span: int) -> None:
        """The control plane does nothing for so long; the core goes on."""
        self.stalled_until = max(self.stalled_until, self.world.now + span)

    def _one_more(self, number: int) -> None:
        """A crowd shares one connection: the fleet learns of its SAs when they are up, like a gateway of its peers'."""
        if not self.connections:
            return
        connection = self.connections[0]
        ports = connection.policy.ports
        paths = tuple(
            Path(Endpoint(local, ports.local_ike), Endpoint(remote, ports.remote_ike))
            for link in self.links.values()
            if link.up
            for local in link.addresses
            for remote in connection.policy.remotes
            if local.version == remote.version
        )
        connect = Connect(Token(CROWD_TOKENS + number), connection.profile.name, paths, ports.remote_natt)
        self.submit([connect])

    # --- what the heart and the data plane ask of a core ---

    def submit(self, orders: Sequence[Command | Operation], /) -> None:
        self._watcher.ordered(self, orders)
        self._old_orders.extend(each for each in orders if isinstance(each, Move | Announce | Probe))
        self.core.submit(orders, self.world.now)
        self._drain()

    def repeat_old_orders(self) -> None:
        """A mailbox hands orders over that newer ones have overtaken: the core is to refuse them by their number."""
        if self.is_gone:
            return
        newest = {each.sa: each.generation for each in self._old_orders}
        old = [each for each in self._old_orders if each.generation < newest[each.sa]]
        self.core.submit(old, self.world.now)
        self._drain()

    def take_events(self, limit: int, /) -> Sequence[Event | Question | ChildOrder]:
        events = self.core.take_events(limit)
        self._watcher.told(self, [each for each in events if not isinstance(each, Question | ChildOrder)])
        return events

    # --- packets ---

    def receive(self, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        if self.is_gone:
            return
        over = Path(local, remote)
        self._watcher.received(self, over, data)
        self.core.handle_datagram(self.world.now, over, data)
        self._drain()
        packets = self.core.inner_take(INNER_AT_ONCE)
        if packets:
            self._take_inner(packets)

    # --- streams ---

    def receive_segment(self, local: Endpoint, remote: Endpoint, segment: bytes) -> None:
        """Of a stream. Where no process is, the kernel answers."""
        if self.streams is not None:
            self.streams.receive(local, remote, segment)

    def carry_segment(self, local: Endpoint, remote: Endpoint, segment: bytes) -> None:
        way = self._ways.get(local.ip)
        if way is not None:
            self._network.send(way, local, remote, segment, stream=True)

    def wrote(self, path: Path, message: bytes, carries: str) -> None:
        self._watcher.sent(self, path, message, carries)

    def read(self, path: Path, message: bytes) -> None:
        self._watcher.received(self, path, message)

    def drained(self) -> None:
        """A stream has told the core something."""
        self._drain()
        packets = self.core.inner_take(INNER_AT_ONCE)
        if packets:
            self._take_inner(packets)

    def _end_streams(self) -> None:
        if self.streams is not None:
            self.streams.end_all()

    def unreachable(self, local: Endpoint, remote: Endpoint, quoted: bytes) -> None:
        """Somebody says that a datagram of ours cannot be delivered."""
        if self.is_gone:
            return
        over = Path(local, remote)
        before, had_events = self._planes(), self.core.has_events()
        self.core.handle_unreachable(self.world.now, over, quoted)
        after, told = self._planes(), self.core.has_events() and not had_events
        moved = tuple(sa for sa, path in before.items() if after.get(sa) != path)
        self._watcher.grumbled(self, over, Effect(self._drain(), told, moved))

    def _planes(self) -> dict[SaId, Path | None]:
        return {sa: self.core.plane_path(sa) for sa in islice(self.ups, MOST_LOOKED_AT)}

    def send_inner(self, packets: Sequence[bytes]) -> int:
        """Plain packets into the tunnels."""
        if self.is_gone:
            return 0
        found = self.core.inner_send(self.world.now, packets)
        self._drain()
        return found

    def _take_inner(self, packets: Sequence[bytes]) -> None:
        self._watcher.delivered(self, packets)
        for pinger in self.pingers.values():
            pinger.handle(packets, self.world.now)
        answers = echo.answers(packets)
        if answers:
            self.send_inner(answers)

    def pinger(self, sa: SaId, to: IPv4Address) -> Pinger | None:
        """Who pings through this SA; None if it has no inner IPv4 address."""
        known = self.pingers.get(sa)
        if known is None and sa in self.ups:
            inner = next((ip for ip in self.ups[sa].virtual_ips if isinstance(ip, IPv4Address)), None)
            if inner is not None:
                known = self.pingers[sa] = Pinger(inner, to, self._ping_streams)
                self._ping_streams += 1
        return known

    # --- time ---

    def _drain(self) -> int:
        """How many datagrams have left."""
        if self.streams is not None:
            for stream, message, what, place, again in self.core.take_in_streams():
                self.streams.send(stream, message, what, place, again=again)
        transmits = self.core.take_transmits()
        for path, data, carries in transmits:
            self._watcher.sent(self, path, data, carries)
            if carries != "keepalive":
                self.sent.append((path, data))
            way = self._ways.get(path.local.ip)
            if way is None:
                self._network.lost["from an address of nobody"] += 1
            else:
                self._network.send(way, path.local, path.remote, data)
        if self.core.has_events():
            self._turn_by(max(self.world.now, self._last_turn + CORE_GAP))
        timeout = self.core.poll_timeout()
        if timeout is not None and (self._timer_at is None or timeout < self._timer_at):
            self._timer_at = timeout
            self.world.at(timeout, partial(self._timer, self.boots, timeout))
        return len(transmits)

    def _timer(self, boot: int, due: int) -> None:
        if boot != self.boots or self._timer_at != due or self.is_gone:
            return
        self._timer_at = None
        self.core.handle_timeout(self.world.now)
        self._drain()

    def _turn_by(self, when: int) -> None:
        when = max(when, self.stalled_until)
        if self._turn_at is None or when < self._turn_at:
            self._turn_at = when
            self.world.at(when, partial(self._turn, self.boots, when))

    def _turn(self, boot: int, due: int) -> None:
        if boot != self.boots or self._turn_at != due or self.is_gone:
            return
        self._turn_at = None
        if self.world.now < self.stalled_until:
            self._turn_by(self.stalled_until)
            return
        self._last_turn = self.world.now
        more = self._heart.turn(self.world.now)
        if more:
            self.wake()
            return
        deadline = self.fleet.poll_deadline()
        if deadline is not None:
            self._turn_by(max(deadline, self.world.now))

    def _watch(self, events: Sequence[Event], decided: Decided) -> None:
        for event in events:
            if isinstance(event, IkeSaUp):
                self.ups[event.sa] = event
                self.pingers.pop(event.sa, None)
            elif isinstance(event, IkeSaResumed):
                self.ups[event.up.sa] = event.up
            elif isinstance(event, IkeSaRekeyed) and event.sa in self.ups:
                spis = {"spi_i": event.spi_i, "spi_r": event.spi_r}
                self.ups[event.sa] = replace(self.ups[event.sa], **spis)  # type: ignore[arg-type]
            elif isinstance(event, IkeSaDown):
                self.ups.pop(event.sa, None)
                self.pingers.pop(event.sa, None)
        self._watcher.turned(self, events, decided)

    def _soon(self, span: int, step: object) -> None:
        boot = self.boots

        def if_alive() -> None:
            if boot == self.boots and callable(step):
                step()

        self.world.after(span, if_alive)

    # --- for who looks ---

    @property
    def forgets_events(self) -> bool:
        """Events wait, and no turn will take them."""
        return not self.is_gone and self.core.has_events() and self._turn_at is None

    def initiated(self) -> list[IkeSaUp]:
        return [up for up in self.ups.values() if up.role is Role.INITIATOR]

    def working_pairs(
        self, peer: "Host", remotes: Mapping[Ip, None], transport: Transport = Transport.UDP
    ) -> list[Pair]:
        """Pairs to this peer that work now, of those that may be known here."""
        stream = transport is Transport.TCP
        return [
            Pair(local, remote, transport)
            for ours in self.links.values()
            for theirs in peer.links.values()
            if self._network.works(ours, theirs, stream=stream)
            for local in ours.addresses
            for remote in peer.reached_at(theirs)
            if local.version == remote.version and remote in remotes
        ]

    def reached_at(self, link: Link) -> Sequence[Ip]:
        """Under which addresses others reach this link."""
        return link.addresses if link.nat is None else (link.nat.outside,)
