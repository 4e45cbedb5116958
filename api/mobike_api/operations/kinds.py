"""What can be ordered of many, of whom, and which events tell how it ended."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from mobike.facade import IkeSaView


class Kind(Enum):
    """What is ordered."""

    MOVE = "move"
    PIN = "pin"
    UNPIN = "unpin"
    PROBE = "probe"
    REKEY = "rekey"
    REKEY_CHILDREN = "rekey-children"
    REAUTHENTICATE = "reauthenticate"
    TERMINATE = "terminate"
    UP = "up"
    DOWN = "down"
    AWAY = "away"
    BACK = "back"
    DRAIN_LINK = "drain-link"
    DRAIN = "drain"

    @property
    def of_connections(self) -> bool:
        return self in {Kind.UP, Kind.DOWN, Kind.AWAY, Kind.BACK}

    @property
    def is_drain(self) -> bool:
        """One order for all; they are only followed."""
        return self in {Kind.DRAIN_LINK, Kind.DRAIN}


GOOD: Final[dict[Kind, frozenset[str]]] = {
    Kind.MOVE: frozenset({"moved"}),
    Kind.PIN: frozenset(),
    Kind.UNPIN: frozenset(),
    Kind.PROBE: frozenset({"probe-answered"}),
    Kind.REKEY: frozenset({"sa-rekeyed"}),
    Kind.REKEY_CHILDREN: frozenset(),
    Kind.REAUTHENTICATE: frozenset({"sa-down"}),
    Kind.TERMINATE: frozenset({"sa-down"}),
    Kind.UP: frozenset({"sa-up"}),
    Kind.DOWN: frozenset({"sa-down"}),
    Kind.AWAY: frozenset({"away"}),
    Kind.BACK: frozenset({"moved", "sa-down"}),
    Kind.DRAIN_LINK: frozenset({"moved", "peer-moved", "sa-down"}),
    Kind.DRAIN: frozenset({"sa-down"}),
}
"""Events that may end the wait; none: it is over when the order is taken."""

_LOST: Final = frozenset({"move-refused", "move-failed", "order-refused", "waiting", "sa-down"})
BAD: Final[dict[Kind, frozenset[str]]] = {
    **dict.fromkeys(Kind, _LOST),
    Kind.PROBE: frozenset({"path-silent", "waiting", "sa-down"}),
    Kind.UP: frozenset({"connect-failed", "order-refused"}),
    Kind.DOWN: frozenset(),
    Kind.AWAY: frozenset({"away-refused", "order-refused"}),
    Kind.BACK: frozenset({"order-refused", "move-failed", "waiting"}),
    # Who finds no other pair may find one later: a drain is patient.
    Kind.DRAIN_LINK: frozenset(),
    Kind.DRAIN: frozenset(),
}
"""Events that tell of a failure. What is good for one order is not bad as well."""

SURE: Final = frozenset({Kind.MOVE, Kind.PROBE, Kind.REKEY, Kind.REAUTHENTICATE, Kind.TERMINATE, Kind.DRAIN})
"""Of these a good event is the end of the wait; of the others a reason to look."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which ones. What is not said selects all."""

    ids: frozenset[str] | None = None
    connection: str | None = None
    state: str | None = None
    role: str | None = None
    transport: str | None = None
    local: str | None = None
    """An address of ours, without port."""
    remote: str | None = None

    def takes(self, sa: IkeSaView) -> bool:
        wanted = (
            (self.state, sa.state), (self.role, sa.role), (self.transport, sa.transport),
            (self.local, host_of(sa.local)), (self.remote, host_of(sa.remote)),
        )  # fmt: skip
        return all(want is None or want == has for want, has in wanted) and (self.ids is None or sa.id in self.ids)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done, of whom, and how fast."""

    kind: Kind
    selection: Selection = Selection()
    local: str | None = None
    remote: str | None = None
    span_s: int = 0
    link: str = ""
    to: tuple[str, ...] = ()
    per_s: int = 200


def host_of(endpoint: str) -> str:
    """The address of an endpoint in text."""
    return endpoint.rpartition(":")[0].removeprefix("[").removesuffix("]")
