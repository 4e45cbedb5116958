"""Translators do what RFC 4787 calls them: which mapping, whom it lets in, when it ends."""

from ipaddress import ip_address
from random import Random

import pytest

from mobike.address import Endpoint, Nanos
from mobike.sim.nat import FIRST_PORT, Depends, Nat
from mobike.sim.world import SECOND

OUTSIDE = ip_address("203.0.113.7")
INSIDE = Endpoint(ip_address("192.168.1.10"), 4500)
ONE = Endpoint(ip_address("198.51.100.1"), 4500)
ONE_ELSEWHERE = Endpoint(ONE.ip, 500)
OTHER = Endpoint(ip_address("198.51.100.2"), 4500)
START = Nanos(0)


def nat(mapping: Depends = Depends.NOTHING, filtering: Depends = Depends.NOTHING, expiry: int = 30 * SECOND) -> Nat:
    return Nat(OUTSIDE, Random(1), mapping=mapping, filtering=filtering, expiry=expiry)


@pytest.mark.parametrize(
    ("mapping", "same_for"),
    [
        (Depends.NOTHING, (ONE, ONE_ELSEWHERE, OTHER)),
        (Depends.ADDRESS, (ONE, ONE_ELSEWHERE)),
        (Depends.ENDPOINT, (ONE,)),
    ],
)
def test_a_mapping_is_shared_as_far_as_its_kind_says(mapping: Depends, same_for: tuple[Endpoint, ...]) -> None:
    translator = nat(mapping)
    first = translator.outward(START, INSIDE, ONE)
    assert first.ip == OUTSIDE and first.port >= FIRST_PORT
    for outer in (ONE, ONE_ELSEWHERE, OTHER):
        assert (translator.outward(START, INSIDE, outer) == first) == (outer in same_for), outer


@pytest.mark.parametrize("mapping", Depends)
@pytest.mark.parametrize(
    ("filtering", "let_in"),
    [
        (Depends.NOTHING, (ONE, ONE_ELSEWHERE, OTHER)),
        (Depends.ADDRESS, (ONE, ONE_ELSEWHERE)),
        (Depends.ENDPOINT, (ONE,)),
    ],
)
def test_a_filter_lets_in_whom_its_kind_says(
    mapping: Depends, filtering: Depends, let_in: tuple[Endpoint, ...]
) -> None:
    translator = nat(mapping, filtering)
    port = translator.outward(START, INSIDE, ONE).port
    for outer in (ONE, ONE_ELSEWHERE, OTHER):
        assert translator.inward(START, port, outer) == (INSIDE if outer in let_in else None), outer


@pytest.mark.parametrize("mapping", Depends)
@pytest.mark.parametrize("filtering", Depends)
def test_packets_out_keep_a_mapping_alive_and_packets_in_do_not(mapping: Depends, filtering: Depends) -> None:
    translator = nat(mapping, filtering)
    first = translator.outward(START, INSIDE, ONE)
    assert translator.outward(Nanos(29 * SECOND), INSIDE, ONE) == first
    assert translator.inward(Nanos(58 * SECOND), first.port, ONE) == INSIDE
    assert translator.inward(Nanos(59 * SECOND), first.port, ONE) is None
    assert translator.outward(Nanos(59 * SECOND), INSIDE, ONE) != first, "a new one gets another port"


def test_a_reboot_forgets_all_mappings() -> None:
    translator = nat()
    before = translator.outward(START, INSIDE, ONE)
    translator.forget()
    assert translator.inward(START, before.port, ONE) is None
    assert translator.outward(START, INSIDE, ONE) != before


def test_a_static_nat_gives_every_port_to_its_one_address_and_lets_everybody_in() -> None:
    translator = Nat(OUTSIDE, Random(1), fixed=INSIDE.ip)
    assert translator.outward(START, INSIDE, ONE) == Endpoint(OUTSIDE, INSIDE.port)
    assert translator.inward(START, 500, OTHER) == Endpoint(INSIDE.ip, 500)
