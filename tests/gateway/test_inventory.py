"""What connections rest on, out of a real configuration."""

from pathlib import Path

from mobike.config import Settings, parse
from mobike.gateway.inventory import Stock
from tests.auth.pki import Authority
from tests.config.judge import Judge

TWO = """\
[pools.guests]
ranges = ["10.98.0.1-10.98.0.10", "2001:db8:9::/120"]
sticky = "1h"

[connections.gw]
role = "responder"
remote_id = "*"
local_ts = ["10.1.0.0/16"]
pool_from = "guests"
local_auth = "cert"
local_cert = "own.pem"
local_key = "own.key"
remote_auth = "cert"
remote_ca = ["ca.pem"]

[connections.lab]
role = "responder"
remote_id = "lab.example.net"
local_ts = ["10.2.0.0/16"]
pool_from = "guests"
local_auth = "cert"
local_cert = "own.pem"
local_key = "own.key"
remote_auth = "cert"
remote_ca = ["ca.pem"]

[connections.home]
role = "initiator"
remote = ["203.0.113.1"]
remote_id = "gw.example.net"
local_id = "me.example.net"
psk = "correct horse battery staple"
transport = "auto"
virtual_ip = ["ipv4"]

[[links.rule]]
match = "wlan*"
rank = 1
"""


def _settings(folder: Path) -> Settings:
    authority = Authority.new()
    authority.write(folder / "ca.pem")
    authority.sub("Middle").issue("gw.example.net", "gw@example.net").write(folder, "own")
    return parse(TWO, Judge(), base=folder, environ={}).settings


def test_a_pool_of_several_connections_is_told_once(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    (pool,) = Stock(lambda: settings).pools()
    assert (pool.name, pool.connections, pool.sticky_s) == ("guests", ("gw", "lab"), 3600.0)
    assert [(each.first, each.last, each.size) for each in pool.ranges] == [
        ("10.98.0.1", "10.98.0.10", 10),
        ("2001:db8:9::1", "2001:db8:9::ff", 255),
    ]


def test_certificates_are_told_once_with_their_use_and_without_a_key(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    told = Stock(lambda: settings).certificates()
    assert {(each.use, each.connections) for each in told} == {
        ("own", ("gw", "lab")),
        ("issuer", ("gw", "lab")),
        ("authority", ("gw", "lab")),
    }
    assert [each.not_after for each in told] == sorted(each.not_after for each in told)
    own = next(each for each in told if each.use == "own")
    assert (own.names, own.key) == (("DNS:gw.example.net", "email:gw@example.net"), "ECDSA secp256r1")
    assert "Middle" in own.issuer
    assert own.not_before < own.not_after
    assert len(bytes.fromhex(own.fingerprint)) == 32


def test_policies_say_who_decides_and_by_which_rules(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    gw, _, home = Stock(lambda: settings).policies()
    assert (gw.connection, gw.role, gw.kind, gw.local_ts) == ("gw", "responder", "ordered", ("10.1.0.0/16",))
    assert (home.role, home.transports) == ("initiator", ("udp", "tcp"))
    assert [(rule.match, rule.rank, rule.allowed) for rule in home.links] == [("wlan*", 1, True)]


def test_what_is_told_follows_the_configuration_in_force(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    stock = Stock(lambda: settings)
    assert stock.pools()
    settings = parse("", Judge(), environ={}).settings
    assert (stock.pools(), stock.certificates(), stock.policies()) == ((), (), ())
