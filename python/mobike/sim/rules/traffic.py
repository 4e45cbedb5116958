"""Where traffic goes."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import ClassVar, Final, NamedTuple

from mobike.address import Endpoint, Ip, Path, SaId, Transport
from mobike.commands import Command, Profile
from mobike.dataplane.operations import MoveSa, Operation
from mobike.events import ChildUp, Event, IkeSaDown, IkeSaResumed, IkeSaUp, PeerMoved, PlaneRefused, Role
from mobike.fleet import Decided
from mobike.sim.host import Host
from mobike.sim.rules.base import (
    IKE_SA_INIT,
    PATH_PROBE,
    REMEMBERED,
    Broken,
    Life,
    Lives,
    Memory,
    Message,
    Packet,
    Rule,
    new_spi,
)

PROBES_UNDER_WAY: Final = 4_096
"""Path probes that may still arrive."""

ASKED_REMEMBERED: Final = 64
"""Requests of one end of one SA whose destinations are remembered while they are unanswered."""


class _OfEsp(Rule):
    """Knows whose ESP a packet is, also when it leaves before the fleet has heard of its Child SA."""

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._owners: dict[str, dict[int, SaId]] = {}
        """By host and the SPI of its outgoing ESP."""
        self._early: dict[str, deque[tuple[int, Path]]] = {}

    def booted(self, host: Host) -> None:
        self._owners[host.name] = {}
        self._early[host.name] = deque(maxlen=REMEMBERED)

    def esp_sent(self, host: Host, path: Path, packet: Packet) -> None:
        owner = self._owners[host.name].get(packet.spi)
        if owner is None:
            self._early[host.name].append((packet.spi, path))
            return
        life = self.lives.get(host, owner)
        if life is not None:
            self.judge(host, life, path)

    def told(self, host: Host, event: Event) -> None:
        if isinstance(event, ChildUp):
            self._owners[host.name][event.spi_out] = event.sa
            life = self.lives.get(host, event.sa)
            early = self._early[host.name]
            # Whoever has this SPI next, these packets are none of its own.
            self._early[host.name] = deque((each for each in early if each[0] != event.spi_out), maxlen=REMEMBERED)
            for path in [path for spi, path in early if spi == event.spi_out]:
                if life is not None:
                    self.judge(host, life, path)

    def judge(self, host: Host, life: Life, path: Path) -> None:
        """An ESP packet of this SA leaves over this path."""
        raise NotImplementedError


@dataclass(slots=True)
class _Proof:
    """What one end of one IKE SA has seen of its peer's addresses, by looking at packets alone."""

    asked: dict[int, set[Endpoint]] = field(default_factory=dict)
    """Where the copies of each request were sent."""
    delivered: set[Endpoint] = field(default_factory=set)
    """Where the peer got a path probe of this end."""
    proven: set[Endpoint] = field(default_factory=set)


class _EarlyProbe(NamedTuple):
    """One that a host got before its control plane heard of the IKE SA."""

    spi: int
    theirs: _Proof
    """Of who sent it."""
    place: Endpoint
    """Where to."""
    delivered: frozenset[Endpoint]
    """Where probes of the host had been got by then."""


class Proven(_OfEsp):
    """A gateway that proves addresses before it uses them sends no traffic to others (RFC 4555 section 3.7).

    It believes no event: an address is proven where the SA came up, where a request was answered of which no copy was
    sent elsewhere, and where the peer got a path probe (each is sent once) before it said something in another one.
    """

    name: ClassVar[str] = "no traffic to an unproven address"

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._proofs = Memory(_Proof)
        self._probes: dict[bytes, tuple[str, _Proof, Endpoint]] = {}
        """By their octets: who sent it, and where to."""
        self._early_probes: dict[str, deque[_EarlyProbe]] = {}
        self._known_as: dict[tuple[str, SaId], int] = {}
        """The initiator's SPI that each SA was last known by, over all processes of a host."""
        self._replaced: set[tuple[str, int]] = set()
        """Those that an SA was known by before. Probes with the old keys go on until the peer has the new ones."""

    def wrote_down(self, host: Host, sas: Sequence[SaId]) -> None:
        self._proofs.wrote_down(host)

    def booted(self, host: Host) -> None:
        super().booted(host)
        self._proofs.booted(host)
        self._early_probes[host.name] = deque(maxlen=PROBES_UNDER_WAY)

    def ike_sent(self, host: Host, path: Path, message: Message) -> None:
        if message.exchange == PATH_PROBE:
            self._probes[message.octets] = (host.name, self._proof(host, message.spi), path.remote)
            if len(self._probes) > PROBES_UNDER_WAY:
                del self._probes[next(iter(self._probes))]
        elif not message.response and message.exchange != IKE_SA_INIT:
            asked = self._proof(host, message.spi).asked
            asked.setdefault(message.number, set()).add(path.remote)
            while len(asked) > ASKED_REMEMBERED:
                del asked[next(iter(asked))]

    def ike_received(self, host: Host, path: Path, message: Message) -> None:
        if message.exchange == PATH_PROBE:
            sender, theirs, place = self._probes.pop(message.octets, (host.name, _Proof(), path.remote))
            ours = self._proof(host, message.spi)
            if sender == host.name:
                return
            if self.lives.of_spi(host, message.spi) is None and (host.name, message.spi) not in self._replaced:
                early = _EarlyProbe(message.spi, theirs, place, frozenset(ours.delivered))
                self._early_probes[host.name].append(early)
                return
            theirs.delivered.add(place)
            ours.proven |= ours.delivered
        elif message.response:
            proof = self._proofs.get(host, message.spi)
            to = set() if proof is None else proof.asked.pop(message.number, set())
            if proof is not None and len(to) == 1:
                proof.proven |= to

    def judge(self, host: Host, life: Life, path: Path) -> None:
        if self._is_unproven(host, life, path):
            self.broken(host, f"ESP of SA {life.up.sa:#x} goes to {path.remote}, which nobody has proven")

    def told(self, host: Host, event: Event) -> None:
        super().told(host, event)
        self._inherit(host, event)
        if isinstance(event, IkeSaUp):
            ours = self._proof(host, event.spi_i)
            ours.proven.add(event.path.remote)
            for early in self._early_probes[host.name]:
                if early.spi == event.spi_i:
                    early.theirs.delivered.add(early.place)
                    ours.proven |= early.delivered
        life = self.lives.get(host, event.sa) if isinstance(event, PeerMoved) and event.verified else None
        if isinstance(event, PeerMoved) and life is not None and self._is_unproven(host, life, event.path):
            self.broken(host, f"{event}, but nobody has proven that address")

    def _inherit(self, host: Host, event: Event) -> None:
        """With new keys, what was proven stays so (RFC 7296 section 2.8).

        A process may end before its control plane hears of them: then the next one tells by which SPI the SA goes on.
        """
        match event:
            case IkeSaUp():
                self._known_as[host.name, event.sa] = event.spi_i
            case IkeSaResumed(up=up):
                self._renamed(host, up.sa, up.spi_i)
            case _:
                spi = new_spi(event)
                if spi is not None:
                    self._renamed(host, getattr(event, "sa", SaId(0)), spi)

    def _renamed(self, host: Host, sa: SaId, spi: int) -> None:
        before = self._known_as.get((host.name, sa))
        self._known_as[host.name, sa] = spi
        if before is not None and before != spi:
            self._replaced.add((host.name, before))
            new, old = self._proof(host, spi), self._proof(host, before)
            old.proven |= new.proven
            new.proven = old.proven
            # An identifier of a probe with the old keys proves as much in the peer's next one, with the new keys.
            new.delivered = old.delivered

    def _is_unproven(self, host: Host, life: Life, path: Path) -> bool:
        to = path.remote
        if path.transport is Transport.TCP:
            return False  # who opened a stream has received there (RFC 9329 section 7.1)
        if life.up.role is not Role.RESPONDER or not _proves_first(life.profile, to.ip):
            return False
        return to not in self._proof(host, life.spi).proven

    def _proof(self, host: Host, spi: int) -> _Proof:
        return self._proofs.of(host, spi)


