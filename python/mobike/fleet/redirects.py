"""On to another gateway (RFC 5685): following one that sends us on, and sending our own peers on."""

from abc import ABC
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from mobike.address import Ip, Nanos, SaId
from mobike.commands import Close, Redirect, TurnAway
from mobike.events import ConnectFailed, IkeSaUp, OperatorDrain, OperatorRedirect, Redirected, Role
from mobike.fleet.notes import Note
from mobike.fleet.orders import Orders
from mobike.fleet.turn import Turn
from mobike.fleet.upkeep import Upkeep
from mobike.mobility.session import Session
from mobike.policy import redirects
from mobike.policy.connection import ConnectionPolicy

SENT_PER_TURN = 40
"""Peers sent on in one turn when the gateway is drained. Each sets up another IKE SA elsewhere: 2,000 a second."""

SEND_INTERVAL = 20_000_000
"""Nanoseconds until the next of them."""


class Redirects(Orders, ABC):
    """The part of the fleet that goes, and lets go, to other gateways."""

    def __init__(
        self, connections: tuple[ConnectionPolicy, ...], public: tuple[Ip, ...], seed: int, configured: TurnAway
    ) -> None:
        """`configured`: who is sent on while no operator drains the gateway."""
        super().__init__(connections, public, seed)
        self._configured = configured
        self._draining: tuple[str, ...] = ()
        self._to_send: dict[SaId, None] = {}
        self._send_at: Nanos | None = None

    @property
    def draining(self) -> tuple[str, ...]:
        """Where all peers are sent; nothing: they are served."""
        return self._draining

    # --- we are sent on ---

    def _sent_on_while_connecting(self, upkeep: Upkeep, event: ConnectFailed, gateway: str, turn: Turn) -> bool:
        """Instead of an IKE SA there is another gateway. True: we go there."""
        return self._go_on(upkeep, gateway, event.tried[-1].remote.ip, turn) if event.tried else False

    def _redirected(self, event: Redirected, turn: Turn) -> None:
        """The new IKE SA is made before the old one is closed."""
        session = self._sessions.get(event.sa)
        upkeep = None if session is None else self._upkeeps.get(session.connection.name)
        if session is None or upkeep is None or upkeep.token is not None or not upkeep.wanted:
            return
        if self._go_on(upkeep, event.to, session.path.remote.ip, turn):
            upkeep.leaving = event.sa

    def _go_on(self, upkeep: Upkeep, gateway: str, origin: Ip, turn: Turn) -> bool:
        name, rule = upkeep.home.name, upkeep.home.redirects
        objection = redirects.objection(rule, gateway, origin, upkeep.followed, turn.now)
        if objection is not None:
            text = "The gateway {} sends us on, and we do not go: {}"
            turn.notes.append(Note("redirect-refused", text, (origin, objection), None, name))
            return False
        upkeep.detour(rule.addresses_of(gateway), origin, turn.now)
        self._upkeeps.want(upkeep, turn.now)
        turn.notes.append(Note("redirected", "The gateway {} sends us on to {}", (origin, gateway), None, name))
        return True

    def _arrived(self, upkeep: Upkeep, turn: Turn) -> None:
        """There is an IKE SA with the other gateway."""
        if upkeep.leaving is not None:
            turn.command(Close(upkeep.leaving, "the gateway sent us on to another one, and that one has us"))
            upkeep.leaving = None

    def _remember_detour(self, upkeep: Upkeep, up: IkeSaUp) -> None:
        """An earlier process was sent on: its SA must not move back to where it came from."""
        at, home = up.path.remote.ip, upkeep.home
        if up.role is Role.INITIATOR and at not in home.remotes and home.redirects.addresses_of(str(at)):
            upkeep.policy = replace(home, remotes=(at,))

    # --- we send on ---

    def _operator_redirect(self, event: OperatorRedirect, turn: Turn) -> None:
        if self._sessions.get(event.sa) is not None:
            turn.command(Redirect(event.sa, event.to))

    def _operator_drain(self, event: OperatorDrain, turn: Turn) -> None:
        if event.to == self._draining:
            return
        self._draining = event.to
        turn.command(TurnAway(event.to, 0) if event.to else self._configured)
        self._to_send = {}
        if event.to:
            ours = (each.sa for each in self._sessions if each.role is Role.RESPONDER)
            self._send(ours, turn)
            text = f"Peers are sent on to {', '.join(event.to)}, {len(self._to_send)} IKE SAs among them"
        else:
            text = "Peers are served here again"
        turn.notes.append(Note("drain", text, (), None, None, {"sas": len(self._to_send)}))

    def _send_if_draining(self, session: Session, turn: Turn) -> None:
        """One that was coming up when the order came."""
        if self._draining and session.role is Role.RESPONDER:
            self._send((session.sa,), turn)

    def _send(self, sas: Iterable[SaId], turn: Turn) -> None:
        self._to_send.update(dict.fromkeys(sas))
        if self._to_send and self._send_at is None:
            self._send_at = turn.now

    def _send_on(self, turn: Turn) -> None:
        if self._send_at is None or self._send_at > turn.now:
            return
        for sa in list(islice(self._to_send, SENT_PER_TURN)):
            del self._to_send[sa]
            if self._sessions.get(sa) is not None:
                turn.command(Redirect(sa, self._draining))
        self._send_at = Nanos(turn.now + SEND_INTERVAL) if self._to_send else None
