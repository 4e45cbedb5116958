"""What the fleet knows of a session and the core does not, as octets that are kept with it over restarts."""

import json
from dataclasses import dataclass
from ipaddress import ip_address

from mobike.address import Endpoint, Generation, Ip, Nanos, Path, Transport
from mobike.mobility.session import Session
from mobike.mobility.states import Away
from mobike.policy.choose import Pin

_FIRST = Generation(0)
_NOW = Nanos(0)


@dataclass(frozen=True, slots=True)
class Remembered:
    """Read from notes; what they lack is as with a new session."""

    path: Path | None = None
    """Where traffic went."""
    told: tuple[Ip, ...] | None = None
    """Our list as the peer has it; None: nobody knows, so it is told again."""
    generation: Generation = _FIRST
    pin: Pin | None = None
    moves: int = 0
    age: Nanos = _NOW
    """Nanoseconds since it came up, pauses left out."""
    away: Nanos | None = None
    """It is away, and ends after so many nanoseconds."""


def write_notes(session: Session, now: Nanos) -> bytes:
    """One session, as it is."""
    pin = session.pin
    return json.dumps(
        {
            "path": [str(session.path.local), str(session.path.remote), session.path.transport],
            "told": [str(ip) for ip in session.told],
            "generation": session.generation,
            "pin": None if pin is None else [_text(pin.local), _text(pin.remote)],
            "moves": session.moves,
            "age": now - session.unfold().since,
            "away": max(0, session.state.until - now) if isinstance(session.state, Away) else None,
        },
        separators=(",", ":"),
    ).encode()


def read_notes(notes: bytes) -> Remembered:
    """As far as they can be read: they are sealed with the SA, but another version may have written them."""
    try:
        facts = json.loads(notes)
        local, remote, *transport = facts["path"]
        pin = facts["pin"]
        return Remembered(
            path=Path(Endpoint.parse(local), Endpoint.parse(remote), *map(Transport, transport)),
            told=tuple(map(ip_address, facts["told"])),
            generation=Generation(facts["generation"]),
            pin=None if pin is None else Pin(*(None if each is None else ip_address(each) for each in pin)),
            moves=facts["moves"],
            age=Nanos(facts["age"]),
            away=None if facts["away"] is None else Nanos(facts["away"]),
        )
    except (ValueError, KeyError, TypeError):
        return Remembered()


def _text(ip: Ip | None) -> str | None:
    return None if ip is None else str(ip)
