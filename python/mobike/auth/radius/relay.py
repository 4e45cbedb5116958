"""The way of an EAP packet to a RADIUS server and back (RFC 3579 section 2).

Servers are asked in order: one that does not answer is asked once more, then the next one is. A server that fell silent
is asked last for a while. A conversation stays with the server that has begun it: no other knows its State.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mobike.address import Ip, Nanos
from mobike.auth.eap.packet import IDENTITY, Packet
from mobike.auth.eap.packet import Code as EapCode
from mobike.auth.radius import codec
from mobike.auth.radius.accounting import Accounts, Carried
from mobike.auth.radius.codec import Answer, Attribute, Code
from mobike.auth.radius.orders import Letter, Place, RadiusOrders, Server
from mobike.auth.radius.session import Admitted
from mobike.commands import SECOND, EapDone, EapFail, EapSend
from mobike.events import EapAsked

TRY: Final = 2 * SECOND
"""A server that has not answered for so long is asked again, or the next one is. The core waits ten seconds."""
TRIES: Final = 2
"""So often each."""
SILENT: Final = 60 * SECOND
"""For so long a server that fell silent is asked last."""
MOST_OPEN: Final = 256
"""Requests to one server at a time: what its identifiers can tell apart."""

_FRAMED: Final = (2).to_bytes(4, "big")
_VIRTUAL: Final = (5).to_bytes(4, "big")
_LONGEST_SAID: Final = 120
_NOT_AN_ADDRESS: Final = (b"\xff\xff\xff\xff", b"\xff\xff\xff\xfe")
"""The peer may choose; we may: so our pool does."""
_MOST_CLASSES: Final = 8
"""Of up to 253 octets each; a server that sends more gets back as many."""


Reply = EapSend | EapDone | EapFail


@dataclass(slots=True)
class _Open:
    """A request without answer."""

    asked: EapAsked
    talk: "RelayTalk"
    server: Server
    identifier: int
    authenticator: bytes
    octets: bytes
    again: Nanos
    tries: int = 1
    tried: tuple[Server, ...] = ()


@dataclass(slots=True)
class RelayTalk:
    """What is known of a conversation between two packets."""

    orders: RadiusOrders
    identifier: int
    user: str = ""
    server: Server | None = None
    state: tuple[bytes, ...] = ()


class Relay:
    """All conversations that servers judge. Bounded: by the core's questions, and by the identifiers of each server."""

    def __init__(self, chance: Callable[[int], bytes], carried: Carried = lambda _: None) -> None:
        """`carried`: what a Child SA has carried so far, for accounts."""
        self._chance = chance
        self.accounts = Accounts(chance, carried)
        self._open: dict[tuple[Place, int], _Open] = {}
        self._silent: dict[Place, Nanos] = {}
        self._next: dict[Place, int] = {}
        self.letters: deque[Letter] = deque()
        self.replies: deque[Reply] = deque()

    def begin(self, orders: RadiusOrders) -> RelayTalk:
        """A new conversation."""
        return RelayTalk(orders, self._chance(1)[0])

    def first(self, talk: RelayTalk) -> Packet:
        """We ask for the identity ourselves, which saves a round (RFC 3579 section 2.1)."""
        return Packet(EapCode.REQUEST, talk.identifier, IDENTITY)

    def ask(self, asked: EapAsked, talk: RelayTalk, now: Nanos) -> None:
        """Pass on what the peer said; what comes of it is in `replies`, now or later."""
        heard = Packet.read(asked.packet or b"")
        if not talk.user:
            if heard.method != IDENTITY or not 1 <= len(heard.data) <= 253:
                self.replies.append(EapFail(asked.sa, asked.question, "peer does not say its EAP identity"))
                return
            talk.user = heard.data.decode(errors="replace")
        servers = [talk.server] if talk.server else self._in_order(talk.orders, now)
        self._send(asked, talk, servers[0], now, ())

    def heard(self, ip: Ip, port: int, octets: bytes) -> None:
        """A datagram came from there."""
        if self.accounts.heard(ip, port, octets):
            return
        key = ((ip, port), octets[1] if len(octets) > 1 else 0)
        opened = self._open.get(key)
        if opened is None:
            return
        answer = codec.read_answer(octets, opened.identifier, opened.authenticator, opened.server.secret)
        if answer is None:
            return
        del self._open[key]
        self._silent.pop((ip, port), None)
        opened.talk.server = opened.server
        self.replies.append(self._reply(opened, answer))

    def wake(self, now: Nanos) -> None:
        """Ask again, ask the next one, or give up."""
        self.accounts.wake(now)
        for key, opened in [*self._open.items()]:
            if opened.again > now:
                continue
            if opened.tries < TRIES:
                opened.tries += 1
                opened.again = Nanos(now + TRY)
                self.letters.append(Letter(opened.server.ip, opened.server.port, opened.octets))
                continue
            del self._open[key]
            self._silent[key[0]] = now
            self._next_server(opened, now)

    def take_letters(self) -> list[Letter]:
        """What is to be sent."""
        taken = [*self.letters, *self.accounts.letters]
        self.letters.clear()
        self.accounts.letters.clear()
        return taken

    def poll_deadline(self) -> Nanos | None:
        """When `wake` has something to do."""
        times = [opened.again for opened in self._open.values()]
        accounts = self.accounts.poll_deadline()
        return min(times if accounts is None else [*times, accounts], default=None)

    def _next_server(self, opened: _Open, now: Nanos) -> None:
        tried = (*opened.tried, opened.server)
        left = [each for each in self._in_order(opened.talk.orders, now) if each not in tried]
        if opened.talk.server is None and left:
            self._send(opened.asked, opened.talk, left[0], now, tried)
            return
        where = ", ".join(f"{each.ip} port {each.port}" for each in tried)
        self.replies.append(EapFail(opened.asked.sa, opened.asked.question, f"no RADIUS server answers: {where}"))

    def _in_order(self, orders: RadiusOrders, now: Nanos) -> list[Server]:
        """As configured, but those that fell silent last."""

        def is_silent(server: Server) -> bool:
            since = self._silent.get((server.ip, server.port))
            return since is not None and now - since < SILENT

        return sorted(orders.servers, key=is_silent)

    def _send(self, asked: EapAsked, talk: RelayTalk, server: Server, now: Nanos, tried: tuple[Server, ...]) -> None:
        place = (server.ip, server.port)
        identifier = self._identifier(place)
        if identifier is None:
            self.replies.append(EapFail(asked.sa, asked.question, f"RADIUS server {server.ip} has too much to answer"))
            return
        authenticator = self._chance(16)
        attributes: list[Attribute] = [
            (codec.USER_NAME, talk.user.encode()[:253]),
            (codec.NAS_IDENTIFIER, talk.orders.name.encode()[:253]),
            (codec.NAS_PORT_TYPE, _VIRTUAL),
            (codec.SERVICE_TYPE, _FRAMED),
            (codec.CALLING_STATION, str(asked.path.remote.ip).encode()),
            *codec.in_pieces(codec.EAP_MESSAGE, asked.packet or b""),
            *((codec.STATE, state) for state in talk.state),
        ]
        try:
            octets = codec.request(identifier, authenticator, attributes, server.secret)
        except ValueError:
            self.replies.append(EapFail(asked.sa, asked.question, "peer's EAP packet is too long for RADIUS"))
            return
        again = Nanos(now + TRY)
        opened = _Open(asked, talk, server, identifier, authenticator, octets, again, tried=tried)
        self._open[place, identifier] = opened
        self.letters.append(Letter(server.ip, server.port, octets))

    def _identifier(self, place: Place) -> int | None:
        start = self._next.get(place, 0)
        for step in range(MOST_OPEN):
            identifier = (start + step) % MOST_OPEN
            if (place, identifier) not in self._open:
                self._next[place] = identifier + 1
                return identifier
        return None

    def _reply(self, opened: _Open, answer: Answer) -> Reply:
        sa, question, talk = opened.asked.sa, opened.asked.question, opened.talk
        match answer.code:
            case Code.ACCESS_CHALLENGE:
                talk.state = tuple(answer.all(codec.STATE))
                if not _is_request(answer.eap):
                    return EapFail(sa, question, f"RADIUS server {opened.server.ip} sends no EAP request")
                return EapSend(sa, question, answer.eap)
            case Code.ACCESS_ACCEPT:
                key = codec.session_key(answer, opened.authenticator, opened.server.secret)
                name = answer.first(codec.USER_NAME)
                user = talk.user if name is None else name.decode(errors="replace")
                self.accounts.expect(sa, _admitted(opened, answer, user), opened.again)
                return EapDone(sa, question, key, user, tuple(_addresses(answer)))
            case _:
                said = b" ".join(answer.all(codec.REPLY_MESSAGE)).decode(errors="replace")[:_LONGEST_SAID]
                why = f": {said!r}" if said else ""
                return EapFail(sa, question, f"RADIUS server {opened.server.ip} refuses {talk.user[:253]!r}{why}")


