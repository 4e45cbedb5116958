"""Numbers for Prometheus: by connection, never by SA or peer, so that they do not grow with who calls.

What is configured and down is 0, not absent. Whatever led to nothing was counted under its reason.
"""

from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from mobike.facade import ConnectionView, Facade
from mobike.facade.readings import Reading, Spread
from mobike_api.operations import Operations, Phase
from mobike_api.webhooks import Webhooks

ALWAYS: Final = ("sa-up", "sa-down", "moved", "peer-moved", "move-failed", "connect-failed", "waiting")
"""Kinds of events that each configured connection has a number for, though it be 0."""

GAUGES: Final = frozenset({"esp_children", "ike_sas_closing", "io_shards", "io_shards_running", "accounting_waiting"})
"""Counters of the core that can fall."""

NOT_SENT: Final = "io_send_"
IO_DROPS: Final = frozenset({
    "runts", "unreadable", "unplugged", "esp_without_plane", "ike_held_off", "hand_over_full", "inner_nowhere",
    "inner_full", "inner_refused", "inner_too_big", "inner_too_big_untold", "esp_plain", "held_dropped",
})  # fmt: skip
IKE_DROPS: Final = frozenset({
    "ike_puzzles_wrong", "ike_probes_replayed", "ike_probes_refused", "ike_repeats_parked",
})  # fmt: skip
"""Those that are not called `ike_dropped_`."""


def drop_of(counter: str) -> tuple[str, str] | None:
    """Which layer dropped, and why; None: this counts no drop."""
    layer, _, name = counter.partition("_")
    if layer == "ike":
        if name.startswith("dropped_"):
            return layer, name.removeprefix("dropped_")
        return (layer, name) if counter in IKE_DROPS else None
    if layer == "esp":
        return None if counter in GAUGES else (layer, name.removesuffix("_drops"))
    if layer == "io":
        return (layer, name) if counter.startswith(NOT_SENT) or name in IO_DROPS else None
    return None


class Metrics:
    """All numbers of one daemon, in the words of Prometheus."""

    def __init__(self, facade: Facade, operations: Operations, webhooks: Webhooks) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Daemon(facade, operations, webhooks))
        ProcessCollector(registry=self._registry)

    def told(self, accept: str | None) -> tuple[bytes, str]:
        """All of them now, and what that is: OpenMetrics where it is asked for, else the older text."""
        encode, kind = choose_encoder(accept or "")
        return encode(self._registry), kind


class _Daemon(Collector):
    def __init__(self, facade: Facade, operations: Operations, webhooks: Webhooks) -> None:
        self._facade = facade
        self._operations = operations
        self._webhooks = webhooks

    def collect(self) -> Iterator[Metric]:
        yield from self._health()
        connections, readings = self._facade.connections(), self._facade.readings()
        yield from _states(connections)
        yield _events(connections, readings)
        yield from _times(readings)
        yield self._addresses()
        yield self._expiries()
        yield from _counted(self._facade.counters())
        yield from _told(self._webhooks)
        running = sum(each.phase is Phase.RUNNING for each in self._operations.all())
        yield GaugeMetricFamily("mobike_operations_running", "Operations under way.", running)

    def _health(self) -> Iterator[Metric]:
        health = self._facade.health()
        yield InfoMetricFamily("mobike_build", "Which mobike this is.", {"version": health.version})
        yield GaugeMetricFamily("mobike_ready", "1: the daemon can do its work; readyz says why not.", health.ready)
        yield GaugeMetricFamily("mobike_uptime_seconds", "Age of the daemon.", health.uptime_s)

    def _addresses(self) -> Metric:
        told = "1: this address of ours can be used."
        family = GaugeMetricFamily("mobike_address_usable", told, labels=("link", "address"))
        for each in self._facade.addresses():
            family.add_metric((each.link, each.ip), each.available)
        return family

    def _expiries(self) -> Metric:
        told = "When it is good no longer: certificates, revocation lists, OCSP responses, by use and name."
        name = "mobike_credential_expires_timestamp_seconds"
        ends: dict[tuple[str, str], float] = {}
        for each in self._facade.inventory.expiries():
            # Of those with one name the first to end: while it is replaced there are two.
            ends.setdefault((each.use, each.name), each.not_after)
        family = GaugeMetricFamily(name, told, labels=("use", "name"))
        for labels, end in ends.items():
            family.add_metric(labels, end)
        return family


def _states(connections: tuple[ConnectionView, ...]) -> Iterator[Metric]:
    labels = ("connection", "role")
    up = GaugeMetricFamily("mobike_connection_up", "1: it has an IKE SA.", labels=labels)
    sas = GaugeMetricFamily("mobike_connection_ike_sas", "How many IKE SAs it has.", labels=labels)
    for each in connections:
        up.add_metric((each.name, each.role), each.ike_sas > 0)
        sas.add_metric((each.name, each.role), each.ike_sas)
    yield up
    yield sas


def _events(connections: tuple[ConnectionView, ...], readings: tuple[Reading, ...]) -> Metric:
    told = "What happened to it, by kind as in the events of the API."
    family = CounterMetricFamily("mobike_connection_events", told, labels=("connection", "kind"))
    happened = {each.connection: each.happened for each in readings}
    for each in dict.fromkeys((*(each.name for each in connections), *happened)):
        for kind, count in (dict.fromkeys(ALWAYS, 0) | dict(happened.get(each, {}))).items():
            family.add_metric((each, kind), count)
    return family


def _times(readings: tuple[Reading, ...]) -> Iterator[Metric]:
    told = "Round trips of exchanges: update (UPDATE_SA_ADDRESSES), test (is the peer there?)."
    exchanges = HistogramMetricFamily("mobike_exchange_seconds", told, labels=("connection", "exchange"))
    told = "Moves: from the decision to the peer's answer."
    switches = HistogramMetricFamily("mobike_switch_seconds", told, labels=("connection",))
    for each in readings:
        for exchange, spread in each.exchanges.items():
            exchanges.add_metric((each.connection, exchange), _buckets(spread), spread.sum_s)
        switches.add_metric((each.connection,), _buckets(each.switch), each.switch.sum_s)
    yield exchanges
    yield switches


def _told(webhooks: Webhooks) -> Iterator[Metric]:
    told = "Events for webhooks: told, given_up (told too often in vain), missed (too late: no longer kept)."
    events = CounterMetricFamily("mobike_webhook_events", told, labels=("webhook", "result"))
    tries = CounterMetricFamily("mobike_webhook_failed_tries", "Messages that were not taken.", labels=("webhook",))
    for name, tally in webhooks.tallies.items():
        for result in ("told", "given_up", "missed"):
            events.add_metric((name, result), getattr(tally, result))
        tries.add_metric((name,), tally.failed_tries)
    yield events
    yield tries


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    bounds = (*map(str, spread.bounds_s), "+Inf")
    return list(zip(bounds, accumulate(map(float, spread.counts)), strict=True))


def _counted(counters: dict[str, int]) -> Iterator[Metric]:
    told = "Datagrams and packets that were dropped, by layer and reason."
    drops = CounterMetricFamily("mobike_dropped", told, labels=("layer", "reason"))
    for name, value in counters.items():
        drop = drop_of(name)
        if drop is not None:
            drops.add_metric(drop, value)
        elif name in GAUGES:
            yield GaugeMetricFamily(f"mobike_{name}", f"{name} of GET /api/v1/counters.", value)
        else:
            yield CounterMetricFamily(f"mobike_{name}", f"{name} of GET /api/v1/counters.", value)
    yield drops
