"""Which pairs are legal at all."""

from ipaddress import ip_address, ip_network

import pytest

from mobike.policy.links import Candidate
from mobike.policy.pairs import ANY_PAIR, PairRules, objection
from tests.policy.words import FAR_LOOPBACK, LOOPBACK, OFFICE, OFFICE6, WIFI, WIFI6


def against(local: str, remote: str, rules: PairRules = ANY_PAIR, **kwargs: bool) -> str | None:
    return objection(Candidate(ip_address(local), "eth0", **kwargs), ip_address(remote), rules)


@pytest.mark.req("A5.3-1")
@pytest.mark.parametrize(
    ("local", "remote"),
    [
        (str(WIFI), str(OFFICE)),
        (str(WIFI6), str(OFFICE6)),
        (str(LOOPBACK), str(FAR_LOOPBACK)),
        ("10.0.0.1", str(OFFICE)),
        ("fd00::1", str(OFFICE6)),
        ("100.64.0.1", str(OFFICE)),
    ],
)
def test_pairs_that_can_carry_an_sa_are_legal(local: str, remote: str) -> None:
    assert against(local, remote) is None


@pytest.mark.req("D2-1", "D3-2", "A5.3-1")
@pytest.mark.parametrize(
    ("local", "remote", "because"),
    [
        (str(WIFI), str(OFFICE6), "of different families"),
        (str(LOOPBACK), str(OFFICE), "never leaves this host"),
        (str(WIFI), str(LOOPBACK), "never leaves this host"),
        ("::1", str(OFFICE6), "never leaves this host"),
        (str(WIFI), str(WIFI), "talk to itself"),
        ("224.0.0.1", str(OFFICE), "multicast"),
        (str(WIFI), "224.0.0.1", "multicast"),
        ("ff02::1", str(OFFICE6), "multicast"),
        ("0.0.0.0", str(OFFICE), "no address of anybody"),
        (str(WIFI6), "::", "no address of anybody"),
        ("169.254.1.1", str(OFFICE), "one link only"),
        ("fe80::1", "fe80::2", "one link only"),
    ],
)
def test_pairs_that_cannot_are_refused_with_a_reason(local: str, remote: str, because: str) -> None:
    assert because in (against(local, remote) or "legal")


@pytest.mark.req("D2-1")
def test_an_address_inside_our_own_tunnel_is_never_a_path() -> None:
    assert "our own tunnels" in (against(str(WIFI), str(OFFICE), tunnel=True) or "")


@pytest.mark.req("D2-1")
def test_a_link_that_the_operator_forbids_is_never_used() -> None:
    assert "link eth0 is not allowed" in (against(str(WIFI), str(OFFICE), allowed=False) or "")


@pytest.mark.req("D2-1")
def test_the_operators_prefixes_and_families_are_obeyed() -> None:
    rules = PairRules(local=(ip_network("192.0.2.0/24"),), remote=(ip_network("203.0.113.0/24"),))
    assert against(str(WIFI), str(OFFICE), rules) is None
    assert "allowed local prefixes" in (against("198.51.100.2", str(OFFICE), rules) or "")
    assert "allowed remote prefixes" in (against(str(WIFI), "198.51.100.9", rules) or "")
    assert "IPv4 is not allowed" in (against(str(WIFI), str(OFFICE), PairRules(families=frozenset((6,)))) or "")
