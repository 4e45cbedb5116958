"""Facts as attempts: who began, at which step it ended, what was compared, by whose doing."""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from mobike.address import Ip
from mobike.attempts.attempt import Attempt, Ending, Fault, Line
from mobike.attempts.remedy import remedy
from mobike.commands import Connect, Profile
from mobike.events import Comparison, ConnectFailed, IkeSaUp, Notice, Role

_STEPS: Final = {
    "no_proposal": "IKE_SA_INIT",
    "auth_failed": "IKE_AUTH",
    "child_refused": "IKE_AUTH",
    "no_address": "IKE_AUTH",
    "malformed": "IKE_AUTH",
    "unexpected_nat": "IKE_AUTH",
    "limit": "IKE_SA_INIT",
    "address_refused": "INFORMATIONAL",
    "rekey_refused": "CREATE_CHILD_SA",
}
"""Notices that say why something did not come about, and the exchange that each is of unless it names another."""
_EXCHANGE: Final = re.compile(r"\b(IKE_SA_INIT|IKE_INTERMEDIATE|IKE_AUTH|CREATE_CHILD_SA|IKE_FOLLOWUP_KE)\b")
_NOTIFICATION: Final = re.compile(
    r"\b(NO_PROPOSAL_CHOSEN|INVALID_KE_PAYLOAD|AUTHENTICATION_FAILED|TS_UNACCEPTABLE|SINGLE_PAIR_REQUIRED"
    r"|INTERNAL_ADDRESS_FAILURE|FAILED_CP_REQUIRED|NO_ADDITIONAL_SAS|INVALID_SYNTAX|TEMPORARY_FAILURE)\b"
)
_OPENED: Final = re.compile(r"Child SA \S+ is refused: ")
"""One that we asked for by itself."""
_NO_ATTEMPTS: Final = ("ordered", "redirected")
"""Ends of a `Connect` that nobody wonders about."""


class Whose(NamedTuple):
    """Of an IKE SA that is up."""

    connection: str
    peer_id: str
    role: Role


