"""Who may do what: every operation with every token, and with none."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pytest

from mobike.facade.books import Scope
from mobike.gateway.books import GatewayBooks
from mobike_api import create_app
from mobike_api.app import OPENAPI_PATH, described
from mobike_api.limits import MOST_CALLERS, Limiter, Rate
from tests.api.books import some_books
from tests.api.house import House, a_house
from tests.api.scopes import NEEDED, OPEN

MASTER = "correct-horse-battery-staple-0123456789"
VALUES = {"id": "1", "name": "office", "ip": "192.0.2.10", "child": "1.1", "revision": "1"}
TWICE: Final = "?x=1&x=2"
"""A request that is refused right behind the door, whatever it is about."""
OPERATIONS: Final = [
    (method.upper(), path, operation)
    for path, operations in described().openapi()["paths"].items()
    for method, operation in operations.items()
]


@dataclass
class Desk:
    house: House = field(default_factory=a_house)
    books: GatewayBooks = field(default_factory=some_books)
    calls: Limiter = field(default_factory=lambda: Limiter(Rate(1e6, 10**9)))

    def __post_init__(self) -> None:
        self.app = create_app(self.house, self.books, token=MASTER, calls=self.calls)

    def client(self, token: str | None = MASTER) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(self.app, client=("192.0.2.99", 40_000))
        return httpx.AsyncClient(transport=transport, base_url="http://mobike", headers=headers)

    async def token(self, scope: Scope, lifetime_s: int = 3600) -> str:
        return (await self.books.access.make_token("test", scope, lifetime_s, by="the test"))[1]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    yield Desk()


def kind(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body: dict[str, Any] = answer.json()
    assert body["status"] == answer.status_code
    return str(body["type"]).removeprefix("urn:problem-type:mobike:")


# --- the matrix ------------------------------------------------------------------------------------------------------


def test_every_operation_has_its_scope_in_the_table_and_no_other() -> None:
    said = {name: scope for scope, names in NEEDED.items() for name in names}
    assert sum(map(len, NEEDED.values())) == len(said)
    assert {each["operationId"] for _, _, each in OPERATIONS} == said.keys() | OPEN
    for _, _, operation in OPERATIONS:
        name = operation["operationId"]
        assert operation["security"] == (
            [] if name in OPEN else [{"token": [said[name]]}, {"certificate": [said[name]]}]
        )


async def test_the_document_itself_needs_a_token_of_any_scope(desk: Desk) -> None:
    async with desk.client(None) as stranger:
        assert kind(await stranger.get(OPENAPI_PATH)) == "unauthorized"
    async with desk.client(await desk.token(Scope.METRICS)) as api:
        assert (await api.get(OPENAPI_PATH)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[each["operationId"] for _, _, each in OPERATIONS]
)
async def test_an_operation_is_for_those_whose_token_is_for_it(
    desk: Desk, method: str, path: str, operation: dict[str, Any]
) -> None:
    name, url = operation["operationId"], path.format(**VALUES) + TWICE
    least = next((Scope(scope) for scope, names in NEEDED.items() if name in names), None)

    async def ask(token: str | None) -> httpx.Response:
        async with desk.client(token) as api:
            return await api.request(method, url, json={} if "requestBody" in operation else None)

    for token in (None, "wrong" * 9, f"mobike_{'0' * 12}_{'A' * 43}", await desk.token(Scope.ADMIN, lifetime_s=-1)):
        answer = await ask(token)
        assert (answer.status_code == 401) is (least is not None), token
    for scope in Scope:
        answer = await ask(await desk.token(scope))
        if least is None:
            assert answer.status_code == 200
        else:
            assert kind(answer) == ("invalid-request" if scope.covers(least) else "forbidden"), scope
    assert desk.house.orders == []


def test_each_scope_allows_what_those_before_it_allow() -> None:
    ladder = [Scope.METRICS, Scope.READ, Scope.OPERATE, Scope.CONFIGURE, Scope.ADMIN]
    assert [[each.covers(needed) for needed in ladder].count(True) for each in ladder] == [1, 2, 3, 4, 5]


async def test_what_is_forbidden_says_what_would_be_enough(desk: Desk) -> None:
    async with desk.client(await desk.token(Scope.READ)) as api:
        answer = await api.delete("/api/v1/ike-sas/1")
    assert kind(answer) == "forbidden"
    assert answer.json()["detail"].startswith("this needs scope 'operate', and token ")
    assert "scope 'operate'" in answer.json()["hint"]
    assert "1" in desk.house.sas


# --- tokens ----------------------------------------------------------------------------------------------------------


async def test_a_token_is_told_once_works_and_can_be_revoked(desk: Desk) -> None:
    async with desk.client() as admin:
        made = await admin.post("/api/v1/tokens", json={"name": "deploy", "scope": "operate", "lifetime_s": 60})
        assert made.status_code == 201
        text, token = made.json()["text"], made.json()["token"]
        assert (token["name"], token["scope"], token["made_by"]) == ("deploy", "operate", "token file")
        assert token["expires"] == pytest.approx(token["made"] + 60)
        listed = await admin.get("/api/v1/tokens")
        assert listed.json()["items"] == [token]
        assert text.split("_", 2)[2] not in listed.text
        async with desk.client(text) as api:
            assert (await api.get("/api/v1/ike-sas")).status_code == 200
            assert (await admin.delete(f"/api/v1/tokens/{token['id']}")).status_code == 200
            answer = await api.get("/api/v1/ike-sas")
            assert kind(answer) == "unauthorized"
            assert answer.json()["detail"] == "this is no token of the API, or it has expired"
        assert kind(await admin.delete(f"/api/v1/tokens/{token['id']}")) == "not-found"


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"name": "x y"},
        {"name": "x", "scope": "root"},
        {"name": "x", "lifetime_s": 59},
        {"name": "x", "lifetime_s": 10**9},
        {"name": "x", "hash": "00"},
    ],
)
async def test_a_token_that_makes_no_sense_is_not_made(desk: Desk, order: dict[str, Any]) -> None:
    async with desk.client() as admin:
        assert kind(await admin.post("/api/v1/tokens", json=order)) == "invalid-request"
        assert (await admin.get("/api/v1/tokens")).json()["items"] == []


# --- how often -------------------------------------------------------------------------------------------------------


async def test_who_calls_too_often_is_told_when_to_come_back_and_nobody_else_is() -> None:
    now = 0.0
    desk = Desk(calls=Limiter(Rate(0.5, 3), clock=lambda: now))
    async with desk.client(await desk.token(Scope.READ)) as busy, desk.client(await desk.token(Scope.READ)) as other:
        assert [(await busy.get("/api/v1/health")).status_code for _ in range(3)] == [200] * 3
        answer = await busy.get("/api/v1/health")
        assert (answer.status_code, kind(answer), answer.headers["retry-after"]) == (429, "too-often", "2")
        assert (await other.get("/api/v1/health")).status_code == 200
        now = 1.9
        assert (await busy.get("/api/v1/health")).status_code == 429
        now = 2.0
        assert (await busy.get("/api/v1/health")).status_code == 200
        assert (await busy.get("/livez")).status_code == 200


async def test_wrong_tokens_are_counted_by_address_and_do_not_shut_out_a_right_one(desk: Desk) -> None:
    async with desk.client("guess") as stranger, desk.client() as admin:
        answers = [await stranger.get("/api/v1/health") for _ in range(40)]
        assert [kind(answer) for answer in answers[:20]] == ["unauthorized"] * 20
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert (await admin.get("/api/v1/health")).status_code == 200


def test_a_limiter_forgets_and_does_not_grow() -> None:
    limiter = Limiter(Rate(1, 2), clock=lambda: 0.0)
    for caller in range(MOST_CALLERS + 10):
        assert limiter.take(str(caller)) is None
    assert len(limiter._buckets) == MOST_CALLERS


# --- the record ------------------------------------------------------------------------------------------------------


async def test_every_change_is_recorded_with_who_and_how_it_ended(desk: Desk) -> None:
    reader = await desk.token(Scope.READ)
    async with desk.client() as admin, desk.client(reader) as other, desk.client("guess") as stranger:
        await admin.post("/api/v1/ike-sas/1/move", json={"local": "198.51.100.20"})
        await admin.post("/api/v1/ike-sas/77/rekey", json={})
        await other.delete("/api/v1/ike-sas/2")
        await stranger.delete("/api/v1/ike-sas/2")
        await admin.get("/api/v1/ike-sas")
        page = (await admin.get("/api/v1/audit")).json()
    newest_first = [
        (deed["action"], deed["target"], deed["status"], deed["problem"], deed["said"]) for deed in page["items"]
    ]
    assert newest_first == [
        ("close_ike_sa", "DELETE /api/v1/ike-sas/2", 403, "forbidden", None),
        ("rekey_ike_sa", "POST /api/v1/ike-sas/77/rekey", 404, "not-found", None),
        ("move_ike_sa", "POST /api/v1/ike-sas/1/move", 202, None, '{"local": "198.51.100.20"}'),
    ]
    assert {deed["address"] for deed in page["items"]} == {"192.0.2.99"}
    who = [deed["caller"] for deed in page["items"]]
    assert who[0].startswith("token ")
    assert who[0].endswith(" (test)")
    assert who[1:] == ["token file"] * 2


async def test_the_record_is_read_in_pages_and_by_caller_and_action(desk: Desk) -> None:
    async with desk.client() as admin, desk.client(await desk.token(Scope.OPERATE)) as other:
        for number in range(5):
            await (other if number % 2 else admin).post("/api/v1/connections/office/up")
        await admin.post("/api/v1/connections/office/down")
        first = (await admin.get("/api/v1/audit?limit=4")).json()
        rest = (await admin.get("/api/v1/audit", params={"limit": 4, "before": first["before"]})).json()
        assert [deed["seq"] for deed in first["items"] + rest["items"]] == [6, 5, 4, 3, 2, 1]
        assert rest["before"] is None
        downs = (await admin.get("/api/v1/audit?action=take_down")).json()["items"]
        assert [deed["seq"] for deed in downs] == [6]
        mine = (await admin.get("/api/v1/audit", params={"caller": "token file"})).json()["items"]
        assert [deed["seq"] for deed in mine] == [6, 5, 3, 1]


async def test_nothing_secret_is_recorded(desk: Desk) -> None:
    async with desk.client() as admin:
        made = (await admin.post("/api/v1/tokens", json={"name": "deploy"})).json()
        await admin.post("/api/v1/tokens", json={"name": "x", "psk": "hunter2hunter2"})
        await admin.post("/api/v1/connections/office/away", json={"span_s": 0, "password": "hunter2hunter2"})
        page = await admin.get("/api/v1/audit")
    assert [deed["said"] for deed in page.json()["items"]] == [None, None, '{"name": "..."}']
    _, _, secret = made["text"].split("_", 2)
    assert secret not in page.text
    assert "hunter2" not in page.text


async def test_what_cannot_be_recorded_is_said_to_be_so(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    await asyncio.to_thread(desk.books._ledger._base.execute, "DROP TABLE deeds")
    async with desk.client() as admin:
        answer = await admin.post("/api/v1/connections/office/up")
    assert (kind(answer), answer.json()["detail"]) == ("internal", "it was done, and cannot be recorded")
    assert "a change is not recorded: POST /api/v1/connections/office/up by token file" in caplog.text
