"""Inner addresses and what goes with them: what comes out of the file, and what contradicts."""

from ipaddress import ip_address

import pytest

from mobike.config import ConfigError, parse
from mobike.handout import NOTHING, Handout
from tests.config.judge import Judge

GATEWAY = """\
[connections.gw]
role = "responder"
local_id = "gw.example.net"
remote_id = "*"
local_ts = ["10.1.0.0/16"]
psk = "correct horse battery staple"
"""
CLIENT = """\
[connections.office]
role = "initiator"
remote = ["192.0.2.1"]
local_id = "ann@example.net"
remote_id = "gw.example.net"
psk = "correct horse battery staple"
"""
POOL = 'pool = ["10.9.0.0/24"]\n'
VIP = 'virtual_ip = ["ipv4"]\n'
ANCHOR = "Corp.Example 43547 8 2 B6225AB2"


def test_a_gateway_hands_out_what_the_file_says() -> None:
    text = (
        'dns = ["10.1.0.53", "fd00::53"]\nnetworks = ["10.1.0.0/16", "fd00::/48"]\n'
        f'dns_domains = ["Corp.Example."]\ndns_anchors = ["{ANCHOR}"]\n'
    )
    (connection,) = parse(GATEWAY + POOL + text, Judge()).settings.connections
    assert connection.profile.handout == Handout(
        (ip_address("10.1.0.53"), ip_address("fd00::53")),
        ("10.1.0.0/16", "fd00::/48"),
        ("corp.example",),
        ("corp.example 43547 8 2 B6225AB2",),
    )
    assert parse(GATEWAY + POOL, Judge()).settings.connections[0].profile.handout == NOTHING


def test_a_client_asks_for_everything_unless_it_says_for_what() -> None:
    for text, asked in (("", ("dns", "networks", "domains")), ('ask = ["dns"]\n', ("dns",)), ("ask = []\n", ())):
        (connection,) = parse(CLIENT + VIP + text, Judge()).settings.connections
        assert connection.profile.ask == asked
    (connection,) = parse(CLIENT + VIP + 'dns_anchors_for = ["corp.example"]\n', Judge()).settings.connections
    assert connection.profile.anchors_for == ("corp.example",)


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        (GATEWAY + POOL + 'ask = ["dns"]\n', "ask", "only an initiator asks"),
        (GATEWAY + 'remote_ts = ["10.2.0.0/16"]\ndns = ["10.1.0.53"]\n', "dns", "pool is missing"),
        (GATEWAY + POOL + 'dns_domains = ["corp.example"]\n', "dns_domains", "there is none"),
        (GATEWAY + POOL + f'dns_anchors = ["{ANCHOR}"]\n', "dns_anchors", "not among dns_domains"),
        (GATEWAY + POOL + 'dns = ["ns.example"]\n', "dns[0]", "names are not looked up"),
        (GATEWAY + POOL + 'dns_domains = ["a..b"]\n', "dns_domains[0]", "no domain name"),
        (GATEWAY + POOL + 'dns_domains = ["a b"]\n', "dns_domains[0]", "no domain name"),
        (GATEWAY + POOL + 'dns_anchors = ["corp.example 1 8 2"]\n', "dns_anchors[0]", "no trust anchor"),
        (GATEWAY + POOL + 'dns_anchors = ["corp.example 1 300 2 AA"]\n', "dns_anchors[0]", "no number up to 255"),
        (GATEWAY + POOL + 'networks = ["10.1.0.1/16"]\n', "networks[0]", "did you mean 10.1.0.0/16"),
        (CLIENT + VIP + 'dns = ["10.1.0.53"]\n', "dns", "only a responder gives this"),
        (CLIENT + 'local_ts = ["10.2.0.0/16"]\nremote_ts = ["10.1.0.0/16"]\nask = ["dns"]\n', "ask", "is missing"),
        (CLIENT + VIP + 'ask = ["domains"]\n', "ask", 'ask for "dns" too'),
        (CLIENT + VIP + 'ask = ["dns"]\ndns_anchors_for = ["a.b"]\n', "dns_anchors_for", 'ask for "domains"'),
    ],
)
def test_what_contradicts_is_named_by_its_key(text: str, key: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, Judge())
    (problem,) = [each for each in caught.value.problems if each.key.endswith(f".{key}")]
    assert message in problem.message
