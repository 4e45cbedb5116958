"""Lists of IKE SAs: filters, parts of rows, all of them as lines, and not sending again what has not changed."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import httpx
import pytest

from mobike_api import create_app
from mobike_api.lists import CHILD_FIELDS, FIELDS, ROWS
from tests.api.books import some_books
from tests.api.house import BORN, House, a_house

TOKEN = "correct-horse-battery-staple-0123456789"
AT = "/api/v1/ike-sas"
LINES = {"Accept": "application/x-ndjson"}


def a_mixed_house() -> House:
    house = a_house(6)
    house.sas |= {
        "1": replace(house.sas["1"], connection="lab"),
        "2": replace(house.sas["2"], state="waiting"),
        "3": replace(house.sas["3"], role="responder"),
        "4": replace(house.sas["4"], transport="tcp"),
        "5": replace(house.sas["5"], local="[2001:db8::7]:4500"),
        "6": replace(house.sas["6"], remote="203.0.113.77:4500"),
    }
    return house


def asking(house: House) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(house, some_books(), token=TOKEN))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.AsyncClient(transport=transport, base_url="http://mobike", headers=headers)


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    async with asking(a_mixed_house()) as api:
        yield api


def read(answer: httpx.Response) -> list[dict[str, Any]]:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson"), answer.text
    assert answer.text == "" or answer.text.endswith("\n")
    return [json.loads(line) for line in answer.text.splitlines()]


FILTERS = [
    ({"connection": "lab"}, "1"),
    ({"state": "waiting"}, "2"),
    ({"role": "responder"}, "3"),
    ({"transport": "tcp"}, "4"),
    ({"local": "2001:db8:0:0::7"}, "5"),
    ({"remote": "203.0.113.77"}, "6"),
    ({"connection": "office", "state": "established", "transport": "udp"}, "356"),
    ({"connection": "nobody"}, ""),
]


@pytest.mark.parametrize(("query", "found"), FILTERS)
async def test_only_those_that_fit_are_listed(api: httpx.AsyncClient, query: dict[str, str], found: str) -> None:
    page = (await api.get(AT, params=query)).raise_for_status().json()
    assert ("".join(sa["id"] for sa in page["items"]), page["after"]) == (found, None)
    known = set(query) == {"connection"}
    assert page["total"] == (len(found) if known else None)
    assert "".join(sa["id"] for sa in read(await api.get(AT, params=query, headers=LINES))) == found


async def test_pages_of_a_filtered_list_neither_lose_nor_repeat() -> None:
    house = a_house(3 * ROWS)
    for number, sa in enumerate(house.sas.values()):
        house.sas[sa.id] = replace(sa, state="waiting" if number % 3 else "established")
    wanted = [sa.id for sa in house.sas.values() if sa.state == "waiting"]
    seen: list[str] = []
    async with asking(house) as api:
        after: str | None = None
        while True:
            query = {"state": "waiting", "limit": "37"} | ({"after": after} if after else {})
            page = (await api.get(AT, params=query)).raise_for_status().json()
            seen += [sa["id"] for sa in page["items"]]
            after = page["after"]
            if after is None:
                break
            assert len(page["items"]) == 37
    assert seen == wanted


async def test_a_page_that_is_full_at_the_very_end_is_the_last() -> None:
    async with asking(a_house(2 * ROWS)) as api:
        page = (await api.get(AT, params={"limit": str(2 * ROWS)})).json()
        assert (len(page["items"]), page["after"]) == (2 * ROWS, None)
        page = (await api.get(AT, params={"limit": str(ROWS)})).json()
        assert (len(page["items"]), page["after"]) == (ROWS, page["items"][-1]["id"])


async def test_only_what_was_asked_for_is_told_of_each(api: httpx.AsyncClient) -> None:
    page = (await api.get(AT, params={"fields": "state,id,state", "limit": "2"})).raise_for_status().json()
    assert page["items"] == [{"state": "established", "id": "1"}, {"state": "waiting", "id": "2"}]
    rows = read(await api.get(AT, params={"fields": "id"}, headers=LINES))
    assert rows == [{"id": sa} for sa in "123456"]
    whole = (await api.get(AT)).json()["items"][0]
    assert tuple(whole) == FIELDS


@pytest.mark.parametrize(
    "query",
    [
        {"fields": "id,colour"}, {"fields": ""}, {"fields": "id,"}, {"state": "tired"}, {"role": "boss"},
        {"local": "nowhere"}, {"limit": "0"}, {"limit": "1001"}, {"colour": "red"},
    ],
)  # fmt: skip
async def test_a_question_that_makes_no_sense_is_not_answered_in_part(
    api: httpx.AsyncClient, query: dict[str, str]
) -> None:
    for headers in ({}, LINES):
        answer = await api.get(AT, params=query, headers=headers)
        assert answer.json()["type"] == "urn:problem-type:mobike:invalid-request"
        assert answer.json()["parameter"] == next(iter(query))


async def test_a_wrong_cursor_is_a_problem_before_the_first_line(api: httpx.AsyncClient) -> None:
    answer = await api.get(AT, params={"after": "77"}, headers=LINES)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:problem-type:mobike:refused")


async def test_lines_tell_all_or_so_many_from_behind_a_cursor() -> None:
    async with asking(a_house(3 * ROWS + 7)) as api:
        assert len(read(await api.get(AT, headers=LINES))) == 3 * ROWS + 7
        some = read(await api.get(AT, params={"limit": str(2 * ROWS + 7), "after": "a"}, headers=LINES))
    assert [sa["id"] for sa in some] == [f"{number:x}" for number in range(11, 11 + 2 * ROWS + 7)]


async def test_the_loop_gets_on_with_other_things_while_lines_are_told() -> None:
    """Between any two looks at the facade something else may run."""
    house = a_house(10 * ROWS)
    looked: list[int] = []
    plain = house.list_ike_sas

    def look(**asked: Any) -> Any:
        looked.append(turns)
        assert asked.get("limit", 0) <= ROWS
        return plain(**asked)

    house.list_ike_sas = look  # type: ignore[method-assign]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    busy = asyncio.create_task(others())
    async with asking(house) as api:
        assert len(read(await api.get(AT, params={"state": "established"}, headers=LINES))) == 10 * ROWS
    busy.cancel()
    inside = looked[1:]
    assert len(inside) == 10
    assert all(later > earlier for earlier, later in pairwise(inside))


# --- Child SAs -------------------------------------------------------------------------------------------------------


async def test_child_sas_of_one_ike_sa_are_told_together_and_none_is_lost() -> None:
    async with asking(a_house(2 * ROWS + 3)) as api:
        seen: list[str] = []
        after: str | None = None
        while True:
            query = {"limit": "99"} | ({"after": after} if after else {})
            page = (await api.get("/api/v1/child-sas", params=query)).raise_for_status().json()
            seen += [child["id"] for child in page["items"]]
            after = page["after"]
            if after is None:
                break
            assert len(page["items"]) == 100
        rows = read(await api.get("/api/v1/child-sas", headers=LINES))
    wanted = [f"{number:x}.{name}" for number in range(1, 2 * ROWS + 4) for name in ("data", "voice")]
    assert seen == wanted
    assert [child["id"] for child in rows] == wanted


async def test_child_sas_are_narrowed_and_told_in_part(api: httpx.AsyncClient) -> None:
    query = {"connection": "lab", "name": "voice", "fields": "id,ike_sa"}
    page = (await api.get("/api/v1/child-sas", params=query)).raise_for_status().json()
    assert page == {"items": [{"id": "1.voice", "ike_sa": "1"}], "after": None}
    whole = (await api.get("/api/v1/child-sas?limit=1")).json()["items"][0]
    assert tuple(whole) == CHILD_FIELDS
    answer = await api.get("/api/v1/child-sas?fields=spi")
    assert (answer.status_code, answer.json()["parameter"]) == (422, "fields")


# --- leases and paths ------------------------------------------------------------------------------------------------


async def test_leases_are_those_of_peers_that_called_us() -> None:
    house = a_mixed_house()
    house.sas["3"] = replace(house.sas["3"], virtual_ips=("10.99.0.7", "2001:db8:99::7"))
    async with asking(house) as api:
        page = (await api.get("/api/v1/leases")).raise_for_status().json()
        assert page["items"][0] == {
            "ip": "10.99.0.7", "connection": "office", "peer_id": "gw.example.net", "ike_sa": "3", "since": BORN,
        }  # fmt: skip
        assert ([each["ip"] for each in page["items"]], page["after"]) == (["10.99.0.7", "2001:db8:99::7"], None)
        assert (await api.get("/api/v1/leases?connection=lab")).json()["items"] == []
        rows = read(await api.get("/api/v1/leases?fields=ip,ike_sa", headers=LINES))
    assert rows == [{"ip": "10.99.0.7", "ike_sa": "3"}, {"ip": "2001:db8:99::7", "ike_sa": "3"}]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["192.0.2.10", "198.51.100.20"]),
        ({"local": "192.0.2.10"}, ["192.0.2.10"]),
        ({"remote": "203.0.113.9"}, []),
        ({"link": "wlan0"}, ["192.0.2.10"]),
        ({"state": "silent"}, ["198.51.100.20"]),
        ({"state": "silent", "link": "wlan0"}, []),
    ],
)
async def test_paths_are_listed_by_what_is_said(
    api: httpx.AsyncClient, query: dict[str, str], found: list[str]
) -> None:
    items = (await api.get("/api/v1/paths", params=query)).raise_for_status().json()["items"]
    assert [path["local"] for path in items] == found


# --- what has not changed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [AT, f"{AT}/2", "/api/v1/connections", "/api/v1/addresses", "/api/v1/operations"])
async def test_what_has_not_changed_is_not_sent_again(api: httpx.AsyncClient, path: str) -> None:
    first = await api.get(path)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    for said in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await api.get(path, headers={"If-None-Match": said})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert "content-type" not in again.headers
        assert again.headers["x-content-type-options"] == "nosniff"
    other = await api.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


async def test_what_has_changed_has_another_tag() -> None:
    house = a_house(2)
    async with asking(house) as api:
        before = (await api.get(AT)).headers["etag"]
        house.sas["2"] = replace(house.sas["2"], state="waiting")
        answer = await api.get(AT, headers={"If-None-Match": before})
    assert answer.status_code == 200
    assert answer.headers["etag"] != before


async def test_problems_lines_and_numbers_have_no_tag(api: httpx.AsyncClient) -> None:
    for path, headers in ((f"{AT}/77", {}), (AT, LINES), ("/metrics", {})):
        assert "etag" not in (await api.get(path, headers=headers)).headers
