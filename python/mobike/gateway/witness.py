"""The book of attempts in the daemon: with its clock, its standing orders and its fleet."""

import time
from collections.abc import Callable, Mapping, Sequence

from mobike.address import SaId
from mobike.attempts import Attempt, AttemptBook
from mobike.attempts.reading import Whose
from mobike.commands import Profile
from mobike.events import Event
from mobike.facade.attempts import AttemptView, LineView
from mobike.fleet import Decided, Fleet


class Witness:
    """Sees every turn; is asked by the facade. `profiles` are those in force."""

    def __init__(self, fleet: Fleet, profiles: Callable[[], Mapping[str, Profile]]) -> None:
        self._fleet = fleet
        self._book = AttemptBook(lambda name: profiles().get(name), self._whose)

    def see(self, events: Sequence[Event], decided: Decided) -> None:
        """One turn."""
        self._book.see(events, decided.commands, decided.notes, time.time())

    def views(self, peer: str | None, limit: int) -> tuple[AttemptView, ...]:
        """Of a peer, or of all; the latest first."""
        return tuple(map(_view, self._book.of(peer, limit)))

    def _whose(self, sa: SaId) -> Whose | None:
        row = self._fleet.row(sa)
        return None if row is None else Whose(row.connection, row.peer_id, row.role)


def _view(attempt: Attempt) -> AttemptView:
    return AttemptView(
        at=attempt.at,
        since=attempt.since,
        times=attempt.times,
        by_us=attempt.by_us,
        ending=attempt.ending.value,
        step=attempt.step,
        connection=attempt.connection,
        ike_sa=None if attempt.sa is None else f"{attempt.sa:016x}",
        peer=None if attempt.peer is None else str(attempt.peer),
        path=attempt.path,
        peer_id=attempt.peer_id,
        reason=attempt.reason,
        why=attempt.why,
        fault=attempt.fault.value,
        lines=tuple(LineView(line.what, line.theirs, line.ours, line.fits) for line in attempt.lines),
        fix=attempt.fix,
    )
