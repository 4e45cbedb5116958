"""The client's side: says who it is, and speaks the method that the gateway begins, if it is one of ours."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from mobike.auth.eap import mschapv2
from mobike.auth.eap.packet import IDENTITY, MSCHAPV2, NAK, NOTIFICATION, TLS, Code, Packet, method_name
from mobike.auth.eap.steps import ClientMethod, Lost, Say, TlsOrders, Won


@dataclass(frozen=True, slots=True)
class ClientOrders:
    """How we prove ourselves to a gateway."""

    identity: str
    methods: tuple[int, ...]
    """Most wanted first."""
    password: str = field(default="", repr=False)
    tls: TlsOrders | None = None


class ClientTalk:
    """One conversation."""

    def __init__(self, orders: ClientOrders, chance: Callable[[int], bytes], gateway: str, at: datetime) -> None:
        self._orders = orders
        self._gateway = gateway
        self._at = at
        self._chance = chance
        self._method: ClientMethod | None = None

    def hear(self, octets: bytes | None) -> Packet | Won | Lost:
        """What the gateway said."""
        if octets is None:
            return Lost("the gateway began EAP with nothing")
        heard = Packet.read(octets)
        match heard.code:
            case Code.REQUEST:
                return self._answer(heard)
            case Code.SUCCESS:
                won = None if self._method is None else self._method.ended()
                return won or Lost("the gateway ended EAP before its method came to an end")
            case Code.FAILURE:
                reason = None if self._method is None else self._method.reason
                return Lost(reason or "the gateway refuses our EAP")
            case Code.RESPONSE:
                return Lost("the gateway's EAP packet is an answer, and we asked nothing")

    def _answer(self, asked: Packet) -> Packet | Won | Lost:
        def say(method: int, data: bytes) -> Packet:
            return Packet(Code.RESPONSE, asked.identifier, method, data)

        if asked.method == IDENTITY:
            return say(IDENTITY, self._orders.identity.encode())
        if asked.method == NOTIFICATION:
            return say(NOTIFICATION, b"")
        if self._method is None:
            if asked.method not in self._orders.methods:
                return say(NAK, bytes(self._orders.methods))
            self._method = self._make(asked.method)
        method = self._method
        if asked.method != method.number:
            return Lost(f"the gateway changes to EAP method {method_name(asked.method)} in the middle of another")
        match method.hear(asked.data):
            case Say(said):
                return say(method.number, said)
            case Won() | Lost() as over:
                return over

    def _make(self, number: int) -> ClientMethod:
        match number:
            case n if n == MSCHAPV2:
                return mschapv2.Client(self._orders.identity, self._orders.password, self._chance)
            case n if n == TLS and self._orders.tls is not None:
                from mobike.auth.eap import tls  # noqa: PLC0415 - OpenSSL, which few connections use

                return tls.Client(self._orders.tls, self._gateway, self._at)
            case _:
                raise ValueError(f"EAP method {method_name(number)} is not known")
