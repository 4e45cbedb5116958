"""What carries IKE and ESP: datagrams, streams, or whichever passes."""

import pytest

from mobike.address import Transport
from mobike.config import ConfigError, Connection, parse
from tests.config.judge import Judge
from tests.config.office import OFFICE


def read(more: str = "") -> Connection:
    (connection,) = parse(OFFICE + more, Judge(), environ={}).settings.connections
    return connection


def warned(more: str) -> list[str]:
    warnings = map(str, parse(OFFICE + more, Judge(), environ={}).warnings)
    return [each for each in warnings if "transport" in each]


@pytest.mark.parametrize(
    ("text", "transports"),
    [
        ("", (Transport.UDP,)),
        ('transport = "udp"', (Transport.UDP,)),
        ('transport = "tcp"', (Transport.TCP,)),
        ('transport = "auto"', (Transport.UDP, Transport.TCP)),
    ],
)
def test_what_may_carry_a_connection_is_said_to_policy_and_to_the_core(
    text: str, transports: tuple[Transport, ...]
) -> None:
    connection = read(text)
    assert connection.policy.transports == transports
    assert (connection.profile.udp, connection.profile.tcp) == (
        Transport.UDP in transports,
        Transport.TCP in transports,
    )


@pytest.mark.parametrize("transport", ["tcp", "auto"])
def test_streams_go_with_nat_traversal_only(transport: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f'transport = "{transport}"\nnat_traversal = false\n')
    assert "transport" in str(caught.value)
    assert "nat_traversal = true" in str(caught.value)
    assert read("nat_traversal = false").policy.transports == (Transport.UDP,)


def test_any_other_word_is_refused() -> None:
    with pytest.raises(ConfigError, match="transport"):
        read('transport = "sctp"')


def test_who_falls_back_without_mobike_is_told_what_that_costs() -> None:
    assert warned('transport = "auto"') == []
    (warning,) = warned('transport = "auto"\nmobike = false\n')
    assert "one that is up stays with it" in warning
    assert warned('transport = "tcp"\nmobike = false\n') == []
