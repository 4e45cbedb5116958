"""Single values: times, addresses, networks, pools."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobike.commands import Pool
from mobike.config.durations import format_duration, parse_duration
from mobike.config.fields import MAX_POOL, read_address, read_network, read_pool


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("0", 0),
        ("500ms", 500_000_000),
        ("30s", 30_000_000_000),
        ("5m", 300_000_000_000),
        ("1m30s", 90_000_000_000),
        ("2h", 7_200_000_000_000),
    ],
)
def test_times_are_read_as_people_write_them(text: str, nanos: int) -> None:
    assert parse_duration(text) == nanos


@pytest.mark.parametrize("text", ["", "5", "-1s", "1.5s", "5 s", "30sec", "30s1m", "1s1s", "1d", "٣s"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        parse_duration(text)


@given(st.integers(0, 10**9))
def test_a_time_survives_being_written_and_read(milliseconds: int) -> None:
    nanos = milliseconds * 1_000_000
    assert parse_duration(format_duration(nanos)) == nanos


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("vpn.example.net", "host name"),
        ("10.0.0", "no IP address"),
        ("10.0.0.1/24", "no IP address"),
        ("fe80::1%eth0", "zone"),
        ("", "no IP address"),
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_address(text)


def test_a_network_with_host_bits_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(ValueError, match=r"did you mean 10\.1\.0\.0/16\?"):
        read_network("10.1.2.3/16")


@pytest.mark.parametrize(
    ("text", "first", "count"),
    [
        ("10.99.0.0/16", "10.99.0.1", 65_534),
        ("10.99.0.7/32", "10.99.0.7", 1),
        ("10.99.0.6/31", "10.99.0.6", 2),
        ("10.99.0.10-10.99.0.19", "10.99.0.10", 10),
        ("10.99.0.10 - 10.99.0.10", "10.99.0.10", 1),
        ("fd00:99::/112", "fd00:99::1", 65_535),
        ("fd00:99::/64", "fd00:99::1", MAX_POOL),
    ],
)
def test_a_pool_leaves_out_the_addresses_nobody_may_have(text: str, first: str, count: int) -> None:
    assert read_pool(text) == Pool(ip_address(first), count)


@pytest.mark.parametrize("text", ["10.0.0.9-10.0.0.1", "10.0.0.1-fd00::1", "10.0.0.0/33", "pool", "10.0.0.1-"])
def test_what_is_no_pool_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"range|network|address"):
        read_pool(text)