def _admitted(opened: _Open, answer: Answer, user: str) -> Admitted:
    classes = tuple(answer.all(codec.CLASS))[:_MOST_CLASSES]
    times = (answer.seconds(kind) * SECOND for kind in (codec.ACCT_INTERIM_INTERVAL, codec.SESSION_TIMEOUT))
    return Admitted(opened.talk.orders, opened.server, user, classes, *times)


def _addresses(answer: Answer) -> Iterator[Ip]:
    """Framed-IP-Address (RFC 2865 section 5.8) and Framed-IPv6-Address (RFC 6911 section 3.1), of each at most one."""
    v4, v6 = answer.first(codec.FRAMED_IP_ADDRESS), answer.first(codec.FRAMED_IPV6_ADDRESS)
    if v4 is not None and len(v4) == 4 and v4 not in _NOT_AN_ADDRESS and _is_host(IPv4Address(v4)):
        yield IPv4Address(v4)
    if v6 is not None and len(v6) == 16 and _is_host(IPv6Address(v6)):
        yield IPv6Address(v6)


def _is_host(ip: Ip) -> bool:
    return not (ip.is_unspecified or ip.is_multicast or ip.is_loopback)


def _is_request(octets: bytes) -> bool:
    try:
        return Packet.read(octets).code is EapCode.REQUEST
    except ValueError:
        return False
