"""Every endpoint and every error, in process."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Any

import httpx
import pytest

from mobike.facade import Facade, Health
from mobike.facade.exchanges import ExchangeView
from mobike_api import create_app
from mobike_api.guard import MAX_BODY
from tests.api.books import some_books
from tests.api.house import BORN, House, a_house

TOKEN = "correct-horse-battery-staple-0123456789"


@pytest.fixture
def house() -> House:
    return a_house()


@pytest.fixture
async def api(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(house) as client:
        yield client


def _client(facade: Facade, token: str | None = TOKEN) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(facade, some_books(), token=TOKEN), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=transport, base_url="http://mobike", headers=headers)


def _problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"]) == (status, status)
    assert body["type"] == f"urn:problem-type:mobike:{kind}"
    assert body["title"]
    assert body["detail"]
    return body


# --- what there is ---------------------------------------------------------------------------------------------------


async def test_ike_sas_are_listed(api: httpx.AsyncClient) -> None:
    body = (await api.get("/api/v1/ike-sas")).raise_for_status().json()
    assert [sa["id"] for sa in body["items"]] == ["1", "2", "3"]
    assert (body["after"], body["total"]) == (None, 3)
    assert body["items"][0]["virtual_ips"] == ["10.99.0.1"]


async def test_2500_sas_are_read_page_by_page_without_loss_or_repetition() -> None:
    async with _client(a_house(2500)) as api:
        seen: list[str] = []
        after: str | None = None
        for page in range(3):
            query = {"limit": "999"} | ({"after": after} if after else {})
            body = (await api.get("/api/v1/ike-sas", params=query)).raise_for_status().json()
            seen += [sa["id"] for sa in body["items"]]
            after = body["after"]
            assert body["total"] == 2500
            assert (after is None) == (page == 2)
    assert seen == [f"{number:x}" for number in range(1, 2501)]


async def test_the_list_is_narrowed_to_a_connection(api: httpx.AsyncClient) -> None:
    assert (await api.get("/api/v1/ike-sas?connection=lab")).json() == {"items": [], "after": None, "total": 0}
    assert (await api.get("/api/v1/ike-sas?connection=office&limit=2")).json()["after"] == "2"


async def test_one_sa_says_its_pairs_and_why_it_is_where_it_is(api: httpx.AsyncClient) -> None:
    body = (await api.get("/api/v1/ike-sas/2")).raise_for_status().json()
    assert body["sa"]["id"] == "2"
    assert body["why"].startswith("wlan0 is the first of your links")
    assert [(pair["rank"], pair["local"], pair["current"]) for pair in body["pairs"]] == [
        (1, "192.0.2.10", True),
        (2, "198.51.100.20", False),
    ]
    assert body["children"][0]["packets_in"] == 1200
    assert body["last_move"] is None


async def test_connections_are_listed_also_where_they_are_down(api: httpx.AsyncClient) -> None:
    items = (await api.get("/api/v1/connections")).raise_for_status().json()["items"]
    assert {item["name"]: item["state"] for item in items} == {
        "office": "up",
        "lab": "down",
        "roadwarriors": "listening",
    }


async def test_what_has_happened_before_a_request_is_in_its_answer(api: httpx.AsyncClient, house: House) -> None:
    house.news.append(replace(house.known["lab"], state="up", ike_sas=1, last_error=None))
    body = (await api.get("/api/v1/connections")).raise_for_status().json()
    assert {each["name"]: each["state"] for each in body["items"]}["lab"] == "up"


async def test_addresses_counters_and_health_are_shown(api: httpx.AsyncClient) -> None:
    addresses = (await api.get("/api/v1/addresses")).raise_for_status().json()["items"]
    assert addresses[1] == {
        "ip": "198.51.100.20", "link": "wwan0", "available": True, "standing": "preferred", "ike_sas": 0,
    }  # fmt: skip
    assert (await api.get("/api/v1/counters")).json()["counters"]["ike_dropped_unknown_spi"] == 2
    assert (await api.get("/api/v1/health")).json() == {
        "live": True,
        "ready": True,
        "reasons": [],
        "version": "0.1.0",
        "uptime_s": 3725.0,
    }


async def test_an_sa_explains_where_it_is_and_where_it_would_be_without_a_link(api: httpx.AsyncClient) -> None:
    now = (await api.get("/api/v1/ike-sas/2/explain")).raise_for_status().json()
    assert (now["without"], now["decision"], now["local"]) == (None, "stay", "192.0.2.10")
    then = (await api.get("/api/v1/ike-sas/2/explain?without=wlan0")).raise_for_status().json()
    assert (then["without"], then["decision"], then["local"]) == ("wlan0", "move", "198.51.100.20")
    assert then["why"] == "wlan0 is gone"
    assert len(then["pairs"]) == 2
    unknown = await api.get("/api/v1/ike-sas/2/explain?without=eth9")
    assert (unknown.status_code, unknown.json()["detail"]) == (409, "'eth9' is no link and no address of ours")
    assert (await api.get("/api/v1/ike-sas/9999/explain")).status_code == 404


async def test_an_sa_tells_its_last_exchanges(api: httpx.AsyncClient, house: House) -> None:
    quiet = ExchangeView(BORN, BORN + 60, "us", "INFORMATIONAL", "liveness", 9, 3, 1, False, True, 12.5, None)
    open_ = ExchangeView(
        BORN + 70, BORN + 70, "us", "INFORMATIONAL", "update-addresses", 10, 1, 4, True, False, None, None
    )
    house.said["2"] = [quiet, open_]
    told = (await api.get("/api/v1/ike-sas/2/exchanges")).raise_for_status().json()["items"]
    assert told == [asdict(quiet), asdict(open_)]
    assert (await api.get("/api/v1/ike-sas/1/exchanges")).json() == {"items": []}
    assert (await api.get("/api/v1/ike-sas/9999/exchanges")).status_code == 404


# --- orders ----------------------------------------------------------------------------------------------------------


async def test_a_move_is_ordered_and_seen(api: httpx.AsyncClient, house: House) -> None:
    answer = await api.post("/api/v1/ike-sas/2/move", json={"local": "198.51.100.20"})
    assert (answer.status_code, answer.json()) == (202, {"order": "move", "target": "2"})
    assert house.orders == ["move 2 198.51.100.20 None"]
    body = (await api.get("/api/v1/ike-sas/2")).json()
    assert body["sa"]["local"] == "198.51.100.20:4500"
    assert body["last_move"]["duration_ms"] == 12.5
    back = await api.delete("/api/v1/ike-sas/2/pin")
    assert (back.status_code, back.json()) == (202, {"order": "unpin", "target": "2"})
    assert house.orders[-1] == "unpin 2"
    assert (await api.delete("/api/v1/ike-sas/3/pin")).status_code == 409


@pytest.mark.parametrize(
    ("asked", "body", "order"),
    [
        ("POST connections/office/up", None, "up office"),
        ("POST connections/office/down", None, "down office"),
        ("POST connections/office/away", {"span_s": 28_800}, "away office 28800"),
        ("POST connections/office/back", None, "back office"),
        ("DELETE ike-sas/3", None, "close 3"),
        ("PUT addresses/192.0.2.10", {"available": False}, "unplug 192.0.2.10 announce=True"),
        ("PUT addresses/192.0.2.10", {"available": True, "announce": False}, "plug 192.0.2.10 announce=False"),
        ("POST ike-sas/1/rekey", {}, "rekey 1 ike"),
        ("POST ike-sas/1/rekey", {"children": True}, "rekey 1 children"),
        ("POST ike-sas/1/reauth", None, "reauth 1"),
        (
            "POST ike-sas/1/redirect",
            {"to": ["203.0.113.2", "gw2.example.net"]},
            "redirect 1 203.0.113.2 gw2.example.net",
        ),
        ("PUT drain", {"to": ["203.0.113.2"]}, "drain 203.0.113.2"),
        ("DELETE drain", None, "drain "),
        ("POST ike-sas/1/children", {"name": "voice"}, "open 1 voice"),
        ("DELETE ike-sas/1/children/1.1", None, "close 1 1.1"),
        ("PUT links/wwan0", {"avoid": True}, "avoid wwan0"),
        ("PUT links/wwan0", {"avoid": False}, "lift wwan0"),
        ("POST ike-sas/1/move", {"remote": "2001:DB8:0::1"}, "move 1 None 2001:db8::1"),
    ],
)
async def test_an_order_reaches_the_facade(
    api: httpx.AsyncClient, house: House, asked: str, body: object, order: str
) -> None:
    method, path = asked.split()
    answer = await api.request(method, f"/api/v1/{path}", json=body)
    assert answer.status_code == 202, answer.text
    assert house.orders == [order]


# --- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "ike-sas/77"),
        ("DELETE", "ike-sas/77"),
        ("DELETE", "ike-sas/1/children/77"),
        ("POST", "ike-sas/77/children"),
        ("POST", "connections/nowhere/up"),
        ("POST", "connections/nowhere/down"),
        ("GET", "nonsense"),
        ("GET", "ike-sas/"),
        ("GET", "../../etc/passwd"),
    ],
)
async def test_what_is_not_there_is_a_problem(api: httpx.AsyncClient, method: str, path: str) -> None:
    body = {"name": "voice"} if path.endswith("children") else None
    _problem(await api.request(method, f"/api/v1/{path}", json=body), 404, "not-found")


async def test_an_unknown_sa_is_named(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/v1/ike-sas/77/move", json={"local": "192.0.2.10"})
    assert _problem(answer, 404, "not-found")["detail"] == "there is no IKE SA 77"


async def test_the_wrong_method_is_a_problem_and_says_which_is_right(api: httpx.AsyncClient) -> None:
    answer = await api.put("/api/v1/ike-sas")
    _problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET"
    assert (await api.patch("/api/v1/ike-sas/1")).headers["allow"] == "DELETE, GET"


async def test_head_is_answered_as_get_without_the_body(api: httpx.AsyncClient, house: House) -> None:
    for path in ("/livez", "/readyz", "/metrics", "/api/v1/ike-sas", "/api/v1/ike-sas/1", "/"):
        head, whole = await api.head(path), await api.get(path)
        assert (head.status_code, head.content) == (whole.status_code, b""), path
        kept = {"content-type", "content-length", "etag", "cache-control", "content-security-policy"}
        told = [{name: each for name, each in answer.headers.items() if name in kept} for answer in (head, whole)]
        # Numbers are others each time.
        assert path == "/metrics" or told[0] == told[1], path
    house.ready = False
    assert (await api.head("/readyz")).status_code == 503
    assert (await api.head("/api/v1/ike-sas/77")).status_code == 404
    assert (await api.head("/api/v1/ike-sas", headers={"Authorization": "Bearer wrong"})).status_code == 401
    lines = await api.head("/api/v1/ike-sas", headers={"Accept": "application/x-ndjson"})
    assert (lines.status_code, lines.headers["content-type"]) == (200, "application/json")
    tag = (await api.get("/api/v1/ike-sas")).headers["etag"]
    assert (await api.head("/api/v1/ike-sas", headers={"If-None-Match": tag})).status_code == 304
    assert (await api.head("/api/v1/events")).status_code == 405, "that does not end"


async def test_a_child_that_the_connection_does_not_name_is_refused(api: httpx.AsyncClient, house: House) -> None:
    body = _problem(await api.post("/api/v1/ike-sas/1/children", json={"name": "nobody"}), 409, "refused")
    assert body["pointer"] == "#/name"
    assert house.orders == []


async def test_a_refused_field_is_pointed_at_with_a_hint(api: httpx.AsyncClient, house: House) -> None:
    body = _problem(await api.post("/api/v1/ike-sas/1/move", json={"local": "10.0.0.1"}), 409, "refused")
    assert body["pointer"] == "#/local"
    assert body["detail"] == "10.0.0.1 is no address of ours"
    assert body["hint"] == "ours are 192.0.2.10, 198.51.100.20"
    assert house.orders == []


@pytest.mark.parametrize(
    "body", [{}, {"local": None, "remote": None}, {"local": "192.0.2.10", "remote": "2001:db8::1"}]
)
async def test_a_move_to_nowhere_or_across_families_is_refused(
    api: httpx.AsyncClient, house: House, body: object
) -> None:
    _problem(await api.post("/api/v1/ike-sas/1/move", json=body), 409, "refused")
    assert house.orders == []


async def test_a_cursor_that_is_none_is_a_wrong_parameter(api: httpx.AsyncClient) -> None:
    body = _problem(await api.get("/api/v1/ike-sas?after=zzz"), 409, "refused")
    assert body["parameter"] == "after"


async def test_what_is_not_possible_now_is_a_conflict(api: httpx.AsyncClient, house: House) -> None:
    body = _problem(await api.post("/api/v1/connections/roadwarriors/up"), 409, "refused")
    assert body["hint"] == "bring it up from the other end"
    house.manual = False
    _problem(await api.put("/api/v1/addresses/192.0.2.10", json={"available": False}), 409, "refused")


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("ike-sas?limit=0", "limit"),
        ("ike-sas?limit=1001", "limit"),
        ("ike-sas?limit=many", "limit"),
        ("ike-sas?connection=office&connection=lab", "connection"),
        ("ike-sas?limti=5", "limti"),
        ("ike-sas/a%20b", "id"),
        ("ike-sas/" + "a" * 65, "id"),
        ("events?after=-1", "after"),
    ],
)
async def test_a_wrong_parameter_is_named(api: httpx.AsyncClient, path: str, parameter: str) -> None:
    assert _problem(await api.get(f"/api/v1/{path}"), 422, "invalid-request")["parameter"] == parameter


async def test_a_last_event_id_that_is_no_number_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.get("/api/v1/events", headers={"Last-Event-ID": "yesterday"})
    assert _problem(answer, 422, "invalid-request")["parameter"] == "last-event-id"


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({"local": "nowhere"}, "#/local", "local"),
        ({"local": "fe80::1%eth0"}, "#/local", "without a zone"),
        ({"local": "192.0.2.10", "when": "now"}, "#/when", "when: is unknown"),
        ({"local": 5}, "#/local", "must be an IP address"),
        ([], "#", "object"),
        (None, "#", "is missing"),
    ],
)
async def test_a_body_that_makes_no_sense_is_pointed_into(
    api: httpx.AsyncClient, house: House, body: object, pointer: str, words: str
) -> None:
    content = None if body is None else json.dumps(body)
    answer = await api.post("/api/v1/ike-sas/1/move", content=content, headers={"Content-Type": "application/json"})
    problem = _problem(answer, 422, "invalid-request")
    assert problem["pointer"].startswith(pointer)
    assert words in problem["detail"]
    assert house.orders == []


@pytest.mark.parametrize(
    ("method", "path", "body", "detail", "hint"),
    [
        ("GET", "ike-sas?stat=waiting", None, "stat: is unknown", "did you mean state?"),
        ("GET", "events/past?colour=red", None, "colour: is unknown", "there are limit, before, sa, connection, kind"),
        ("GET", "pools?connection=a&limit=many", None, "limit: is unknown", "there are connection"),
        ("GET", "ike-sas?limit=many", None, "limit: is no whole number", None),
        ("GET", "ike-sas?limit=0", None, "limit: is less than 1", None),
        ("GET", "ike-sas?state=waitin", None, "state: is none of ", "did you mean waiting?"),
        ("GET", "ike-sas?fields=id,stat", None, "fields: stat: unknown", "did you mean state?"),
        ("GET", "ike-sas?fields=id,x", None, "fields: x: unknown", "there are id, connection, role, "),
        ("GET", "connections/a%20b", None, "name: is not of the form ^[A-Za-z0-9]", None),
        ("GET", "nothing", None, "there is nothing at /api/v1/nothing", "GET /api/v1/openapi.json tells what there is"),
        ("PUT", "ike-sas/1", None, "cannot be asked with PUT", "ask with DELETE, GET"),
        ("POST", "operations", {"order": "reky", "select": {}}, "order: is none of ", "did you mean rekey?"),
        ("POST", "operations", {"order": "rekey", "select": {"ip": 1}}, "select.ip: is unknown", "there are ids"),
        ("POST", "operations", {"order": "rekey", "select": {"ids": [7]}}, "select.ids.0: is no text", None),
        ("POST", "operations", {"order": "away", "select": {}, "span_s": 0}, "span_s: is less than 1", None),
        ("POST", "operations", [], "body: is no object", "Content-Type: application/json"),
        ("POST", "operations", None, "body: is missing", "send a JSON object"),
        ("POST", "config/plan", {"reload": "no"}, "reload: is neither true nor false", None),
        ("POST", "config/plan", {"credentials": {"a": {"kind": "psk", "contents": "x"}}},
         "credentials.a.contents: is unknown", "did you mean content?"),
        ("POST", "config/plan", {"credentials": {"a": 5}}, "credentials.a: is no object", None),
        ("POST", "tokens", {"name": ""}, "name: is not of the form ^[A-Za-z0-9]", None),
        ("POST", "config/plan", {"credentials": {"a": {"kind": "psk", "content": ""}}}, "a.content: is empty", None),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said_in_plain_words_with_what_mends_it(  # noqa: PLR0917 - a table
    api: httpx.AsyncClient, house: House, method: str, path: str, body: object, detail: str, hint: str | None
) -> None:
    answer = await api.request(method, f"/api/v1/{path}", json=body)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in problem["detail"], problem
    assert (problem.get("hint") is None) is (hint is None), problem
    assert (hint or "") in (problem.get("hint") or "")
    assert house.orders == []


async def test_a_body_that_is_no_json_is_a_problem(api: httpx.AsyncClient) -> None:
    answer = await api.post(
        "/api/v1/ike-sas/1/move", content=b'{"local": ', headers={"Content-Type": "application/json"}
    )
    assert "no JSON" in _problem(answer, 400, "malformed")["detail"]
    answer = await api.post("/api/v1/ike-sas/1/move", content=b"\xff", headers={"Content-Type": "application/json"})
    _problem(answer, 400, "malformed")


async def test_a_body_that_is_too_large_is_refused_said_or_not(api: httpx.AsyncClient, house: House) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 1024 + 1):
            yield b" " * 1024

    for content in (b" " * (MAX_BODY + 1), endless()):
        answer = await api.post("/api/v1/ike-sas/1/move", content=content)
        assert "several orders" in _problem(answer, 413, "too-large")["hint"]
    assert house.orders == []


async def test_a_fault_inside_is_a_problem_that_tells_nothing_of_the_inside() -> None:
    class Broken(House):
        def health(self) -> Health:
            raise RuntimeError("the secret is swordfish")

    async with _client(Broken()) as api:
        answer = await api.get("/api/v1/health")
    assert "swordfish" not in answer.text
    _problem(answer, 500, "internal")
    assert answer.headers["x-content-type-options"] == "nosniff"


# --- probes, headers, and who may call ----------------------------------------------------------------------------


async def test_the_probes_need_no_token_and_say_why(house: House) -> None:
    async with _client(house, token=None) as api:
        assert (await api.get("/livez")).json() == {"live": True}
        assert (await api.get("/readyz")).json() == {"ready": True}
        house.ready = False
        assert _problem(await api.get("/readyz"), 503, "not-ready")["reasons"] == ["no local address can be used"]
        assert (await api.get("/livez")).status_code == 200
        house.live = False
        _problem(await api.get("/livez"), 503, "not-ready")


async def test_nothing_but_the_probes_and_the_page_is_open(house: House) -> None:
    async with _client(house, token=None) as stranger:
        for path in ("/page/", "/api/v1/openapi.json", "/docs", "/nothing", "/livez/", "http://mobike//livez"):
            for method in ("GET", "POST", "DELETE"):
                answer = await stranger.request(method, path)
                _problem(answer, 401, "unauthorized")
                assert answer.headers["www-authenticate"] == 'Bearer realm="mobike"'
    assert house.orders == []


@pytest.mark.parametrize(
    "authorization",
    [
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        f"Bearer{TOKEN}",
        "Bearer",
        "Bearer ",
        TOKEN,
        "",
        "Bearer \u00e9",
    ],
)
async def test_a_wrong_token_is_refused(house: House, authorization: str) -> None:
    async with _client(house, token=None) as api:
        answer = await api.get("/api/v1/ike-sas", headers={b"Authorization": authorization.encode()})
    _problem(answer, 401, "unauthorized")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert TOKEN not in answer.text


async def test_without_a_token_no_token_is_right(house: House) -> None:
    transport = httpx.ASGITransport(create_app(house, some_books(), token=None))
    async with httpx.AsyncClient(transport=transport, base_url="http://mobike") as api:
        for shown in ("Bearer None", "Bearer ", "Bearer"):
            _problem(await api.get("/api/v1/ike-sas", headers={"Authorization": shown}), 401, "unauthorized")


async def test_security_headers_are_on_every_answer(api: httpx.AsyncClient) -> None:
    for path in ("/livez", "/api/v1/ike-sas", "/nothing"):
        headers = (await api.get(path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")


async def test_no_page_loads_scripts_from_elsewhere(api: httpx.AsyncClient) -> None:
    for path in ("/docs", "/redoc", "/docs/oauth2-redirect"):
        assert (await api.get(path)).status_code == 404


async def test_the_openapi_document_describes_everything(api: httpx.AsyncClient) -> None:
    schema = (await api.get("/api/v1/openapi.json")).json()
    assert schema["openapi"].startswith("3.1")
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert operation["description"], path
            assert "application/problem+json" in operation["responses"]["422"]["content"], path
