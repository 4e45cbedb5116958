"""The last exchanges of one IKE SA, as the facade shows them."""

from mobike.exchange import Exchange
from mobike.facade.exchanges import ExchangeView
from mobike.gateway.epoch import Epoch


def shown(exchange: Exchange, epoch: Epoch) -> ExchangeView:
    """With the time of day."""
    return ExchangeView(
        since=epoch.of(exchange.since),
        at=epoch.of(exchange.at),
        asked_by="us" if exchange.ours else "peer",
        exchange=exchange.kind or "unknown",
        topic=exchange.topic,
        message_id=exchange.message_id,
        times=exchange.times,
        sent=exchange.sent,
        many_paths=exchange.many_paths,
        answered=exchange.answered,
        took_ms=None if exchange.took is None else round(exchange.took / 1e6, 3),
        error=exchange.error,
    )
