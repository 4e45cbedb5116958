"""On to another gateway: what the file says of it, and what it cannot say."""

from ipaddress import ip_address, ip_network

import pytest

from mobike.commands import SERVE_ALL, TurnAway
from mobike.config import ConfigError, parse
from tests.config.judge import Judge

CLIENT = """
[connections.office]
role = "initiator"
remote = ["203.0.113.1"]
local_id = "alice@example.net"
remote_id = "gw.example.net"
psk = "correct horse"
virtual_ip = ["ipv4"]
"""
GATEWAY = """
[connections.road]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@example.net"
psk = "correct horse"
local_ts = ["10.1.0.0/16"]
pool = ["10.99.0.0/16"]
"""


def test_without_a_word_nobody_is_sent_on_and_nobody_followed() -> None:
    settings = parse(CLIENT + GATEWAY, Judge()).settings
    assert settings.redirect == SERVE_ALL
    client, gateway = settings.connections
    assert not client.profile.follow_redirects
    assert not client.policy.redirects.follows
    assert gateway.profile.redirect == ()


def test_what_a_client_follows() -> None:
    more = 'follow_redirects = ["203.0.113.0/24"]\nredirect_names = { "GW2.example.net" = ["198.51.100.2"] }\n'
    (client,) = parse(CLIENT + more, Judge()).settings.connections
    assert client.profile.follow_redirects
    assert client.policy.redirects.networks == (ip_network("203.0.113.0/24"),)
    assert client.policy.redirects.addresses_of("gw2.example.net") == (ip_address("198.51.100.2"),)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ('when = "always"\nto = ["203.0.113.2", "GW2.example.net"]', TurnAway(("203.0.113.2", "gw2.example.net"), 0)),
        ('when = "load"\nto = ["2001:DB8::2"]\nat = 70', TurnAway(("2001:db8::2",), 70)),
        ('when = "never"', SERVE_ALL),
    ],
)
def test_whom_a_gateway_sends_on(text: str, means: TurnAway) -> None:
    assert parse(f"[redirect]\n{text}\n{GATEWAY}", Judge()).settings.redirect == means


def test_a_gateway_sends_the_peers_of_one_connection_on() -> None:
    (gateway,) = parse(GATEWAY + 'redirect = ["203.0.113.2"]\n', Judge()).settings.connections
    assert gateway.profile.redirect == ("203.0.113.2",)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f'[redirect]\nwhen = "always"\n{GATEWAY}', "redirect.to"),
        (f'[redirect]\nto = ["203.0.113.2"]\n{GATEWAY}', "redirect.to"),
        (f'[redirect]\nwhen = "always"\nto = ["not a gateway"]\n{GATEWAY}', "redirect.to"),
        (f'[redirect]\nwhen = "always"\nto = ["a..b"]\n{GATEWAY}', "redirect.to"),
        (f'[redirect]\nwhen = "always"\nto = ["fe80::1%eth0"]\n{GATEWAY}', "redirect.to"),
        (CLIENT + 'redirect = ["203.0.113.2"]\n', "connections.office.redirect"),
        (GATEWAY + 'follow_redirects = ["203.0.113.0/24"]\n', "connections.road.follow_redirects"),
        (GATEWAY + 'redirect_names = { "gw2" = ["203.0.113.2"] }\n', "connections.road.redirect_names"),
        (CLIENT + 'redirect_names = { "gw2" = [] }\n', "connections.office.redirect_names"),
    ],
)
def test_what_contradicts_is_told_by_its_key(text: str, key: str) -> None:
    with pytest.raises(ConfigError) as problem:
        parse(text, Judge())
    assert any(each.key.startswith(key) for each in problem.value.problems)
