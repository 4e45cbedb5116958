"""What connections rest on, over the API: pools and how full they are, certificates, policies."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from tests.api.house import BORN, a_house
from tests.api.test_lists import asking


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    house = a_house(6)
    given = [
        ("responder", ("10.99.0.1", "2001:db8:9::1")),
        ("responder", ("10.99.0.254",)),
        ("responder", ("10.99.0.0", "10.99.0.255", "2001:db8:9::100")),  # RADIUS gave these: they are of no pool
        ("responder", ("10.98.0.0",)),
        ("responder", ()),
        ("initiator", ("10.99.0.7",)),  # that one was given to us
    ]
    for sa, (role, ips) in zip(list(house.sas), given, strict=True):
        house.sas[sa] = replace(house.sas[sa], role=role, virtual_ips=ips)
    async with asking(house) as api:
        yield api


async def test_pools_say_how_many_of_their_addresses_are_leased(api: httpx.AsyncClient) -> None:
    guests, office = (await api.get("/api/v1/pools")).raise_for_status().json()["items"]
    assert (guests["name"], guests["connections"], guests["size"], guests["leased"]) == ("guests", ["lab"], 65_536, 1)
    assert (office["name"], office["connections"], office["size"], office["leased"]) == (None, ["office"], 509, 3)
    assert office["ranges"][0] == {"first": "10.99.0.1", "last": "10.99.0.254", "size": 254}


@pytest.mark.parametrize("of", ["pools", "certificates", "policies"])
async def test_only_those_of_one_connection_are_told(api: httpx.AsyncClient, of: str) -> None:
    every = (await api.get(f"/api/v1/{of}")).raise_for_status().json()["items"]
    mine = (await api.get(f"/api/v1/{of}?connection=office")).raise_for_status().json()["items"]
    assert mine == every[-1:]
    assert (await api.get(f"/api/v1/{of}?connection=nobody")).json() == {"items": []}


async def test_a_certificate_says_when_it_ends(api: httpx.AsyncClient) -> None:
    (told,) = (await api.get("/api/v1/certificates")).json()["items"]
    assert (told["use"], told["subject"], told["not_after"]) == ("own", "CN=gw.example.net", BORN + 86_400)
