"""One order about many: who is chosen, at what pace, what came of it, and that it can be sent twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from mobike.facade import Refused
from mobike_api import create_app
from mobike_api.operations import MOST_AWAITED, MOST_FAILURES, MOST_RUNNING, Operations
from tests.api.books import some_books
from tests.api.house import House, a_house

TOKEN = "correct-horse-battery-staple-0123456789"
AT = "/api/v1/operations"


@dataclass
class Lively(House):
    """Tells what comes of its orders, unless it is silent; `stubborn` refuse."""

    silent: bool = False
    stubborn: frozenset[str] = frozenset()

    def rekey(self, sa: str, *, children: bool) -> None:
        if sa in self.stubborn:
            raise Refused(f"{sa} will not")
        if self.silent:
            self.orders.append(f"rekey {sa} ike")
        else:
            super().rekey(sa, children=children)
            self.tell("sa-rekeyed", "new keys", sa=sa)

    def probe(self, sa: str) -> None:
        super().probe(sa)
        if sa in self.stubborn:
            self.tell("path-silent", "No answer on it", sa=sa)
        elif not self.silent:
            self.tell("probe-answered", "The peer answers", sa=sa)

    def reauth(self, sa: str) -> None:
        super().reauth(sa)
        self.tell("sa-down", "IKE SA is down: another has taken its place", sa=sa)

    def close(self, sa: str) -> None:
        super().close(sa)
        self.tell("sa-down", "IKE SA is down: an operator closed it", sa=sa)


def lively(count: int = 6) -> Lively:
    return Lively(sas=a_house(count).sas)


@asynccontextmanager
async def asking(house: House, operations: Operations | None = None) -> AsyncIterator[httpx.AsyncClient]:
    operations = operations or Operations(house)
    app = create_app(house, some_books(), token=TOKEN, operations=operations)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mobike", headers=headers) as api:
        yield api
    await operations.close()


async def until(api: httpx.AsyncClient, location: str, seen: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(60):
        while True:
            told = (await api.get(location)).json()
            if seen(told):
                return told
            await asyncio.sleep(0.01)


def ended(told: Any) -> bool:
    return bool(told["phase"] != "running" and told["ended"])


async def ordered(api: httpx.AsyncClient, **order: Any) -> Any:
    """An operation when it has ended."""
    answer = await api.post(AT, json={"select": {}, "per_second": 1000} | order)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{AT}/{answer.json()['id']}"
    return await until(api, answer.headers["location"], ended)


def counts(told: Any) -> tuple[str, int, int, int, int]:
    return told["phase"], told["total"], told["done"], told["failed"], told["waiting"]


@pytest.mark.parametrize(
    ("order", "more", "heard"),
    [
        ("move", {"local": "198.51.100.20"}, "move {} 198.51.100.20 None"),
        ("rekey", {}, "rekey {} ike"),
        ("rekey-children", {}, "rekey {} children"),
        ("reauthenticate", {}, "reauth {}"),
        ("terminate", {}, "close {}"),
    ],
)
async def test_an_order_reaches_every_sa_and_ends(order: str, more: dict[str, str], heard: str) -> None:
    house = lively()
    async with asking(house) as api:
        told = await ordered(api, order=order, **more)
    assert counts(told) == ("done", 6, 6, 0, 0)
    assert told["by"] == "token file"
    assert house.orders == [heard.format(sa) for sa in "123456"]


async def test_only_those_that_fit_the_selection_are_ordered() -> None:
    house = lively()
    house.sas |= {
        "1": replace(house.sas["1"], connection="lab"),
        "2": replace(house.sas["2"], state="waiting"),
        "3": replace(house.sas["3"], role="responder"),
        "4": replace(house.sas["4"], transport="tcp"),
        "5": replace(house.sas["5"], local="[2001:db8::7]:4500"),
        "6": replace(house.sas["6"], remote="203.0.113.77:4500"),
    }
    selections: list[tuple[dict[str, Any], str]] = [
        ({"connection": "lab"}, "1"),
        ({"state": "waiting"}, "2"),
        ({"role": "responder"}, "3"),
        ({"transport": "tcp"}, "4"),
        ({"local": "2001:db8:0::7"}, "5"),
        ({"remote": "203.0.113.77"}, "6"),
        ({"ids": ["2", "6", "77"]}, "26"),
        ({"connection": "office", "role": "initiator", "transport": "udp", "state": "established"}, "56"),
        ({"connection": "nobody"}, ""),
    ]
    async with asking(house) as api:
        for select, chosen in selections:
            house.orders.clear()
            told = await ordered(api, order="rekey", select=select)
            assert (house.orders, told["total"]) == ([f"rekey {sa} ike" for sa in chosen], len(chosen)), select


async def test_who_refuses_or_is_never_heard_of_has_failed_with_a_reason() -> None:
    house = lively()
    house.stubborn = frozenset("2")
    house.silent = True
    async with asking(house, Operations(house, patience_s=0.2)) as api:
        told = await ordered(api, order="rekey")
    assert counts(told) == ("done", 6, 0, 6, 0)
    assert told["failures"][0] == {"target": "2", "why": "2 will not"}
    assert {each["why"] for each in told["failures"][1:]} == {"nothing was heard of it for 0.2 s"}


async def test_an_event_that_tells_of_a_failure_counts_as_one() -> None:
    house = lively(1)
    house.silent = True
    async with asking(house) as api:
        location = (await api.post(AT, json={"order": "rekey", "select": {}})).headers["location"]
        await until(api, location, lambda told: bool(told["waiting"] == 1))
        house.tell("sa-down", "IKE SA is down: no answer", sa="1")
        told = await until(api, location, ended)
    assert told["failures"] == [{"target": "1", "why": "IKE SA is down: no answer"}]


async def test_a_move_to_where_it_is_already_is_done_without_a_word() -> None:
    house = lively(2)
    house.move = lambda sa, **_: house.orders.append(sa)  # type: ignore[method-assign]
    async with asking(house) as api:
        told = await ordered(api, order="move", local="192.0.2.10")
    assert counts(told) == ("done", 2, 2, 0, 0)


async def test_silent_peers_do_not_pile_up_and_their_failures_are_bounded() -> None:
    house = lively(1000)
    house.silent = True
    most = 0
    async with asking(house, Operations(house, patience_s=0.3)) as api:
        location = (await api.post(AT, json={"order": "rekey", "select": {}, "per_second": 1000})).headers["location"]
        while not ended(told := (await api.get(location)).json()):
            most = max(most, told["waiting"])
            await asyncio.sleep(0.02)
    assert 0 < most <= MOST_AWAITED
    assert counts(told) == ("done", 1000, 0, 1000, 0)
    assert len(told["failures"]) == MOST_FAILURES


async def test_the_pace_is_kept() -> None:
    house = lively(30)
    async with asking(house) as api:
        began = asyncio.get_running_loop().time()
        await ordered(api, order="rekey", per_second=60)
        assert asyncio.get_running_loop().time() - began >= 0.45


async def test_a_cancelled_operation_orders_nothing_more() -> None:
    house = lively(50)
    async with asking(house) as api:
        location = (await api.post(AT, json={"order": "rekey", "select": {}, "per_second": 1})).headers["location"]
        await until(api, location, lambda told: bool(told["done"] >= 1))
        assert (await api.delete(location)).json()["phase"] == "cancelled"
        told = await until(api, location, ended)
        again = await api.delete(location)
    assert (told["phase"], told["total"], len(house.orders)) == ("cancelled", 50, told["done"])
    assert told["done"] < 50
    assert again.status_code == 409


async def test_the_same_order_under_the_same_key_is_carried_out_once() -> None:
    house = lively()
    async with asking(house) as api:
        order, key = {"order": "rekey", "select": {}}, {"Idempotency-Key": "night-1"}
        first = await api.post(AT, json=order, headers=key)
        await until(api, first.headers["location"], ended)
        second = await api.post(AT, json=order, headers=key)
        assert (second.status_code, second.headers["location"]) == (202, first.headers["location"])
        other = await api.post(AT, json=order | {"per_second": 7}, headers=key)
        assert other.status_code == 422
        assert other.json()["type"] == "urn:problem-type:mobike:key-reused"
        assert len(house.orders) == 6
        assert len((await api.get(AT)).json()["items"]) == 1


async def test_only_a_few_run_at_a_time() -> None:
    house = lively()
    async with asking(house) as api:
        slow = {"order": "rekey", "select": {}, "per_second": 1}
        for _ in range(MOST_RUNNING):
            assert (await api.post(AT, json=slow)).status_code == 202
        answer = await api.post(AT, json=slow)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:problem-type:mobike:refused")


@pytest.mark.parametrize(
    ("order", "pointer"),
    [
        ({"order": "move", "select": {}}, "#/local"),
        ({"order": "rekey", "select": {}, "local": "192.0.2.10"}, "#/local"),
        ({"order": "move", "select": {}, "local": "192.0.2.10", "remote": "2001:db8::1"}, "#/remote"),
        ({"order": "explode", "select": {}}, "#/order"),
        ({"order": "rekey"}, "#/select"),
        ({"order": "rekey", "select": {"colour": "red"}}, "#/select/colour"),
        ({"order": "rekey", "select": {"local": "nowhere"}}, "#/select/local"),
        ({"order": "rekey", "select": {}, "per_second": 0}, "#/per_second"),
        ({"order": "rekey", "select": {}, "link": "wwan0"}, "#/link"),
        ({"order": "up", "select": {"role": "initiator"}}, "#/select/role"),
        ({"order": "up"}, "#/select"),
        ({"order": "away", "select": {}}, "#/span_s"),
        ({"order": "drain", "select": {}, "to": ["192.0.2.9"]}, "#/select"),
        ({"order": "drain"}, "#/to"),
        ({"order": "drain-link"}, "#/link"),
        ({"order": "drain-link", "link": "nowhere0"}, "#/link"),
    ],
)
async def test_an_order_that_makes_no_sense_is_not_begun(order: dict[str, Any], pointer: str) -> None:
    house = lively()
    async with asking(house) as api:
        answer = await api.post(AT, json=order)
        assert answer.status_code in {409, 422}
        assert answer.json()["pointer"] == pointer
        assert (await api.get(AT)).json() == {"items": []}
    assert house.orders == []


async def test_many_peers_are_asked_for_a_sign_of_life() -> None:
    house = lively(4)
    house.stubborn = frozenset({"2"})
    async with asking(house) as api:
        told = await ordered(api, order="probe")
    assert (told["total"], told["done"], told["failed"]) == (4, 3, 1)
    assert told["failures"] == [{"target": "2", "why": "No answer on it"}]
    assert house.orders == ["probe 1", "probe 2", "probe 3", "probe 4"]


async def test_many_are_kept_where_they_are() -> None:
    house = lively(3)
    async with asking(house) as api:
        told = await ordered(api, order="pin", select={"ids": ["1", "3"]})
    assert (told["total"], told["done"], told["failed"]) == (2, 2, 0)
    assert house.orders == ["pin 1", "pin 3"]
