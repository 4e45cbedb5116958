"""The gateway's side: who is there, and then a method that the peer knows too."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from mobike.auth.eap import mschapv2
from mobike.auth.eap.packet import IDENTITY, MSCHAPV2, NAK, TLS, Code, Packet, method_name
from mobike.auth.eap.steps import Lost, Method, Say, TlsOrders, Won

LONGEST_IDENTITY: Final = 253
"""Octets; what RADIUS carries in an attribute."""


@dataclass(frozen=True, slots=True)
class ServerOrders:
    """What a connection's peers prove themselves by."""

    name: str
    """What we call ourselves in a method that asks for it."""
    methods: tuple[int, ...]
    """Most wanted first."""
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: TlsOrders | None = None


class ServerTalk:
    """One conversation."""

    def __init__(self, orders: ServerOrders, chance: Callable[[int], bytes], at: datetime) -> None:
        self._orders = orders
        self._at = at
        self._chance = chance
        self._identifier = chance(1)[0]
        self._identity: str | None = None
        self._method: Method | None = None
        self._left = list(orders.methods)
        self.refused: str | None = None
        """The peer has failed, and what we say tells it so."""

    def hear(self, octets: bytes | None) -> Packet | Won | Lost:
        """What the peer said; nothing at the beginning."""
        if octets is None:
            return self._request(IDENTITY, b"")
        heard = Packet.read(octets)
        if heard.code is not Code.RESPONSE or heard.identifier != self._identifier:
            return Lost("peer's EAP packet answers nothing that we asked")
        if self._identity is None:
            return self._named(heard)
        method = self._method
        if heard.method == NAK and method is not None:
            return self._other(heard.data)
        if method is None or heard.method != method.number:
            return Lost(f"peer answers by EAP method {method_name(heard.method)}, which we did not begin")
        return self._step(method, heard.data)

    def _named(self, heard: Packet) -> Packet | Won | Lost:
        if heard.method != IDENTITY or not 1 <= len(heard.data) <= LONGEST_IDENTITY:
            return Lost("peer does not say its EAP identity")
        self._identity = heard.data.decode(errors="replace")
        return self._begin()

    def _begin(self) -> Packet | Won | Lost:
        self._method = self._make(self._left.pop(0))
        return self._step(self._method, None)

    def _make(self, number: int) -> Method:
        match number:
            case n if n == MSCHAPV2:
                return mschapv2.Server(self._orders.name, self._orders.passwords, self._chance)
            case n if n == TLS and self._orders.tls is not None:
                from mobike.auth.eap import tls  # noqa: PLC0415 - OpenSSL, which few connections use

                return tls.Server(self._orders.tls, self._identity or "", self._at)
            case _:
                raise ValueError(f"EAP method {method_name(number)} is not served")

    def _other(self, wanted: bytes) -> Packet | Won | Lost:
        """The peer does not know the method, and names those that it does (RFC 3748 section 5.3.1)."""
        self._left = [number for number in self._left if number in wanted]
        if self._left:
            return self._begin()
        theirs = ", ".join(map(method_name, wanted[:8])) or "none"
        ours = ", ".join(map(method_name, self._orders.methods))
        return Lost(f"peer {self._identity!r} knows other EAP methods than we do: {theirs}; ours: {ours}")

    def _step(self, method: Method, data: bytes | None) -> Packet | Won | Lost:
        match method.hear(data):
            case Say(said, refused):
                self.refused = refused
                return self._request(method.number, said)
            case Won(key, user):
                return Won(key, user or self._identity)
            case Lost() as lost:
                return lost

    def _request(self, method: int, data: bytes) -> Packet:
        self._identifier = (self._identifier + 1) % 256
        return Packet(Code.REQUEST, self._identifier, method, data)
