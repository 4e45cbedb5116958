"""Numbers for Prometheus: their names, that none is left out, and that the dashboard asks for what is there."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read

from mobike._core import SimCore
from mobike_api import create_app
from mobike_api.metrics import ALWAYS, GAUGES, drop_of
from tests.api.books import some_books
from tests.api.counters import counted
from tests.api.house import BORN, House, a_house

TOKEN = "correct-horse-battery-staple-0123456789"
DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD = DOCS / "grafana.json"


@dataclass
class Counting(House):
    """Every counter of the core has another value."""

    values: dict[str, int] = field(default_factory=lambda: {name: n for n, name in enumerate(counted(), 1)})

    def counters(self) -> dict[str, int]:
        return self.values


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    house = Counting(sas=a_house(3).sas)
    app = create_app(house, some_books(), token=TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mobike", headers=headers) as api:
        yield api


async def told(api: httpx.AsyncClient) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Samples by name, then by labels."""
    answer = await api.get("/metrics")
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/plain")
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in read(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def labels(**named: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(named.items()))


async def test_what_is_configured_and_down_is_zero_and_not_absent(api: httpx.AsyncClient) -> None:
    samples = await told(api)
    assert samples["mobike_connection_up"] == {
        labels(connection="office", role="initiator"): 1,
        labels(connection="lab", role="initiator"): 0,
        labels(connection="roadwarriors", role="responder"): 0,
    }
    assert samples["mobike_connection_ike_sas"][labels(connection="lab", role="initiator")] == 0
    for connection in ("office", "lab", "roadwarriors"):
        for kind in ALWAYS:
            assert labels(connection=connection, kind=kind) in samples["mobike_connection_events_total"]
    assert samples["mobike_connection_events_total"][labels(connection="office", kind="moved")] == 6


async def test_times_are_histograms_of_connections(api: httpx.AsyncClient) -> None:
    samples = await told(api)
    assert samples["mobike_switch_seconds_bucket"] == {
        labels(connection="office", le="0.01"): 3,
        labels(connection="office", le="0.1"): 5,
        labels(connection="office", le="+Inf"): 6,
    }
    assert samples["mobike_switch_seconds_sum"] == {labels(connection="office"): 0.5}
    assert samples["mobike_exchange_seconds_count"] == {
        labels(connection="office", exchange="update"): 6,
        labels(connection="office", exchange="test"): 6,
    }


async def test_of_what_runs_out_the_first_to_end_is_told_by_use_and_name(api: httpx.AsyncClient) -> None:
    assert (await told(api))["mobike_credential_expires_timestamp_seconds"] == {
        labels(use="crl", name="CN=Example CA"): BORN + 3_600,
        labels(use="own", name="CN=me.example.net"): BORN + 86_400,
    }


async def test_no_number_is_of_one_sa_or_peer(api: httpx.AsyncClient) -> None:
    text = (await api.get("/metrics")).text
    for sa in a_house(3).sas.values():
        for private in (sa.peer_id, sa.spi_i, sa.remote.rpartition(":")[0], *sa.virtual_ips):
            assert private not in text
    names = {label for samples in (await told(api)).values() for each in samples for label, _ in each}
    assert names <= {
        "connection", "role", "kind", "webhook", "result", "exchange",
        "le", "link", "address", "layer", "reason", "version", "use", "name",
    }  # fmt: skip


async def test_every_counter_of_the_core_is_told_once(api: httpx.AsyncClient) -> None:
    samples = await told(api)
    values = Counting().values
    plain = {name for name in values if drop_of(name) is None}
    for name in plain:
        assert samples[f"mobike_{name}" if name in GAUGES else f"mobike_{name}_total"] == {(): values[name]}
    drops = {drop_of(name): value for name, value in values.items() if name not in plain}
    assert len(drops) == len(values) - len(plain), "two drops have one reason"
    assert samples["mobike_dropped_total"] == {
        labels(layer=drop[0], reason=drop[1]): value for drop, value in drops.items() if drop is not None
    }


def test_whatever_the_core_drops_or_does_not_send_has_a_reason() -> None:
    """Held against the words that the sources have for each counter."""
    assert len(counted()) > 150
    for name, words in counted().items():
        drops = words.startswith(("Dropped", "Not sent:")) or (name.startswith("esp_") and name != "esp_children")
        assert (drop_of(name) is not None) == drops, f"{name}: {words}"


def test_the_sources_name_what_the_core_counts() -> None:
    """What the tests above build upon."""
    assert set(SimCore(seed=bytes(32)).counters()) == set(counted())


async def test_openmetrics_is_told_to_those_who_ask(api: httpx.AsyncClient) -> None:
    answer = await api.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = read_openmetrics(answer.text)  # type: ignore[no-untyped-call]
    assert {family.name for family in families} >= {"mobike_dropped", "mobike_switch_seconds"}


async def test_the_scope_metrics_is_enough_and_nothing_is_too_little(api: httpx.AsyncClient) -> None:
    made = await api.post("/api/v1/tokens", json={"name": "prometheus", "scope": "metrics", "lifetime_s": 3600})
    assert made.status_code == 201, made.text
    shown = {"Authorization": f"Bearer {made.json()['text']}"}
    assert (await api.get("/metrics", headers=shown)).status_code == 200
    assert (await api.get("/api/v1/ike-sas", headers=shown)).status_code == 403
    api.headers.pop("Authorization")
    assert (await api.get("/metrics")).status_code == 401


# --- the dashboard ---


def queries(dashboard: dict[str, Any]) -> list[str]:
    panels = [*dashboard["panels"], *(inner for each in dashboard["panels"] for inner in each.get("panels", ()))]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


async def test_the_dashboard_asks_only_for_what_is_told(api: httpx.AsyncClient) -> None:
    samples = await told(api)
    dashboard = json.loads(DASHBOARD.read_text())
    asked = queries(dashboard)
    assert len(asked) >= 12
    for query in asked:
        names = re.findall(r"\b(?:mobike|process)_[a-z0-9_]+", query)
        assert names, query
        for name in names:
            assert name in samples, f"{query} asks for {name}"
        for selector in re.findall(r"(mobike_[a-z_]+)\{([^}]*)\}", query):
            for label in re.findall(r"(\w+)\s*[=!]~?", selector[1]):
                known = {key for each in samples[selector[0]] for key, _ in each}
                assert label in known | {"instance", "job"}, f"{query}: {selector[0]} has no label {label}"


def test_each_panel_has_a_place_and_a_source() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${source}"}, panel["title"]


async def test_the_page_names_every_number(api: httpx.AsyncClient) -> None:
    page = (DOCS / "metrics.md").read_text()
    ours = {name for name in await told(api) if name.startswith("mobike_")}
    general = {f"mobike_{name}{'' if name in GAUGES else '_total'}" for name in counted() if drop_of(name) is None}
    for name in ours - general:
        family = re.sub(r"_(bucket|sum|count|created)$", "", name)
        assert f"`{family}`" in page, family
