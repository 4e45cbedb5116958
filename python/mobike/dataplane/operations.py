"""Orders to a data plane, as values. A plane answers each, in a later turn.

The fleet decides where packets go (`Operation`; an event answers). The core agrees on Child SAs (`ChildOrder`), and
where a kernel is to carry them it waits for the plane's word (`mobike.commands.PlaneWord`) before the peer hears of it.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeAlias

from mobike.address import ChildId, Path, SaId
from mobike.events import Role


class Behind(Enum):
    """What still comes to the address of ours that traffic leaves."""

    NOTHING = "nothing"
    """It is gone, or the one that traffic goes to."""
    LATE = "late"
    """What was on its way when the peer heard of the move."""
    MORE = "more"
    """Whatever the peer sends until it has heard: nobody knows yet whether it has (RFC 4555 section 3.5)."""


@dataclass(frozen=True, slots=True)
class MoveSa:
    """Send all Child SAs of this IKE SA over `path` from now on, and expect theirs there."""

    sa: SaId
    path: Path
    encap: bool
    """UDP encapsulation (RFC 3948): decided per path, on or off with each move (RFC 4555 section 3.5)."""
    behind: Behind = Behind.NOTHING


@dataclass(frozen=True, slots=True)
class Park:
    """An end of this IKE SA is away: drop, and count, what would go to it, until `MoveSa`. Nothing is answered."""

    sa: SaId


Operation: TypeAlias = MoveSa | Park


class Sends(Enum):
    """When packets leave through a Child SA; what comes in on it is taken at once."""

    AT_ONCE = "at-once"
    WHEN_USED = "when-used"
    """When the peer has used it, or when the one that it replaces is gone: the peer may not know yet that it has it
    (RFC 7296 section 2.8)."""
    NEVER = "never"
    """Both ends replaced the same Child SA, and this is the one that goes (RFC 7296 section 2.8.1)."""


class SealedKeys(Protocol):
    """Keys of one Child SA in both directions, which Python can put into a buffer and never look at.

    Wiped when the last reference goes. It has no text, is not compared and not pickled.
    """

    def lengths(self) -> tuple[int, int]:
        """Octets of a direction: of encryption with the salt behind it (RFC 4106 section 8.1), and of integrity, which
        an AEAD has none of."""

    def write(
        self, buffer: bytearray, /, *, inbound: bool, encryption_at: int, integrity_at: int | None = None
    ) -> None:
        """Put the keys of a direction into `buffer`, at these offsets. ValueError: they do not fit, or are wiped."""

    def wipe(self) -> None:
        """Forget them now."""


@dataclass(frozen=True, slots=True)
class Volumes:
    """What a Child SA may carry in each direction; 0: any amount."""

    soft_bytes: int = 0
    """Then `ChildWorn` is to be said."""
    soft_packets: int = 0
    hard_bytes: int = 0
    """Then `ChildSpent`, and nothing more is carried."""
    hard_packets: int = 0


@dataclass(frozen=True, slots=True)
class InstallChild:
    """Carry this Child SA. `ChildInstalled` or `ChildRefused` answers; until then nothing leaves for its IKE SA."""

    sa: SaId
    child: ChildId
    name: str
    """Which of the connection's Child SAs it is."""
    role: Role
    """Ours in the IKE SA. Who can move wants to know early that a path is silent."""
    spi_in: int
    spi_out: int
    suite: str
    """As `ChildUp` has it: `aes128gcm16`, `aes256-sha256-esn`."""
    local_ts: tuple[str, ...]
    """As in `ChildUp`."""
    remote_ts: tuple[str, ...]
    path: Path
    """Outer addresses; with `encap` its ports are those of the encapsulation. One that joins others of its IKE SA goes
    where those are instead: traffic stays where it was put until `MoveSa` puts it elsewhere."""
    encap: bool
    sends: Sends
    instead_of: ChildId | None
    """The one that it replaces, if it does not send at once."""
    volumes: Volumes
    keys: SealedKeys | None = field(repr=False, compare=False)
    """None: the plane carries it since before a restart. It is adopted if it is still there, else refused."""
    transport_mode: bool = False
    """It carries what the ends of `path` send to each other, without another header (RFC 4301 section 4.1)."""


@dataclass(frozen=True, slots=True)
class RemoveChild:
    """Carry this Child SA no longer, if it is there; but first let that send which waits for its end. `ChildRemoved` is
    said when `carry` has returned."""

    sa: SaId
    child: ChildId


ChildOrder: TypeAlias = InstallChild | RemoveChild
"""Told by the core in the order in which it decided them, and to be carried out in that order."""
