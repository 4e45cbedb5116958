"""Addresses that an operator plugs in and out."""

from ipaddress import ip_address

import pytest

from mobike.address import Pair
from mobike.events import AddressAdded, AddressRemoved, RouteAnswer
from mobike.link.manual import ManualLinks

WIFI = ip_address("127.0.2.1")
LTE = ip_address("127.0.3.1")


async def started() -> ManualLinks:
    links = ManualLinks([(WIFI, "wifi", True), (LTE, "lte", False)])
    await links.start()
    assert links.take() == [AddressAdded(WIFI, "wifi")]
    return links


async def test_a_cable_that_is_pulled_and_put_in_is_told_once_each() -> None:
    links = await started()
    assert links.set_available(LTE, available=True)
    assert not links.set_available(LTE, available=True)
    assert links.set_available(WIFI, available=False)
    assert links.take() == [AddressAdded(LTE, "lte"), AddressRemoved(WIFI, "wifi")]
    assert links.addresses() == ((WIFI, "wifi", False), (LTE, "lte", True))


async def test_there_is_a_route_from_what_is_plugged_in_only() -> None:
    links = await started()
    gateway = ip_address("127.0.1.1")
    links.ask_route(Pair(WIFI, gateway))
    links.ask_route(Pair(LTE, gateway))
    assert links.take() == [RouteAnswer(Pair(WIFI, gateway), True), RouteAnswer(Pair(LTE, gateway), False)]


async def test_an_address_that_nobody_named_is_refused() -> None:
    with pytest.raises(KeyError):
        (await started()).set_available(ip_address("127.0.9.9"), available=True)
