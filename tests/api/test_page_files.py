"""The files of the page as they are served, and who may ask on whose behalf. A browser looks at them in tests/page."""

import re
from collections.abc import AsyncIterator
from itertools import product

import httpx
import pytest

from mobike_api import create_app
from mobike_api.page import PATHS
from tests.api.books import some_books
from tests.api.house import House, a_house

TOKEN = "correct-horse-battery-staple-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def house() -> House:
    return a_house()


@pytest.fixture
async def api(house: House) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(house, some_books(), token=TOKEN))
    async with httpx.AsyncClient(transport=transport, base_url="http://mobike") as client:
        yield client


@pytest.mark.parametrize("path", sorted(PATHS))
async def test_a_file_has_its_type_and_is_sent_once(api: httpx.AsyncClient, path: str) -> None:
    answer = await api.get(path)
    assert answer.status_code == 200
    suffix = "html" if path == "/" else path.rpartition(".")[2]
    wanted = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}[suffix]
    assert answer.headers["content-type"].startswith(wanted)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == ("no-store" if path == "/" else "no-cache")
    again = await api.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", sorted(PATHS))
async def test_no_file_asks_for_anything_from_elsewhere_or_makes_html_of_text(
    api: httpx.AsyncClient, path: str
) -> None:
    text = (await api.get(path)).text
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\bstyle=|\son\w+=[\"']", text)


def _light(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


async def test_every_colour_of_text_stands_out_from_every_ground_in_both_schemes(api: httpx.AsyncClient) -> None:
    sheet = (await api.get("/page/style.css")).text
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", sheet)
    for scheme in (1, 2):
        colours = {pair[0]: pair[scheme] for pair in pairs}
        texts, grounds = ("text", "muted", "accent", "good", "warn", "bad"), ("ground", "card", "raised")
        for text, ground in [("on-accent", "accent"), *product(texts, grounds)]:
            dark, bright = sorted((_light(colours[text]), _light(colours[ground])))
            assert (bright + 0.05) / (dark + 0.05) >= 4.5, (scheme, text, ground)


async def test_every_module_that_is_imported_is_there(api: httpx.AsyncClient) -> None:
    for path in PATHS:
        for wanted in re.findall(r'"(/page/[\w.]+)"', (await api.get(path)).text):
            assert wanted in PATHS


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_page_from_elsewhere_is_refused(api: httpx.AsyncClient, house: House, site: str) -> None:
    answer = await api.post("/api/v1/connections/office/up", headers={**BEARER, "Sec-Fetch-Site": site})
    assert answer.status_code == 403
    assert answer.json()["detail"] == "a page from elsewhere asks for this"
    assert house.orders == []
    own = await api.post("/api/v1/connections/office/up", headers={**BEARER, "Sec-Fetch-Site": "same-origin"})
    assert own.status_code == 202


async def test_a_caller_learns_who_they_are(api: httpx.AsyncClient) -> None:
    assert (await api.get("/api/v1/caller", headers=BEARER)).json() == {"name": "token file", "scope": "admin"}


async def test_past_events_are_told_newest_first_page_by_page(api: httpx.AsyncClient, house: House) -> None:
    for number in range(5):
        house.tell("moved" if number % 2 else "sa-up", f"event {number}", sa="1" if number < 4 else "2")
    first = (await api.get("/api/v1/events/past?limit=2", headers=BEARER)).json()
    assert [each["text"] for each in first["items"]] == ["event 4", "event 3"]
    rest = (await api.get(f"/api/v1/events/past?before={first['before']}", headers=BEARER)).json()
    assert [each["text"] for each in rest["items"]] == ["event 2", "event 1", "event 0"]
    assert rest["before"] is None
    some = (await api.get("/api/v1/events/past?kind=moved,moving&sa=1", headers=BEARER)).json()
    assert [each["text"] for each in some["items"]] == ["event 3", "event 1"]
    wrong = await api.get("/api/v1/events/past?kind=MOVED", headers=BEARER)
    assert wrong.status_code == 422
