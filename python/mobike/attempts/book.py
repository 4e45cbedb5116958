"""The last attempts of each peer. Bounded everywhere: strangers may ask as often, and from as many addresses, as they
like.

Attempts of our own are kept by connection, so that no stranger can push them out; those of others by address.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, ip_network
from typing import Final, TypeVar

from mobike.address import Ip, SaId, Token
from mobike.attempts.attempt import Attempt
from mobike.attempts.reading import Reader, Whose
from mobike.commands import Command, Connect, Profile
from mobike.events import ConnectFailed, Event, IkeSaUp, Notice, Role
from mobike.fleet.notes import Note

KEPT: Final = 8
"""Of one peer: what people look back on."""
MOST_ADDRESSES: Final = 1024
"""Of peers that called us and were refused; who was heard of longest ago goes first. About 4 MiB at most."""
MOST_OF_A_SITE: Final = 64
"""Addresses of one /24 or /56: a flood from one place pushes out its own."""
MOST_CONNECTIONS: Final = 4096

_Key = TypeVar("_Key")


class AttemptBook:
    """Facts in, attempts out. `orders` tells the standing orders of a connection, `whose` whose an IKE SA is."""

    def __init__(self, orders: Callable[[str], Profile | None], whose: Callable[[SaId], Whose | None]) -> None:
        self._reader = Reader(orders)
        self._whose = whose
        self._ours: OrderedDict[str, deque[Attempt]] = OrderedDict()
        self._theirs: OrderedDict[Ip, deque[Attempt]] = OrderedDict()
        self._sites: Counter[str] = Counter()
        self._asked: OrderedDict[Token, Connect] = OrderedDict()

    def see(self, events: Iterable[Event], commands: Sequence[Command], notes: Iterable[Note], at: float) -> None:
        """What one turn took, what it ordered, and what it noted."""
        for event in events:
            match event:
                case IkeSaUp():
                    self._came_up(event, at)
                case ConnectFailed():
                    asked = self._asked.pop(event.token, None)
                    if asked is not None:
                        self._keep(self._reader.failed(event, asked, at))
                case Notice():
                    whose = None if event.sa is None else self._whose(event.sa)
                    self._keep(self._reader.noticed(event, whose, at))
                case _:
                    pass
        for command in commands:
            if isinstance(command, Connect):
                self._asked[command.token] = command
                if len(self._asked) > MOST_CONNECTIONS:
                    self._asked.popitem(last=False)
        for note in notes:
            # With paths that were tried the core has told it.
            if note.kind == "connect-failed" and "tried" not in note.data and note.connection is not None:
                self._keep(self._reader.not_begun(note.connection, note.text, at))

    def of(self, peer: str | None, limit: int) -> list[Attempt]:
        """The latest first: of a peer named by its address, its identity, a connection, or an IKE SA; or of all."""
        groups = (group for kept in (self._ours, self._theirs) for group in kept.values())
        # The sort is stable: what came later in one moment stands before.
        all_kept = (attempt for group in groups for attempt in reversed(group))
        wanted = [attempt for attempt in all_kept if peer is None or _is_of(attempt, peer)]
        return sorted(wanted, key=lambda attempt: attempt.at, reverse=True)[:limit]

    def _came_up(self, event: IkeSaUp, at: float) -> None:
        """Told where something went wrong before; else there is nothing to explain."""
        if event.role is Role.INITIATOR:
            if event.token is not None:
                self._asked.pop(event.token, None)
            if event.connection in self._ours:
                self._keep(self._reader.up(event, at))
        elif event.path.remote.ip in self._theirs:
            self._keep(self._reader.up(event, at))

    def _keep(self, attempt: Attempt | None) -> None:
        if attempt is None:
            return
        if attempt.by_us and attempt.connection is not None:
            group = _group(self._ours, attempt.connection)
            if len(self._ours) > MOST_CONNECTIONS:
                self._ours.popitem(last=False)
        elif attempt.peer is not None:
            group = self._of_address(attempt.peer)
        else:
            return
        if group and group[-1].same(attempt):
            before = group.pop()
            attempt = replace(attempt, since=before.since, times=before.times + 1)
        group.append(attempt)

    def _of_address(self, ip: Ip) -> deque[Attempt]:
        if ip not in self._theirs:
            site = _site(ip)
            self._sites[site] += 1
            if self._sites[site] > MOST_OF_A_SITE:
                self._forget(next(known for known in self._theirs if _site(known) == site))
            elif len(self._theirs) >= MOST_ADDRESSES:
                self._forget(next(iter(self._theirs)))
        return _group(self._theirs, ip)

    def _forget(self, ip: Ip) -> None:
        del self._theirs[ip]
        site = _site(ip)
        self._sites[site] -= 1
        if not self._sites[site]:
            del self._sites[site]


def _group(kept: OrderedDict[_Key, deque[Attempt]], key: _Key) -> deque[Attempt]:
    group = kept.setdefault(key, deque(maxlen=KEPT))
    kept.move_to_end(key)
    return group


def _site(ip: Ip) -> str:
    return str(ip_network((ip, 24 if isinstance(ip, IPv4Address) else 56), strict=False))


def _is_of(attempt: Attempt, peer: str) -> bool:
    names: Mapping[str, object] = {
        "address": attempt.peer,
        "identity": attempt.peer_id,
        "connection": attempt.connection,
        "ike_sa": None if attempt.sa is None else f"{attempt.sa:016x}",
    }
    wanted = peer.casefold()
    return any(name is not None and str(name).casefold() == wanted for name in names.values())
