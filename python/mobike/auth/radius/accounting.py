"""What a peer that a server let in has used, told to that server (RFC 2866): as it begins, in between, when it ends.

A record is repeated until a server answers it: the one that let the peer in, then the others of the connection. Where
none answers for long it is lost, and counted: nobody's traffic waits for an account.

Sessions outlive the process where IKE SAs do: `changed` says what is to be written down of them, `recall` takes it
back. A session whose IKE SA did not come back is over.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from mobike.address import ChildId, Ip, Nanos, SaId
from mobike.auth.radius import codec
from mobike.auth.radius.codec import Attribute
from mobike.auth.radius.orders import Letter, Place, RadiusOrders, Server
from mobike.auth.radius.session import Admitted, Session, Usage, read_session, write_session
from mobike.commands import SECOND, Close
from mobike.events import ChildDown, ChildUp, Event, IkeSaDown, IkeSaUp, Role

TRY: Final = 3 * SECOND
"""A record that was not answered for so long is sent again."""
TRIES: Final = 3
"""So often to each server, one after the other."""
ROUNDS: Final = 3
"""So often all of them; then it is lost: half a minute for each server."""
MOST_WAITING: Final = 16_384
"""Records that wait for an answer, or to be sent; beyond, the oldest are lost."""
MOST_OPEN: Final = 256
"""Records under way to one server: what its identifiers can tell apart."""
LEAST_INTERIM: Final = 60 * SECOND
"""No server gets updates more often than this (RFC 2869 section 2.1)."""
INTERIMS_PER_TURN: Final = 32
"""Each asks a shard what its Child SAs carried, and waits for it."""
PATIENCE: Final = 65 * SECOND
"""A peer that was let in has its IKE SA by then, or never."""
MOST_EXPECTED: Final = 16_384

_AT_ONCE: Final = Nanos(0)
_START, _STOP, _INTERIM = 1, 2, 3
_USER_REQUEST, _LOST_CARRIER, _SESSION_TIMEOUT, _NAS_REQUEST, _NAS_REBOOT = 1, 2, 5, 10, 11
_BY_RADIUS: Final = 1
_VIRTUAL: Final = 5
_TIMED_OUT: Final = "its session is over: the RADIUS server gave it no more time"

Carried = Callable[[ChildId], Mapping[str, int] | None]


@dataclass(slots=True)
class _Record:
    """One Accounting-Request, and how far it got."""

    servers: tuple[Server, ...]
    attributes: tuple[Attribute, ...]
    made: Nanos
    server: int = 0
    tries: int = 0
    rounds: int = 0
    again: Nanos = _AT_ONCE
    authenticator: bytes = b""


class Accounts:
    """Of all peers that servers let in."""

    def __init__(self, chance: Callable[[int], bytes], carried: Carried = lambda _: None) -> None:
        """`carried`: what a Child SA has carried so far, by the names of the core."""
        self._chance = chance
        self._carried = carried
        self._expected: OrderedDict[SaId, tuple[Nanos, Admitted]] = OrderedDict()
        self._sessions: dict[SaId, Session] = {}
        self._changed: set[SaId] = set()
        self._timers: list[tuple[Nanos, SaId]] = []
        """A heap: when sessions are due. One that is not due then has a later entry, or ended."""
        self._waiting: deque[_Record] = deque()
        self._open: dict[tuple[Place, int], _Record] = {}
        self._next: dict[Place, int] = {}
        self.letters: deque[Letter] = deque()
        self.closes: deque[Close] = deque()
        self._told = self._lost = 0

    def counters(self) -> dict[str, int]:
        """What became of records, by name."""
        return {
            "accounting_told": self._told,
            "accounting_lost": self._lost,
            "accounting_waiting": len(self._waiting) + len(self._open),
        }

    def expect(self, sa: SaId, admitted: Admitted, now: Nanos) -> None:
        """A server has let the peer of this IKE SA in."""
        self._expected[sa] = (now, admitted)
        while self._expected and (
            len(self._expected) > MOST_EXPECTED or now - next(iter(self._expected.values()))[0] > PATIENCE
        ):
            self._expected.popitem(last=False)

    def see(self, events: Iterable[Event], now: Nanos) -> None:
        """What a turn took."""
        for event in events:
            match event:
                case IkeSaUp():
                    self._began(event, now)
                case ChildUp() if (session := self._sessions.get(event.sa)) is not None:
                    session.children.add(event.child)
                case ChildDown() if (session := self._sessions.get(event.sa)) is not None:
                    session.children.discard(event.child)
                    _add(session.over, {name: getattr(event, name) for name in Usage.__slots__})
                    self._changed.add(event.sa)
                case IkeSaDown():
                    self._ended(event, now)
                case _:
                    pass
        self._send(now)

    def changed(self, now: Nanos, at: float, *, everything: bool = False) -> list[tuple[SaId, str]]:
        """Sessions as they are to be written down now, those that changed; at the end all. `at`: the time of day."""
        changed, self._changed = self._sessions.keys() if everything else self._changed, set()
        return [(sa, write_session(self._sessions[sa], now, at)) for sa in changed]

    def unwritten(self, sas: Iterable[SaId]) -> None:
        """These could not be written: they are tried again."""
        self._changed.update(sa for sa in sas if sa in self._sessions)

    def recall(
        self,
        written: Iterable[tuple[SaId, str]],
        resumed: Collection[SaId],
        orders: dict[str, RadiusOrders],
        now: Nanos,
        at: float,
    ) -> list[SaId]:
        """Sessions of an earlier process go on with those IKE SAs that do; the others are over, and given back."""
        over = []
        for sa, text in written:
            with suppress(ValueError):
                session = read_session(text, orders, now, at)
                if sa in resumed:
                    self._keep(sa, session, now)
                    continue
                self._stop(session, _NAS_REBOOT, now)
            over.append(sa)
        return over

    def heard(self, ip: Ip, port: int, octets: bytes) -> bool:
        """A datagram came from there. Was it for us?"""
        place = (ip, port)
        key = (place, octets[1] if len(octets) > 1 else 0)
        record = self._open.get(key)
        if record is None:
            return False
        secret = record.servers[record.server].secret
        if codec.answers_accounting(octets, key[1], record.authenticator, secret):
            del self._open[key]
            self._told += 1
        return True

    def wake(self, now: Nanos) -> None:
        """Send again, tell of those that are due, end those whose time is over."""
        for key, record in [*self._open.items()]:
            if record.again <= now:
                self._again(key, record, now)
        for _ in range(INTERIMS_PER_TURN):
            if not self._timers or self._timers[0][0] > now:
                break
            due, sa = heappop(self._timers)
            session = self._sessions.get(sa)
            if session is not None and session.due == due:
                self._on_time(sa, session, now)
        self._send(now)

    def poll_deadline(self) -> Nanos | None:
        """When `wake` has something to do."""
        times = [record.again for record in self._open.values()]
        return min([*times, *(due for due, _ in self._timers[:1])], default=None)

    def _began(self, up: IkeSaUp, now: Nanos) -> None:
        _, admitted = self._expected.pop(up.sa, (now, None))
        if admitted is None or up.role is not Role.RESPONDER:
            return
        name = self._chance(8).hex()
        session = Session(admitted, up.connection, name, now, up.path.remote.ip, up.virtual_ips)
        self._keep(up.sa, session, now)
        self._record(session, _START, now, [])

    def _keep(self, sa: SaId, session: Session, now: Nanos) -> None:
        self._sessions[sa] = session
        self._changed.add(sa)
        self._schedule(sa, session, now)

    def _ended(self, down: IkeSaDown, now: Nanos) -> None:
        self._expected.pop(down.sa, None)
        self._changed.discard(down.sa)
        session = self._sessions.pop(down.sa, None)
        if session is not None:
            self._stop(session, _cause(down.why), now)

    def _stop(self, session: Session, cause: int, now: Nanos) -> None:
        why = (codec.ACCT_TERMINATE_CAUSE, _number(cause))
        self._record(session, _STOP, now, [*_used(session, session.over, now), why])

    def _on_time(self, sa: SaId, session: Session, now: Nanos) -> None:
        timeout = session.admitted.timeout
        if timeout and now - session.since >= timeout:
            session.due = None
            self.closes.append(Close(sa, _TIMED_OUT))
            return
        usage = session.over.copy()
        for child in session.children:
            counted = self._carried(child)
            if counted is not None:
                _add(usage, counted)
        self._schedule(sa, session, now)
        self._record(session, _INTERIM, now, _used(session, usage, now))

    def _schedule(self, sa: SaId, session: Session, now: Nanos) -> None:
        session.due = _next_due(session, now)
        if session.due is not None:
            heappush(self._timers, (session.due, sa))

    def _record(self, session: Session, status: int, now: Nanos, more: Sequence[Attribute]) -> None:
        admitted = session.admitted
        servers = (admitted.server, *(each for each in admitted.orders.servers if each != admitted.server))
        told = tuple(each for each in servers if each.accounting)
        if not told:
            return
        attributes = (
            (codec.ACCT_STATUS_TYPE, _number(status)),
            (codec.USER_NAME, admitted.user.encode()[:253]),
            (codec.NAS_IDENTIFIER, admitted.orders.name.encode()[:253]),
            (codec.NAS_PORT_TYPE, _number(_VIRTUAL)),
            (codec.CALLING_STATION, str(session.remote).encode()),
            (codec.ACCT_SESSION_ID, session.name.encode()),
            (codec.ACCT_AUTHENTIC, _number(_BY_RADIUS)),
            *((codec.CLASS, each) for each in admitted.classes),
            *(
                (codec.FRAMED_IP_ADDRESS if ip.version == 4 else codec.FRAMED_IPV6_ADDRESS, ip.packed)
                for ip in session.inner
            ),
            *more,
        )
        self._waiting.append(_Record(told, attributes, now))
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self._lost += 1

    def _send(self, now: Nanos) -> None:
        """As many as identifiers are free for, in order."""
        for _ in range(len(self._waiting)):
            record = self._waiting.popleft()
            if not self._post(record, now):
                self._waiting.appendleft(record)
                return

    def _post(self, record: _Record, now: Nanos) -> bool:
        server = record.servers[record.server]
        place = (server.ip, server.accounting)
        identifier = self._identifier(place)
        if identifier is None:
            return False
        waited = (now - record.made) // SECOND
        attributes = [*record.attributes, (codec.ACCT_DELAY_TIME, _number(waited))]
        octets = codec.accounting_request(identifier, attributes, server.secret)
        record.authenticator = octets[4 : codec.HEADER]
        record.tries += 1
        record.again = Nanos(now + TRY)
        self._open[place, identifier] = record
        self.letters.append(Letter(server.ip, server.accounting, octets))
        return True

    def _again(self, key: tuple[Place, int], record: _Record, now: Nanos) -> None:
        """Each copy says how long it waited, so each is a request of its own (RFC 2866 section 5.2)."""
        del self._open[key]
        if record.tries >= TRIES:
            record.tries = 0
            record.server += 1
        if record.server == len(record.servers):
            record.server = 0
            record.rounds += 1
        if record.rounds == ROUNDS:
            self._lost += 1
        elif not self._post(record, now):
            self._waiting.appendleft(record)

    def _identifier(self, place: Place) -> int | None:
        start = self._next.get(place, 0)
        for step in range(MOST_OPEN):
            identifier = (start + step) % MOST_OPEN
            if (place, identifier) not in self._open:
                self._next[place] = identifier + 1
                return identifier
        return None


def _next_due(session: Session, now: Nanos) -> Nanos | None:
    admitted = session.admitted
    times = []
    if admitted.interim:
        times.append(now + max(admitted.interim, LEAST_INTERIM))
    if admitted.timeout:
        times.append(session.since + admitted.timeout)
    return Nanos(min(times)) if times else None


def _add(usage: Usage, counted: Mapping[str, int]) -> None:
    """What a Child SA carried, by the names of the core."""
    usage.packets_in += counted["packets_in"]
    usage.packets_out += counted["packets_out"]
    usage.bytes_in += counted["bytes_in"]
    usage.bytes_out += counted["bytes_out"]


def _used(session: Session, usage: Usage, now: Nanos) -> list[Attribute]:
    numbers = (
        (codec.ACCT_SESSION_TIME, (now - session.since) // SECOND),
        (codec.ACCT_INPUT_OCTETS, usage.bytes_in & 0xFFFF_FFFF),
        (codec.ACCT_INPUT_GIGAWORDS, usage.bytes_in >> 32),
        (codec.ACCT_OUTPUT_OCTETS, usage.bytes_out & 0xFFFF_FFFF),
        (codec.ACCT_OUTPUT_GIGAWORDS, usage.bytes_out >> 32),
        (codec.ACCT_INPUT_PACKETS, usage.packets_in),
        (codec.ACCT_OUTPUT_PACKETS, usage.packets_out),
    )
    return [(kind, _number(value)) for kind, value in numbers]


def _cause(why: str) -> int:
    """The nearest of RFC 2866 section 5.10."""
    if why == "deleted by the peer":
        return _USER_REQUEST
    if _TIMED_OUT in why:
        return _SESSION_TIMEOUT
    return _LOST_CARRIER if "answer" in why else _NAS_REQUEST


def _number(value: int) -> bytes:
    return (value & 0xFFFF_FFFF).to_bytes(4, "big")