class Reader:
    """Makes attempts of facts. `orders` tells the standing orders of a connection."""

    def __init__(self, orders: Callable[[str], Profile | None]) -> None:
        self._orders = orders

    def up(self, event: IkeSaUp, at: float) -> Attempt:
        """It works."""
        return Attempt(
            at=at,
            since=at,
            times=1,
            by_us=event.role is Role.INITIATOR,
            ending=Ending.UP,
            step="IKE_AUTH",
            connection=event.connection,
            sa=event.sa,
            peer=event.path.remote.ip,
            path=str(event.path),
            peer_id=event.peer_id,
            reason="up",
            why=f"IKE SA is up: {event.suite}",
            fault=Fault.NOBODY,
            lines=(),
            fix=None,
        )

    def noticed(self, event: Notice, whose: Whose | None, at: float) -> Attempt | None:
        """Something was refused; by us, unless the peer's own word stands in it."""
        if event.kind not in _STEPS:
            return None
        named = _EXCHANGE.search(event.text)
        compared = event.compared or Comparison("", None, None, ())
        said = _NOTIFICATION.search(event.text)
        by_us = said is not None and whose is not None
        connection = compared.connection or (None if whose is None else whose.connection)
        opened = "CREATE_CHILD_SA" if _OPENED.match(event.text) else _STEPS[event.kind]
        step = named[0] if named else opened
        lines = _lines(compared)
        if by_us and said is not None:
            lines = self._of_ours(connection, said[0])
        ip: Ip | None = None if event.path is None else event.path.remote.ip
        return self._with_remedy(
            Attempt(
                at=at,
                since=at,
                times=1,
                by_us=by_us,
                ending=Ending.FAILED if by_us else Ending.REFUSED,
                step=step,
                connection=connection,
                sa=None if whose is None else event.sa,
                peer=ip,
                path=None if event.path is None else str(event.path),
                peer_id=compared.peer_id or (None if whose is None else whose.peer_id),
                reason=(said[0] if by_us and said else compared.reason) or event.kind.replace("_", "-"),
                why=event.text,
                fault=Fault.BOTH,
                lines=lines,
                fix=None,
            )
        )

    def failed(self, event: ConnectFailed, asked: Connect, at: float) -> Attempt | None:
        """What we began came to nothing."""
        if event.reason in _NO_ATTEMPTS:
            return None
        said = _NOTIFICATION.search(event.why)
        heard = said[0] if said is not None else "AUTHENTICATION_FAILED" if event.reason == "peer-refused-auth" else ""
        path = (event.tried or asked.paths)[-1]
        reason = heard or event.reason or "failed"
        compared = event.compared
        return self._with_remedy(
            Attempt(
                at=at,
                since=at,
                times=1,
                by_us=True,
                ending=Ending.FAILED,
                step=_step_of(event.reason),
                connection=asked.connection,
                sa=None,
                peer=path.remote.ip,
                path=str(path),
                peer_id=None if compared is None else compared.peer_id,
                reason=reason,
                why=event.why,
                fault=Fault.BOTH,
                lines=_lines(compared) if compared else self._of_ours(asked.connection, heard, _step_of(event.reason)),
                fix=None,
            )
        )

    def not_begun(self, connection: str, why: str, at: float) -> Attempt:
        """Nothing was sent."""
        return self._with_remedy(
            Attempt(
                at=at,
                since=at,
                times=1,
                by_us=True,
                ending=Ending.FAILED,
                step="none",
                connection=connection,
                sa=None,
                peer=None,
                path=None,
                peer_id=None,
                reason="no-path",
                why=why,
                fault=Fault.HERE,
                lines=(),
                fix=None,
            )
        )

    def _with_remedy(self, attempt: Attempt) -> Attempt:
        orders = None if attempt.connection is None else self._orders(attempt.connection)
        return remedy(attempt, orders)

    def _of_ours(self, connection: str | None, heard: str, step: str = "IKE_AUTH") -> tuple[Line, ...]:
        """What we said, where the peer does not tell what it takes."""
        orders = None if connection is None else self._orders(connection)
        if orders is None or not heard:
            return ()
        refused = (f"refused: {heard}",)
        match heard:
            case "NO_PROPOSAL_CHOSEN" | "INVALID_KE_PAYLOAD" if step == "IKE_SA_INIT":
                return (Line("IKE algorithms", refused, orders.ike_proposals, fits=False),)
            case "NO_PROPOSAL_CHOSEN" | "INVALID_KE_PAYLOAD":
                return (Line("ESP algorithms", refused, orders.esp_proposals, fits=False),)
            case "TS_UNACCEPTABLE" | "SINGLE_PAIR_REQUIRED":
                inner = ("the inner address",) if orders.request_ip4 or orders.request_ip6 else ("our outer address",)
                return (
                    Line("traffic here", refused, orders.local_ts or inner, fits=False),
                    Line("traffic there", refused, orders.remote_ts, fits=False),
                )
            case "AUTHENTICATION_FAILED":
                return (
                    Line("our identity", refused, (orders.local_id,), fits=False),
                    Line("our proof", refused, (_proof(orders),), fits=False),
                    Line("peer identity", (), (orders.remote_id,), fits=True),
                )
            case _:
                return ()


def _lines(compared: Comparison | None) -> tuple[Line, ...]:
    rows = () if compared is None else compared.rows
    return tuple(Line(row.what, row.theirs, row.ours, row.fits) for row in rows)


def _step_of(reason: str) -> str:
    return "IKE_SA_INIT" if reason in ("no-answer", "no-usable-answer", "no-room", "bad-order") else "IKE_AUTH"


def _proof(orders: Profile) -> str:
    if orders.local_eap:
        return "EAP"
    if orders.credential is None:
        return "pre-shared key"
    return "signature"