def _proves_first(profile: Profile | None, ip: Ip) -> bool:
    if profile is None:
        return False
    match profile.return_routability:
        case "before":
            return True
        case "untrusted":
            return not _is_in(ip, profile.trusted)
        case _:
            return False


class Allowed(_OfEsp):
    """No traffic leaves from or to an address that the profile forbids: prefixes, families."""

    name: ClassVar[str] = "no traffic that policy forbids"

    def judge(self, host: Host, life: Life, path: Path) -> None:
        profile = life.profile
        if profile is None:
            return
        for ip, prefixes in ((path.local.ip, profile.allow_local), (path.remote.ip, profile.allow_remote)):
            if ip.version not in profile.families or (prefixes and not _is_in(ip, prefixes)):
                self.broken(host, f"ESP of SA {life.up.sa:#x} goes over {path}, but policy forbids {ip}")


def _is_in(ip: Ip, prefixes: Sequence[str]) -> bool:
    return any(ip in ip_network(each) for each in prefixes)


class Agreement(_OfEsp):
    """Once a session is stable, the data plane sends where the session is."""

    name: ClassVar[str] = "the data plane agrees"

    def __init__(self, lives: Lives, broken: Broken) -> None:
        super().__init__(lives, broken)
        self._refused: dict[str, set[SaId]] = {}
        self._stable: dict[str, dict[SaId, Path | None]] = {}
        """Where each SA is stable since the last turn of its host: packets are many, turns few."""

    def booted(self, host: Host) -> None:
        super().booted(host)
        self._refused[host.name] = set()
        self._stable[host.name] = {}

    def ordered(self, host: Host, orders: Sequence[Command | Operation]) -> None:
        for each in orders:
            if isinstance(each, MoveSa):
                self._refused[host.name].discard(each.sa)

    def judge(self, host: Host, life: Life, path: Path) -> None:
        where = self._stable_on(host, life.up.sa)
        if where is not None and path.pair != where.pair:
            self.broken(host, f"SA {life.up.sa:#x} is stable on {where}, but its traffic goes {path}")

    def turned(self, host: Host, events: Sequence[Event], decided: Decided) -> None:
        self._stable[host.name] = {}
        refused = self._refused[host.name]
        touched: dict[SaId, None] = {}
        for event in events:
            sa: SaId | None = getattr(event, "sa", None)
            if sa is None:
                continue
            touched[sa] = None
            if isinstance(event, PlaneRefused):
                refused.add(sa)
            elif isinstance(event, IkeSaDown):
                refused.discard(sa)
        touched |= dict.fromkeys(each.sa for each in decided.operations)
        for sa in touched:
            where, plane = self._stable_on(host, sa), host.core.plane_path(sa)
            if where is not None and plane is not None and plane.pair != where.pair:
                self.broken(host, f"SA {sa:#x} is stable on {where}, but its traffic goes {plane}")

    def _stable_on(self, host: Host, sa: SaId) -> Path | None:
        """None as well while something is on its way to the data plane, or was refused by it."""
        if host.plane.awaited or host.plane.refuses or sa in self._refused[host.name]:
            return None
        known = self._stable[host.name]
        if sa not in known:
            row = host.fleet.row(sa)
            is_stable = row is not None and row.state == "established" and self.lives.get(host, sa) is not None
            known[sa] = row.path if row is not None and is_stable else None
        return known[sa]
