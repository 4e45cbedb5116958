"""What must hold after every step, whatever the story.

- No more requests are unanswered than the peer's window allows (RFC 7296 section 2.3).
- One message id and direction of an IKE SA carries the same octets, whatever path each copy takes (section 2.1).
- Generations grow; an answer names the path that was ordered with its generation; no older update settles a newer one.
- Once a session is stable, the data plane sends where the session is.
- A gateway that proves addresses before it uses them sends no traffic to others (RFC 4555 section 3.7).
- Events make sense: an SA comes up once, and nothing is told of one that is not up.
- The fleet meets nothing that its tables do not know, and says no secret.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from struct import Struct
from typing import Final

from mobike.address import ChildId, Endpoint, Generation, Path, SaId
from mobike.commands import Announce, Move, Probe
from mobike.events import (
    ChildUp,
    Event,
    IkeSaDown,
    IkeSaUp,
    Moved,
    MoveRefused,
    Notice,
    PathSilent,
    PeerMoved,
    PlaneRefused,
    Role,
)
from mobike.fleet import Decided
from mobike.sim.host import Host
from mobike.sim.world import SECOND, World

WINDOW: Final = 1
"""Requests that may be unanswered unless the peer announced more: nobody here does."""

REMEMBERED: Final = 64
"""Messages of one end of one SA whose octets are remembered."""

MOST_TOLD: Final = 50
"""Violations kept: the first ones say what is wrong."""

NATT_PORT: Final = 4500
IKE_SA_INIT: Final = 34
FRAGMENT: Final = 53
_HEADER: Final = Struct("!QQBBBBII")
_RESPONSE: Final = 0x20
_NONE: Final = Generation(-1)


@dataclass(slots=True)
class _Talk:
    """What one end said in one IKE SA."""

    octets: dict[tuple[bool, int, int], bytes] = field(default_factory=dict)
    unanswered: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Life:
    """One IKE SA as one end tells of it."""

    up: IkeSaUp
    proven: set[Endpoint]
    moves: dict[Generation, Path] = field(default_factory=dict)
    newest: Generation = _NONE
    settled: Generation = _NONE
    refused: bool = False
    """The data plane said that it did not do what it was told."""


class Rules:
    """Sees everything (`host.Watcher`); `violations` says what was wrong, with when and where."""

    def __init__(self, world: World) -> None:
        self.violations: list[str] = []
        self._world = world
        self._talks: dict[tuple[str, int, int], _Talk] = {}
        self._lives: dict[tuple[str, int], dict[SaId, _Life]] = {}
        self._owners: dict[tuple[str, int], SaId] = {}
        """By host and the SPI of its outgoing ESP."""
        self._early: dict[str, deque[tuple[int, Endpoint]]] = {}
        """ESP of Child SAs of which the fleet has not heard yet."""
        self._children: dict[tuple[str, ChildId], int] = {}

    def broken(self, host: Host, what: str) -> None:
        if len(self.violations) < MOST_TOLD:
            self.violations.append(f"{self._world.now / SECOND:.6f} s, {host.name}: {what}")

    # --- what is sent and received ---

    def booted(self, host: Host) -> None:
        self._lives[host.name, host.boots] = {}
        self._early[host.name] = deque(maxlen=REMEMBERED)
        for table in (self._owners, self._children):
            for key in [key for key in table if key[0] == host.name]:
                del table[key]  # type: ignore[arg-type]

    def sent(self, host: Host, path: Path, data: bytes, carries: str) -> None:
        if carries == "esp":
            self._esp(host, int.from_bytes(data[:4], "big"), path.remote)
        elif carries == "ike":
            self._ike(host, data[4:] if path.local.port == NATT_PORT else data)

    def received(self, host: Host, path: Path, data: bytes) -> None:
        message = data
        if path.local.port == NATT_PORT:
            if data[:4] != bytes(4):
                return
            message = data[4:]
        if len(message) < _HEADER.size:
            return
        spi, _, _, _, _, flags, number, _ = _HEADER.unpack_from(message)
        talk = self._talks.get((host.name, host.boots, spi))
        if talk is not None and flags & _RESPONSE:
            talk.unanswered.discard(number)

    def _ike(self, host: Host, message: bytes) -> None:
        spi, _, first, _, exchange, flags, number, length = _HEADER.unpack_from(message)
        if length != len(message):
            self.broken(host, f"the length field of {_name(message)} says {length}, it has {len(message)} octets")
        # In IKE_SA_INIT a request may change (COOKIE, another key exchange), and nobody is bound by an answer.
        if exchange == IKE_SA_INIT:
            return
        talk = self._talks.setdefault((host.name, host.boots, spi), _Talk())
        response = bool(flags & _RESPONSE)
        fragment = int.from_bytes(message[32:34], "big") if first == FRAGMENT else 0
        digest = blake2b(message, digest_size=16).digest()
        if talk.octets.setdefault((response, number, fragment), digest) != digest:
            self.broken(host, f"other octets under the same id: {_name(message)}")
        while len(talk.octets) > REMEMBERED:
            del talk.octets[next(iter(talk.octets))]
        if not response:
            talk.unanswered.add(number)
            if len(talk.unanswered) > WINDOW:
                self.broken(host, f"requests {sorted(talk.unanswered)} are unanswered: {_name(message)}")

    def _esp(self, host: Host, spi: int, to: Endpoint) -> None:
        owner = self._owners.get((host.name, spi))
        if owner is None:
            self._early[host.name].append((spi, to))
            return
        life = self._lives[host.name, host.boots].get(owner)
        if life is not None:
            self._proven(host, life, to)

    def _proven(self, host: Host, life: _Life, to: Endpoint) -> None:
        if life.up.role is Role.RESPONDER and _proves_first(host, life.up) and to not in life.proven:
            self.broken(host, f"ESP of SA {life.up.sa:#x} goes to {to}, which nobody has proven")

    # --- what is told and decided ---

    def turned(self, host: Host, events: Sequence[Event], decided: Decided) -> None:
        lives = self._lives[host.name, host.boots]
        touched: dict[SaId, None] = {}
        for event in events:
            sa = getattr(event, "sa", None)
            if sa is not None:
                touched[sa] = None
                self._told(host, lives, event, sa)
        for command in decided.commands:
            if isinstance(command, Move | Announce | Probe):
                touched[command.sa] = None
                self._ordered(host, lives, command)
        for operation in decided.operations:
            if not host.plane.refuses and operation.sa in lives:
                lives[operation.sa].refused = False
        for note in decided.notes:
            if note.kind == "internal-error":
                self.broken(host, note.text)
            elif any(each.profile.psk.decode(errors="replace") in note.text for each in host.connections):
                self.broken(host, f"a note of kind {note.kind} says a secret")
        for sa in touched:
            if sa in lives:
                self.agrees(host, sa)

    def agrees(self, host: Host, sa: SaId) -> None:
        """The data plane is where the session is, unless an operation is still awaited."""
        row = host.fleet.row(sa)
        life = self._lives[host.name, host.boots].get(sa)
        if row is None or life is None or row.state != "established" or host.plane.awaited or life.refused:
            return
        plane = host.core.plane_path(sa)
        if plane is not None and plane.pair != row.path.pair:
            self.broken(host, f"SA {sa:#x} is stable on {row.path}, but its traffic goes {plane}")

    def is_refused(self, host: Host, sa: SaId) -> bool:
        life = self._lives[host.name, host.boots].get(sa)
        return life is not None and life.refused

    def _told(  # noqa: PLR0912 - one arm for each event
        self, host: Host, lives: dict[SaId, _Life], event: Event, sa: SaId
    ) -> None:
        match event:
            case IkeSaUp():
                if sa in lives:
                    self.broken(host, f"IKE SA {sa:#x} came up twice")
                lives[sa] = _Life(event, {event.path.remote})
                return
            case Notice():
                return
            case _:
                pass
        life = lives.get(sa)
        if life is None:
            if not isinstance(event, PlaneRefused) and type(event).__name__ != "SaMoved":
                self.broken(host, f"{type(event).__name__} is told of IKE SA {sa:#x}, which is not up")
            return
        match event:
            case IkeSaDown():
                del lives[sa]
            case ChildUp():
                self._owners[host.name, event.spi_out] = sa
                early = [to for spi, to in self._early[host.name] if spi == event.spi_out]
                for to in early:
                    self._proven(host, life, to)
            case Moved() | MoveRefused():
                self._answered(host, life, event)
            case PathSilent():
                if event.generation > life.newest >= 0:
                    self.broken(host, f"{event} is of a generation that was never ordered")
            case PeerMoved(verified=True):
                life.proven.add(event.path.remote)
            case PlaneRefused():
                life.refused = True
            case _:
                pass

    def _ordered(self, host: Host, lives: dict[SaId, _Life], command: Move | Announce | Probe) -> None:
        life = lives.get(command.sa)
        if life is None:
            return
        if command.generation < life.newest or (isinstance(command, Move) and command.generation == life.newest):
            self.broken(host, f"{command} comes after generation {life.newest}")
        life.newest = command.generation
        if isinstance(command, Move):
            life.moves[command.generation] = command.path
        while len(life.moves) > REMEMBERED:
            del life.moves[next(iter(life.moves))]

    def _answered(self, host: Host, life: _Life, event: Moved | MoveRefused) -> None:
        ordered = life.moves.get(event.generation)
        if ordered is None or ordered != event.path:
            self.broken(host, f"{event} does not fit the order of its generation: {ordered}")
        if event.generation < life.settled:
            self.broken(host, f"{event} comes after an answer to generation {life.settled}")
        life.settled = max(life.settled, event.generation)


def _proves_first(host: Host, up: IkeSaUp) -> bool:
    profile = next((each.profile for each in host.connections if each.profile.name == up.connection), None)
    return profile is not None and profile.return_routability == "before"


def _name(message: bytes) -> str:
    spi, _, _, _, exchange, flags, number, _ = _HEADER.unpack_from(message)
    what = "response" if flags & _RESPONSE else "request"
    return f"{what} {number} of exchange {exchange} in IKE SA {spi:016x}"
