"""A desk over a real fleet, without a core below it: what is ordered is heard at once."""

from dataclasses import dataclass, field

from mobike.events import OperatorEvent
from mobike.gateway.desk import Desk
from mobike.gateway.journal import Journal
from tests.fleet.host import Host, phone


@dataclass
class Counts:
    def counters(self) -> dict[str, int]:
        return {}


@dataclass
class Office:
    """A desk over a phone's fleet: an order is heard at once."""

    host: Host = field(default_factory=phone)

    def __post_init__(self) -> None:
        self.orders: list[OperatorEvent] = []
        self.desk = Desk(
            self.host.fleet,
            Counts(),
            Journal(),
            order=self._order,
            plug=None,
            troubles=lambda: (),
            hooks=dict,
            readings=tuple,
            carried=lambda _: None,
        )

    def _order(self, order: OperatorEvent) -> None:
        self.orders.append(order)
        self.host.hears(order)
