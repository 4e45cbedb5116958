"""Changes that count only while things are as their sender has seen them."""

from collections.abc import AsyncIterator

import httpx
import pytest

from mobike_api import create_app
from tests.api.books import some_books
from tests.api.house import House, a_house

TOKEN = "correct-horse-battery-staple-0123456789"
TABLE = {"role": "responder", "remote_id": "*"}
AT = "/api/v1/connections/annex"


@pytest.fixture
def house() -> House:
    return a_house()


@pytest.fixture
async def api(house: House) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(house, some_books(), token=TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://mobike", headers=headers
    ) as client:
        yield client


def is_stale(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["type"]) == (412, "urn:problem-type:mobike:changed")
    assert answer.json()["hint"]


async def test_a_tag_of_what_there_is_lets_a_change_pass(api: httpx.AsyncClient) -> None:
    await api.put(AT, json=TABLE)
    tag = (await api.get(AT)).headers["etag"]
    assert (await api.patch(AT, json={"liveness": "9s"}, headers={"If-Match": tag})).status_code == 200
    again = (await api.get(AT)).headers["etag"]
    assert again != tag
    assert (await api.delete(AT, headers={"If-Match": f'"other", {again}'})).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_tag_of_what_was_changes_nothing(api: httpx.AsyncClient, house: House, method: str) -> None:
    await api.put(AT, json=TABLE)
    tag = (await api.get(AT)).headers["etag"]
    await api.patch(AT, json={"liveness": "9s"})
    before, revision = (await api.get(AT)), house.configurations.revision
    answer = await api.request(method, AT, json=TABLE, headers={"If-Match": tag})
    is_stale(answer)
    assert answer.headers["etag"] == before.headers["etag"]
    assert (await api.get(AT)).content == before.content
    assert house.configurations.revision == revision


async def test_one_that_is_gone_matches_nothing(api: httpx.AsyncClient) -> None:
    is_stale(await api.put(AT, json=TABLE, headers={"If-Match": "*"}))
    is_stale(await api.delete("/api/v1/credentials/annex", headers={"If-Match": '"a"'}))
    assert (await api.get(AT)).status_code == 404


async def test_none_match_makes_only_what_is_new(api: httpx.AsyncClient) -> None:
    only_new = {"If-None-Match": "*"}
    assert (await api.put(AT, json=TABLE, headers=only_new)).status_code == 200
    is_stale(await api.put(AT, json=TABLE | {"liveness": "9s"}, headers=only_new))


async def test_another_secret_is_another_tag_of_a_credential(api: httpx.AsyncClient) -> None:
    at = "/api/v1/credentials/annex"
    await api.put(at, json={"kind": "psk", "content": "a horse nobody knows"})
    tag = (await api.get(at)).headers["etag"]
    await api.put(at, json={"kind": "psk", "content": "another one"})
    is_stale(await api.put(at, json={"kind": "psk", "content": "a third"}, headers={"If-Match": tag}))


async def test_a_refusal_is_in_the_record(api: httpx.AsyncClient) -> None:
    is_stale(await api.put(AT, json=TABLE, headers={"If-Match": '"a"'}))
    (deed,) = (await api.get("/api/v1/audit")).json()["items"]
    assert (deed["status"], deed["problem"]) == (412, "changed")


async def test_where_there_is_nothing_to_compare_with_it_is_refused(api: httpx.AsyncClient) -> None:
    is_stale(await api.put("/api/v1/links/wlan0", json={"drain": True}, headers={"If-Match": '"a"'}))
