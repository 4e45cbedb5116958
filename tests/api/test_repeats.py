"""Changes that are sent twice under one key: made once, and answered alike."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from mobike.facade import books
from mobike_api import create_app, repeats
from mobike_api.app import described
from mobike_api.caller import Caller, remember
from mobike_api.repeats import HEADER, KEPT_S, MOST_KEYS, REPEATED, Repeats
from tests.api.books import some_books
from tests.api.house import House, a_house

TOKEN = "correct-horse-battery-staple-0123456789"
ALIKE = {HEADER: "night-1"}


@pytest.fixture
def house() -> House:
    return a_house()


@pytest.fixture
async def api(house: House) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(house, some_books(), token=TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://mobike", headers=headers
    ) as client:
        yield client


async def deeds(api: httpx.AsyncClient) -> list[str]:
    return [each["target"] for each in (await api.get("/api/v1/audit")).json()["items"]]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/connections/lab/up", None),
        ("POST", "/api/v1/tokens", {"name": "ci", "scope": "read", "lifetime_s": 60}),
        ("PUT", "/api/v1/credentials/annex", {"kind": "psk", "content": "a horse nobody knows"}),
        ("POST", "/api/v1/config/apply", {"reload": False}),
        ("POST", "/api/v1/ike-sas/1/reauth", None),
    ],
)
async def test_it_is_done_once_and_answered_alike(
    api: httpx.AsyncClient, method: str, path: str, body: Any, house: House
) -> None:
    first = await api.request(method, path, json=body, headers=ALIKE)
    assert first.status_code < 300, first.text
    assert REPEATED not in first.headers
    done, revision = list(house.orders), house.configurations.revision
    second = await api.request(method, path, json=body, headers=ALIKE)
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.headers[REPEATED] == "true"
    assert (house.orders, house.configurations.revision) == (done, revision)
    assert len(await deeds(api)) == 1


async def test_a_patch_and_a_delete_too(api: httpx.AsyncClient) -> None:
    table = {"role": "responder", "remote_id": "*"}
    await api.put("/api/v1/connections/annex", json=table)
    for method, body in (("PATCH", {"liveness": "9s"}), ("DELETE", None)):
        answers = [
            await api.request(method, "/api/v1/connections/annex", json=body, headers={HEADER: method})
            for _ in range(2)
        ]
        assert [each.status_code for each in answers] == [200, 200], answers[1].text
        assert answers[0].content == answers[1].content


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/connections/office/away", {"span_s": 61}),
        ("POST", "/api/v1/connections/lab/away", {"span_s": 60}),
        ("POST", "/api/v1/connections/lab/up", None),
        ("POST", "/api/v1/connections/office/away?x=1", {"span_s": 60}),
        ("DELETE", "/api/v1/connections/lab", None),
    ],
)
async def test_the_same_key_for_something_else_is_a_problem(
    api: httpx.AsyncClient, house: House, method: str, path: str, body: Any
) -> None:
    first = await api.post("/api/v1/connections/office/away", json={"span_s": 60}, headers=ALIKE)
    assert first.status_code == 202, first.text
    before = list(house.orders)
    answer = await api.request(method, path, json=body, headers=ALIKE)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:problem-type:mobike:key-reused")
    assert house.orders == before


async def test_what_was_refused_is_judged_anew(api: httpx.AsyncClient) -> None:
    table = {"role": "responder", "remote_id": "*"}
    first = await api.patch("/api/v1/connections/annex", json={"liveness": "9s"}, headers=ALIKE)
    assert first.status_code == 404
    assert (await api.put("/api/v1/connections/annex", json=table)).status_code == 200
    assert (await api.patch("/api/v1/connections/annex", json={"liveness": "9s"}, headers=ALIKE)).status_code == 200


@pytest.mark.parametrize("key", ["", "a b", "x" * 65, "ä"])
async def test_a_key_of_another_form_is_refused(api: httpx.AsyncClient, house: House, key: str) -> None:
    answer = await api.post("/api/v1/connections/lab/up", headers={HEADER.encode(): key.encode()})
    assert (answer.status_code, answer.json()["parameter"]) == (422, HEADER)
    assert house.orders == []


async def test_who_only_reads_needs_none(api: httpx.AsyncClient) -> None:
    for _ in range(2):
        answer = await api.get("/api/v1/connections", headers=ALIKE)
        assert REPEATED not in answer.headers


def test_every_change_of_the_document_takes_one_and_nothing_else() -> None:
    for operations in described().openapi()["paths"].values():
        for method, operation in operations.items():
            named = [each["name"] for each in operation.get("parameters", ())]
            keeps = method != "get" and operation["operationId"] != "fetch_keys"
            assert (HEADER in named) == keeps, operation["operationId"]


# --- what it keeps, by itself ---


@dataclass
class Shop:
    """An application that counts; it may be slow, and it may break."""

    now: float = 0.0
    served: int = 0
    status: int = 200
    breaks: bool = False
    size: int = 1
    open: asyncio.Event = field(default_factory=asyncio.Event)
    come: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()
        self.repeats = Repeats(self.serve, clock=lambda: self.now)

    async def serve(self, _: Scope, receive: Receive, send: Send) -> None:
        self.served += 1
        number = self.served
        self.come.set()
        assert (await receive())["body"] == b"body"
        await self.open.wait()
        if self.breaks:
            raise RuntimeError("a fault")
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": str(number).encode() * self.size})

    async def ask(self, key: str = "a", caller: str = "ann") -> tuple[int, bytes]:
        scope = {"type": "http", "method": "POST", "path": "/", "query_string": b""}
        scope["headers"] = [(b"idempotency-key", key.encode())]
        remember(scope, Caller(caller, "unix", books.Scope.ADMIN))
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"body", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.repeats(scope, receive, send)
        return sent[0]["status"], sent[1]["body"]


async def test_each_caller_has_keys_of_its_own() -> None:
    shop = Shop()
    assert [await shop.ask(caller=name) for name in ("ann", "bob", "ann")] == [(200, b"1"), (200, b"2"), (200, b"1")]


async def test_after_an_hour_it_is_new() -> None:
    shop = Shop()
    await shop.ask()
    shop.now = KEPT_S
    assert await shop.ask() == (200, b"1")
    shop.now = KEPT_S + 1
    assert await shop.ask() == (200, b"2")


async def test_one_that_comes_while_the_first_is_on_its_way_waits_for_its_answer() -> None:
    shop = Shop()
    shop.open.clear()
    asking = [asyncio.create_task(shop.ask()) for _ in range(3)]
    await shop.come.wait()
    shop.open.set()
    assert await asyncio.gather(*asking) == [(200, b"1")] * 3


async def test_those_that_waited_for_one_that_was_refused_are_judged_themselves() -> None:
    shop = Shop(status=409)
    shop.open.clear()
    asking = [asyncio.create_task(shop.ask()) for _ in range(3)]
    await shop.come.wait()
    shop.open.set()
    assert sorted(await asyncio.gather(*asking)) == [(409, b"1"), (409, b"2"), (409, b"3")]


async def test_what_met_a_fault_is_not_tried_twice() -> None:
    shop = Shop(breaks=True)
    with pytest.raises(RuntimeError):
        await shop.ask()
    status, told = await shop.ask()
    assert (status, shop.served) == (500, 1)
    assert b"urn:problem-type:mobike:internal" in told
    assert b"a fault" not in told.replace(b"met a fault", b"")


async def test_a_thousand_of_one_caller_are_kept_and_nobody_elses_go() -> None:
    shop = Shop()
    await shop.ask("b", "bob")
    for number in range(MOST_KEYS + 1):
        await shop.ask(str(number))
    served = shop.served
    await shop.ask("b", "bob")
    await shop.ask("1")
    assert shop.served == served
    await shop.ask("0")
    assert shop.served == served + 1


async def test_answers_have_a_limit_in_all_and_who_has_most_loses_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MOST_OCTETS", 100)
    shop = Shop(size=30)
    await shop.ask("b", "bob")
    for key in ("1", "2", "3"):
        await shop.ask(key)
    served = shop.served
    await shop.ask("b", "bob")
    await shop.ask("3")
    assert shop.served == served
    await shop.ask("1")
    assert shop.served == served + 1
