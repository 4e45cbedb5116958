"""What an operator orders. An order that cannot be obeyed is answered with the reason."""

from abc import ABC

from mobike.address import Ip, SaId
from mobike.commands import Away, Close, CloseChild, GiveUp, OpenChild, Probe, Reauth, Rekey, RekeyChild
from mobike.events import (
    AwayRefused,
    OperatorAvoid,
    OperatorAway,
    OperatorBack,
    OperatorClose,
    OperatorCloseChild,
    OperatorDown,
    OperatorOpenChild,
    OperatorProbe,
    OperatorReauth,
    OperatorRekey,
    OperatorUnpin,
    OperatorUp,
    PathChecked,
    WentAway,
)
from mobike.fleet.links import Links
from mobike.fleet.notes import Datum, Note
from mobike.fleet.turn import Turn
from mobike.mobility.causes import Cause, ComeBack, GoAway, LookAgain
from mobike.policy.connection import ConnectionPolicy


class Orders(Links, ABC):
    """The part of the fleet that obeys. `OperatorMove` is a cause like any other: the machines take it."""

    def __init__(self, connections: tuple[ConnectionPolicy, ...], public: tuple[Ip, ...], seed: int) -> None:
        super().__init__(connections, public, seed)
        self._leaving: dict[SaId, bool] = {}
        """SAs that have asked for leave to be away, and whether the operator is back already."""
        self._asked: set[SaId] = set()
        """SAs whose peer the operator has asked for a sign of life, and has not heard."""

    def _operator_up(self, event: OperatorUp, turn: Turn) -> None:
        upkeep = self._upkeeps.get(event.connection)
        if upkeep is None or not upkeep.policy.initiates:
            text = "There is no such connection" if upkeep is None else "The peer begins this connection, not we"
            turn.notes.append(Note("order-refused", text, (), None, event.connection))
            return
        upkeep.wanted = True
        if upkeep.token is None and not self._sessions.count(event.connection):
            self._upkeeps.want(upkeep, turn.now)

    def _operator_down(self, event: OperatorDown, turn: Turn) -> None:
        why = "the operator took the connection down"
        upkeep = self._upkeeps.get(event.connection)
        if upkeep is not None:
            self._upkeeps.drop(upkeep)
            if upkeep.token is not None:
                upkeep.give_up(turn.now)
                turn.command(GiveUp((upkeep.token,), why))
        for session in self._sessions.of_connection(event.connection):
            turn.command(Close(session.sa, why))

    def _operator_close(self, event: OperatorClose, turn: Turn) -> None:
        if self._sessions.get(event.sa) is not None:
            turn.command(Close(event.sa, "the operator closed it"))

    def _operator_probe(self, event: OperatorProbe, turn: Turn) -> None:
        session = self._sessions.get(event.sa)
        if session is not None and self.objection_to_probe(event.sa) is None:
            self._asked.add(event.sa)
            turn.command(Probe(event.sa, None, session.generation))

    def _path_checked(self, event: PathChecked, turn: Turn) -> None:
        session = self._sessions.get(event.sa)
        if session is not None and event.sa in self._asked:
            self._asked.discard(event.sa)
            rtt = event.rtt / 1e6
            data: dict[str, Datum] = {"path": str(event.path), "rtt_ms": round(rtt, 3)}
            text, told = "The peer answers on {} after {:.1f} ms", (event.path, rtt)
            turn.notes.append(Note("probe-answered", text, told, event.sa, session.connection.name, data))
        self._path_answers(event, turn)

    def _operator_rekey(self, event: OperatorRekey, turn: Turn) -> None:
        session = self._sessions.get(event.sa)
        if session is None:
            return
        if event.children:
            for child in session.unfold_children():
                turn.command(RekeyChild(child.child))
        else:
            turn.command(Rekey(session.sa))

    def _operator_reauth(self, event: OperatorReauth, turn: Turn) -> None:
        if self._sessions.get(event.sa) is not None:
            turn.command(Reauth(event.sa))

    def _operator_open_child(self, event: OperatorOpenChild, turn: Turn) -> None:
        if self._sessions.get(event.sa) is not None:
            turn.command(OpenChild(event.sa, event.name))

    def _operator_close_child(self, event: OperatorCloseChild, turn: Turn) -> None:
        session = self._sessions.get(event.sa)
        if session is not None and any(child.child == event.child for child in session.unfold_children()):
            turn.command(CloseChild(event.child))

    def _operator_unpin(self, event: OperatorUnpin, turn: Turn) -> None:
        session = self._sessions.get(event.sa)
        if session is not None and session.pin is not None:
            text = f"The operator's {session.pin} does not hold any more"
            turn.notes.append(Note("unpinned", text, (), event.sa, session.connection.name))
            session.pin = None
            self._step(session, LookAgain(), turn)

    def _operator_away(self, event: OperatorAway, turn: Turn) -> None:
        before = len(turn.commands)
        self._tell_each(event.connection, GoAway(event.span), "away-refused", turn)
        self._leaving.update((each.sa, False) for each in turn.commands[before:] if isinstance(each, Away))

    def _operator_back(self, event: OperatorBack, turn: Turn) -> None:
        """Who has asked for leave and has no answer yet comes back as soon as it has: the last order counts."""
        asked = [each.sa for each in self._sessions.of_connection(event.connection) if each.sa in self._leaving]
        self._leaving.update(dict.fromkeys(asked, True))
        self._tell_each(event.connection, ComeBack(), "order-refused", turn)

    def _leave_answered(self, event: WentAway | AwayRefused, turn: Turn) -> None:
        is_back = self._leaving.pop(event.sa, False)
        session = self._sessions.get(event.sa)
        if session is None:
            return
        self._step(session, event, turn)
        if is_back and isinstance(event, WentAway):
            self._step(session, ComeBack(), turn)

    def _tell_each(self, connection: str, cause: Cause, refused: str, turn: Turn) -> None:
        sessions = list(self._sessions.of_connection(connection))
        if not sessions:
            turn.notes.append(Note(refused, "The connection has no IKE SA", (), None, connection))
        for session in sessions:
            self._step(session, cause, turn)

    def _operator_avoid(self, event: OperatorAvoid, turn: Turn) -> None:
        if not self._addresses.avoid(event.link, avoid=event.avoid):
            text = "nothing changes: there is no such link, or that was said before"
            turn.notes.append(Note("order-refused", text, (), None, None, {"link": event.link}))
            return
        text = f"Link {event.link} is {'avoided' if event.avoid else 'used as the rules say again'}"
        turn.notes.append(Note("link-avoided", text, (), None, None, {"link": event.link, "avoid": event.avoid}))
        self._something_changed(turn)
