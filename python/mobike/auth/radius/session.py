"""One peer that a server let in, as far as its account goes; and as text, for an IKE SA outlives the process."""

import json
from dataclasses import dataclass, field
from ipaddress import ip_address

from mobike.address import ChildId, Ip, Nanos
from mobike.auth.radius.orders import RadiusOrders, Server
from mobike.commands import SECOND


@dataclass(frozen=True, slots=True)
class Admitted:
    """What a server said of a peer that it let in."""

    orders: RadiusOrders
    server: Server
    user: str
    classes: tuple[bytes, ...] = ()
    """To be told again as they are (RFC 2865 section 5.25)."""
    interim: int = 0
    """How often it wants to hear of the peer, in nanoseconds; 0: not between beginning and end."""
    timeout: int = 0
    """The longest the session may last; 0: no limit."""


@dataclass(slots=True)
class Usage:
    """Packets and octets, as the peer sees them: what came from it is its input."""

    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    def copy(self) -> "Usage":
        """The same, to be added to."""
        return Usage(self.packets_in, self.packets_out, self.bytes_in, self.bytes_out)


@dataclass(slots=True)
class Session:
    """One IKE SA of such a peer."""

    admitted: Admitted
    connection: str
    name: str
    """Acct-Session-Id."""
    since: Nanos
    """May lie before this process began, and before the clock did."""
    remote: Ip
    inner: tuple[Ip, ...]
    due: Nanos | None = None
    children: set[ChildId] = field(default_factory=set)
    over: Usage = field(default_factory=Usage)
    """Of its Child SAs that are gone."""


def write_session(session: Session, now: Nanos, at: float) -> str:
    """As it is; `at` is the time of day, in seconds since the epoch."""
    admitted, over = session.admitted, session.over
    return json.dumps(
        {
            "connection": session.connection,
            "session": session.name,
            "began": at - (now - session.since) / SECOND,
            "remote": str(session.remote),
            "inner": [str(ip) for ip in session.inner],
            "server": [str(admitted.server.ip), admitted.server.port],
            "user": admitted.user,
            "classes": [each.hex() for each in admitted.classes],
            "interim": admitted.interim,
            "timeout": admitted.timeout,
            "over": [over.packets_in, over.packets_out, over.bytes_in, over.bytes_out],
        },
        separators=(",", ":"),
    )


def read_session(text: str, orders: dict[str, RadiusOrders], now: Nanos, at: float) -> Session:
    """As it was, with the servers that its connection has now. ValueError: nobody is left to be told, or damaged."""
    try:
        facts = json.loads(text)
        known = orders[facts["connection"]]
        ip, port = ip_address(facts["server"][0]), facts["server"][1]
        # The one that let the peer in, if it is still asked.
        server = next((each for each in known.servers if (each.ip, each.port) == (ip, port)), known.servers[0])
        admitted = Admitted(
            known,
            server,
            str(facts["user"]),
            tuple(map(bytes.fromhex, facts["classes"])),
            int(facts["interim"]),
            int(facts["timeout"]),
        )
        return Session(
            admitted,
            facts["connection"],
            str(facts["session"]),
            # A clock that was set back makes no session of the future.
            Nanos(now - max(0, round((at - facts["began"]) * SECOND))),
            ip_address(facts["remote"]),
            tuple(map(ip_address, facts["inner"])),
            over=Usage(*map(int, facts["over"])),
        )
    except (KeyError, TypeError, IndexError) as problem:
        raise ValueError(f"no account can be made of it: {problem!r}") from problem
