"""The conversations of all IKE SAs: one question of the core, one reply."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypeAlias

from mobike.address import Nanos, SaId
from mobike.auth.eap.client import ClientOrders, ClientTalk
from mobike.auth.eap.packet import Packet
from mobike.auth.eap.server import ServerOrders, ServerTalk
from mobike.auth.eap.steps import Lost, Won
from mobike.auth.radius import RadiusOrders, Relay, RelayTalk
from mobike.auth.radius.accounting import Carried
from mobike.commands import SECOND, EapDone, EapFail, EapSend
from mobike.events import EapAsked, Role

LONGEST: Final = 65 * SECOND
"""The core gives a conversation a minute; what is older is forgotten here."""
MOST: Final = 16_384
"""Conversations at a time; beyond, the oldest is forgotten, which refuses its peer."""

Orders: TypeAlias = ServerOrders | ClientOrders | RadiusOrders
Reply: TypeAlias = EapSend | EapDone | EapFail
_Talk: TypeAlias = ServerTalk | ClientTalk | RelayTalk


class Talks:
    """What is said in EAP, by connection."""

    def __init__(
        self, orders: Mapping[str, Orders], chance: Callable[[int], bytes], carried: Carried = lambda _: None
    ) -> None:
        self._orders = dict(orders)
        self._chance = chance
        self._open: OrderedDict[SaId, tuple[Nanos, _Talk]] = OrderedDict()
        self.relay = Relay(chance, carried)

    def obey(self, orders: Mapping[str, Orders]) -> None:
        """Conversations that have begun go on as they were."""
        self._orders = dict(orders)

    def __len__(self) -> int:
        return len(self._open)

    def reply(self, asked: EapAsked, now: Nanos, at: datetime) -> Reply | None:
        """What the core is to do; None: a server is asked first. `at` is the time of day, UTC."""
        self._forget(now)
        known = self._open.get(asked.sa)
        began, talk = (now, self._begin(asked, at)) if known is None else known
        if isinstance(talk, str):
            return EapFail(asked.sa, asked.question, talk)
        if isinstance(talk, RelayTalk):
            return self._pass_on(asked, began, talk, now)
        try:
            step = talk.hear(asked.packet)
        except Exception as fault:
            step = Lost(f"the EAP packet could not be judged ({type(fault).__name__})")
        if isinstance(step, Packet):
            self._keep(asked.sa, began, talk)
            refused = talk.refused if isinstance(talk, ServerTalk) else None
            return EapSend(asked.sa, asked.question, step.octets(), refused)
        self._open.pop(asked.sa, None)
        match step:
            case Won(key, user):
                return EapDone(asked.sa, asked.question, key, user)
            case Lost(why):
                return EapFail(asked.sa, asked.question, why)

    @property
    def busy(self) -> bool:
        """Are there replies to take?"""
        return bool(self.relay.replies)

    def take_replies(self, most: int) -> list[Reply]:
        """What servers have answered since."""
        taken: list[Reply] = []
        while self.relay.replies and len(taken) < most:
            reply = self.relay.replies.popleft()
            if not isinstance(reply, EapSend):
                self._open.pop(reply.sa, None)
            taken.append(reply)
        return taken

    def _pass_on(self, asked: EapAsked, began: Nanos, talk: RelayTalk, now: Nanos) -> Reply | None:
        self._keep(asked.sa, began, talk)
        if asked.packet is None:
            return EapSend(asked.sa, asked.question, self.relay.first(talk).octets())
        self.relay.ask(asked, talk, now)
        return None

    def _begin(self, asked: EapAsked, at: datetime) -> _Talk | str:
        match self._orders.get(asked.connection), asked.role:
            case ServerOrders() as orders, Role.RESPONDER if asked.packet is None:
                return ServerTalk(orders, self._chance, at)
            case RadiusOrders() as orders, Role.RESPONDER if asked.packet is None:
                return self.relay.begin(orders)
            case ClientOrders() as orders, Role.INITIATOR:
                return ClientTalk(orders, self._chance, asked.peer_id, at)
            case ServerOrders() | RadiusOrders(), Role.RESPONDER:
                return "this EAP conversation was forgotten: too many at a time"
            case _:
                return f"connection {asked.connection} has nothing to say by EAP"

    def _keep(self, sa: SaId, began: Nanos, talk: _Talk) -> None:
        self._open[sa] = (began, talk)
        if len(self._open) > MOST:
            self._open.popitem(last=False)

    def _forget(self, now: Nanos) -> None:
        """Those that nobody ended, oldest first."""
        while self._open:
            oldest = next(iter(self._open))
            if now - self._open[oldest][0] < LONGEST:
                return
            del self._open[oldest]
