"""Which peer had which inner address, so that it gets the same one after a restart of the daemon.

The core owns leases and remembers who had which (rust/ike/src/table/pools). This carries that memory over a restart:
what events told goes into the store, and at start back to the core, which does with it what it did before.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from mobike.address import SaId
from mobike.commands import Remember
from mobike.events import Event, IkeSaDown, IkeSaResumed, IkeSaUp, Role
from mobike.store import Lease

LONGEST: Final = 255
"""Characters of a peer's name that is written down; the core remembers no longer ones either."""

AGAIN_S: Final = 3600.0
"""A lease in use is written again after so long, so that after a crash it is not taken for an old one."""

_Key = tuple[str, str, int]
"""Connection, peer, family."""


class Leases:
    """Between events, store and core."""

    def __init__(self, sticky: Mapping[str, int]) -> None:
        """`sticky`: how long each connection's pool keeps an address for whoever had it, in nanoseconds."""
        self._sticky = {name: span for name, span in sticky.items() if span}
        self._held: dict[SaId, tuple[Lease, ...]] = {}
        self._changed: dict[_Key, Lease] = {}
        self._all_at = 0.0

    def obey(self, sticky: Mapping[str, int]) -> None:
        """The same as at the start, from now on."""
        self._sticky = {name: span for name, span in sticky.items() if span}

    def see(self, events: Sequence[Event]) -> None:
        """What a turn took."""
        for event in events:
            match event:
                case IkeSaUp() | IkeSaResumed(up=IkeSaUp()):
                    self._up(event if isinstance(event, IkeSaUp) else event.up)
                case IkeSaDown(sa=sa):
                    self._note(self._held.pop(sa, ()))
                case _:
                    pass

    def changed(self, now: float, *, everything: bool = False) -> list[Lease]:
        """What is to be written down now; at the end all that is in use, too."""
        if everything or now - self._all_at >= AGAIN_S:
            self._all_at = now
            for held in self._held.values():
                self._note(held)
        changed, self._changed = self._changed, {}
        return [lease._replace(seen=now) for lease in changed.values()]

    def unwritten(self, leases: Iterable[Lease]) -> None:
        """These could not be written: they are tried again, but for what changed since."""
        for lease in leases:
            self._changed.setdefault(_key(lease), lease)

    def reminders(self, leases: Iterable[Lease], now: float) -> list[Remember]:
        """What the core is to know at start: who left last is told last, for where too many are told the oldest go."""
        orders = []
        for lease in sorted(leases, key=lambda lease: lease.seen):
            ago = max(0, int((now - lease.seen) * 1e9))
            if ago < self._sticky.get(lease.connection, 0):
                orders.append(Remember(lease.connection, lease.peer, lease.address, ago))
        return orders

    @property
    def longest_s(self) -> float:
        """Nothing older than this is of use to anybody."""
        return max(self._sticky.values(), default=0) / 1e9

    def _up(self, up: IkeSaUp) -> None:
        if up.role is Role.RESPONDER and up.connection in self._sticky and len(up.peer_id) <= LONGEST:
            held = tuple(Lease(up.connection, up.peer_id, ip, 0.0) for ip in up.virtual_ips)
            self._held[up.sa] = held
            self._note(held)

    def _note(self, leases: Iterable[Lease]) -> None:
        for lease in leases:
            self._changed[_key(lease)] = lease


def _key(lease: Lease) -> _Key:
    return lease.connection, lease.peer, lease.address.version
