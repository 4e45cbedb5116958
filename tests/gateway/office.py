"""A desk over a real fleet, without a core below it: what is ordered is heard at once."""

from dataclasses import dataclass, field

from mobike.address import SaId
from mobike.config import Settings, parse
from mobike.events import OperatorEvent
from mobike.exchange import Exchange
from mobike.gateway.attention import Attention
from mobike.gateway.desk import Desk
from mobike.gateway.inventory import Stock
from mobike.gateway.journal import Journal
from tests.config.judge import Judge
from tests.fleet.host import Host, phone


@dataclass
class Counts:
    kept: tuple[Exchange, ...] | None = None

    def counters(self) -> dict[str, int]:
        return {}

    def exchanges(self, _sa: SaId, /) -> tuple[Exchange, ...] | None:
        return self.kept


@dataclass
class Office:
    """A desk over a phone's fleet: an order is heard at once."""

    host: Host = field(default_factory=phone)
    settings: Settings = field(default_factory=lambda: parse("", Judge(), environ={}).settings)

    def __post_init__(self) -> None:
        self.orders: list[OperatorEvent] = []
        self.counts = Counts()
        self.desk = Desk(
            self.host.fleet,
            self.counts,
            Journal(),
            order=self._order,
            plug=None,
            troubles=lambda: (),
            hooks=dict,
            readings=tuple,
            carried=lambda _: None,
            inventory=Stock(lambda: self.settings),
            log_levels=Attention(self.host.fleet.row, lambda _kind, _text: None),
        )

    def _order(self, order: OperatorEvent) -> None:
        self.orders.append(order)
        self.host.hears(order)
