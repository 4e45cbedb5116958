"""Facts of the kernel become events: what "available" means, and that a change is told once."""

from ipaddress import ip_address

import pytest

from mobike.events import AddressAdded, AddressRemoved, RoutesChanged
from mobike.link.table import LinkTable
from mobike.link.wire import AddressFact, LinkFact, RouteFact, fact_of, output_of

WIFI = LinkFact(2, "wlan0", usable=True)
LTE = LinkFact(3, "wwan0", usable=True)
V4 = ip_address("192.0.2.7")
V6 = ip_address("2001:db8::7")


def table_with(*facts: LinkFact | AddressFact, own_tunnels: tuple[str, ...] = ()) -> LinkTable:
    table = LinkTable(own_tunnels)
    table.handle(facts)
    return table


@pytest.mark.req("D2-1")
def test_an_address_is_available_once_its_link_and_itself_are_usable() -> None:
    table = LinkTable()
    assert table.handle([AddressFact(2, V4, usable=True)]) == []
    assert table.handle([WIFI]) == [AddressAdded(V4, "wlan0"), RoutesChanged()]
    assert table.handle([WIFI, AddressFact(2, V4, usable=True)]) == [], "the same again is no news"


@pytest.mark.req("D2-1")
def test_a_link_that_goes_down_takes_all_its_addresses_along() -> None:
    table = table_with(WIFI, AddressFact(2, V4, usable=True), AddressFact(2, V6, usable=True))
    events = table.handle([LinkFact(2, "wlan0", usable=False)])
    assert events == [AddressRemoved(V4, "wlan0"), AddressRemoved(V6, "wlan0"), RoutesChanged()]
    assert table.addresses() == ((V4, "wlan0", False), (V6, "wlan0", False))


def test_losses_are_told_before_gains() -> None:
    table = table_with(WIFI, LTE, AddressFact(2, V4, usable=True))
    other = ip_address("198.51.100.3")
    events = table.handle([AddressFact(3, other, usable=True), AddressFact(2, V4, usable=False, gone=True)])
    assert events == [AddressRemoved(V4, "wlan0"), AddressAdded(other, "wwan0"), RoutesChanged()]


@pytest.mark.req("D2-1")
def test_an_address_on_our_own_tunnel_is_never_a_candidate() -> None:
    tunnel = LinkFact(9, "mobike0", usable=True)
    table = LinkTable(("mobike*",))
    assert table.handle([tunnel, AddressFact(9, V4, usable=True)]) == []
    assert table.addresses() == ()


def test_the_same_address_on_two_links_survives_the_loss_of_one() -> None:
    table = table_with(WIFI, LTE, AddressFact(2, V4, usable=True), AddressFact(3, V4, usable=True))
    events = table.handle([LinkFact(2, "wlan0", usable=False)])
    assert events == [AddressRemoved(V4, "wlan0"), AddressAdded(V4, "wwan0"), RoutesChanged()]


def test_a_dump_after_lost_news_is_the_whole_truth() -> None:
    table = table_with(WIFI, AddressFact(2, V4, usable=True))
    assert table.replace([WIFI, AddressFact(2, V6, usable=True)]) == [
        AddressRemoved(V4, "wlan0"),
        AddressAdded(V6, "wlan0"),
        RoutesChanged(),
    ]


def test_a_changed_route_says_only_that_answers_have_aged() -> None:
    assert LinkTable().handle([RouteFact(), RouteFact()]) == [RoutesChanged()]


@pytest.mark.req("D2-1", "A5.1-1")
def test_how_well_an_address_can_be_used_is_told_and_told_again_when_it_changes() -> None:
    table = table_with(WIFI)
    flags = (0x40 | 0x04, 0x00, 0x20)
    told = []
    for each in flags:
        fact = fact_of(address_message("2001:db8::7", flags=each))
        assert fact is not None
        told += table.handle([fact])
    assert [each for each in told if isinstance(each, AddressAdded | AddressRemoved)] == [
        AddressAdded(V6, "wlan0", optimistic=True),
        AddressAdded(V6, "wlan0"),
        AddressAdded(V6, "wlan0", deprecated=True),
    ]
    assert table.addresses() == ((V6, "wlan0", True),)


@pytest.mark.req("D2-1")
def test_routes_into_our_own_tunnels_are_known_by_the_link_they_leave_by() -> None:
    table = table_with(WIFI, LinkFact(9, "mobike0", usable=True), own_tunnels=("mobike*",))
    assert [table.is_own_tunnel(output_of({"attrs": [("RTA_OIF", index)]})) for index in (2, 9, 77)] == [
        False,
        True,
        False,
    ]
    assert output_of({"attrs": [("RTA_DST", "192.0.2.1")]}) == 0


def address_message(ip: str, *, scope: int = 0, flags: int = 0x80) -> dict[str, object]:
    attributes = [("IFA_ADDRESS", ip), ("IFA_FLAGS", flags)]
    return {"event": "RTM_NEWADDR", "index": 2, "scope": scope, "flags": flags & 0xFF, "attrs": attributes}


@pytest.mark.req("D2-1")
@pytest.mark.parametrize(
    ("message", "usable"),
    [
        (address_message("192.0.2.7"), True),
        (address_message("2001:db8::7"), True),
        (address_message("2001:db8::7", flags=0x40), False),
        (address_message("2001:db8::7", flags=0x44), True),
        (address_message("2001:db8::7", flags=0x08), False),
        (address_message("fe80::7", scope=253), False),
        (address_message("169.254.3.4"), False),
        (address_message("127.0.0.1", scope=254), False),
    ],
    ids=["v4", "v6", "tentative", "optimistic", "dad-failed", "link-local-6", "link-local-4", "loopback"],
)
def test_which_assigned_addresses_count(message: dict[str, object], usable: bool) -> None:
    fact = fact_of(message)
    assert isinstance(fact, AddressFact)
    assert fact.usable is usable


@pytest.mark.req("D2-2")
def test_a_link_without_carrier_is_not_usable() -> None:
    message = {"event": "RTM_NEWLINK", "index": 2, "flags": 0x1003, "attrs": [("IFLA_IFNAME", "eth0")]}
    assert fact_of(message) == LinkFact(2, "eth0", usable=False)
    assert fact_of({**message, "flags": 0x1043}) == LinkFact(2, "eth0", usable=True)


def test_messages_that_say_nothing_of_links_are_passed_over() -> None:
    assert fact_of({"event": "RTM_NEWNEIGH", "attrs": []}) is None
