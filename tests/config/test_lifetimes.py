"""Lifetimes: what is soft, what is hard, and what the file need not say."""

import pytest

from mobike.commands import SECOND, Limits
from mobike.config import ConfigError, parse
from mobike.config.lifetimes import MOST
from mobike.config.octets import parse_octets
from tests.config.judge import Judge
from tests.config.office import OFFICE


def _limits(more: str) -> Limits:
    (connection,) = parse(OFFICE + more, Judge(), environ={}).settings.connections
    return connection.profile.limits


def _wrong(more: str) -> str:
    with pytest.raises(ConfigError) as caught:
        _limits(more)
    return str(caught.value)


def test_hard_lifetimes_are_a_tenth_later_and_five_minutes_at_least() -> None:
    shipped = _limits("")
    assert (shipped.ike_hard, shipped.esp_hard) == (4 * 3960 * SECOND, 3960 * SECOND)
    assert shipped == Limits(ike_hard=shipped.ike_hard, esp_hard=shipped.esp_hard), "any amount may be carried"
    assert _limits('esp_lifetime = "10s"').esp_hard == 310 * SECOND


def test_what_never_grows_old_never_ends() -> None:
    assert _limits('ike_lifetime = "0"\nesp_lifetime = "0"') == Limits()
    assert _limits('ike_lifetime_hard = "0"\nesp_lifetime_hard = "0"') == Limits()


def test_what_the_file_says_counts() -> None:
    said = _limits('ike_lifetime = "0"\nike_lifetime_hard = "24h"\nesp_lifetime_hard = "2h"')
    assert (said.ike_hard, said.esp_hard) == (86_400 * SECOND, 7_200 * SECOND)


def test_amounts_have_hard_limits_a_tenth_above() -> None:
    limits = _limits('esp_lifetime_bytes = "500GB"\nesp_lifetime_packets = 5')
    assert (limits.soft_bytes, limits.hard_bytes) == (500_000_000_000, 550_000_000_000)
    assert (limits.soft_packets, limits.hard_packets) == (5, 6), "there is one more to be replaced in"
    assert _limits(f"esp_lifetime_packets = {MOST}").hard_packets == MOST
    alone = _limits('esp_lifetime_bytes_hard = "1TiB"\nesp_lifetime_packets_hard = 9')
    assert (alone.soft_bytes, alone.hard_bytes, alone.hard_packets) == (0, 1 << 40, 9)


@pytest.mark.parametrize(
    ("key", "soft", "hard"),
    [
        ("ike_lifetime", '"4h"', '"4h"'),
        ("esp_lifetime", '"1h"', '"59m"'),
        ("esp_lifetime_bytes", '"1GB"', '"900MB"'),
        ("esp_lifetime_packets", "10", "10"),
    ],
)
def test_an_sa_that_would_end_before_it_is_replaced_is_refused(key: str, soft: str, hard: str) -> None:
    assert f"{key}_hard must be more than {key}" in _wrong(f"{key} = {soft}\n{key}_hard = {hard}").replace(":", "")


@pytest.mark.parametrize(("text", "octets"), [("0", 0), ("7B", 7), ("2kB", 2_000), ("3MiB", 3 << 20), ("1TB", 10**12)])
def test_amounts_are_read_as_people_write_them(text: str, octets: int) -> None:
    assert parse_octets(text) == octets


@pytest.mark.parametrize("text", ["", "1", "1 GB", "GB", "1gb", "1.5GB", "-1GB", "1GBB"])
def test_what_is_no_amount_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 500MB"):
        parse_octets(text)
