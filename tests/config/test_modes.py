"""Tunnel or transport, in the file."""

import pytest

from mobike.commands import Profile
from mobike.config import ConfigError, parse
from tests.config.judge import Judge

KERNEL = '[dataplane]\nkind = "kernel"\n'
CALLS = """\
[connections.hosts]
role = "initiator"
remote = ["203.0.113.1"]
local_id = "a.example.net"
remote_id = "b.example.net"
psk = "correct horse battery staple"
"""
ANSWERS = """\
[connections.hosts]
role = "responder"
local_id = "b.example.net"
remote_id = "a.example.net"
psk = "correct horse battery staple"
"""
TRANSPORT = 'mode = "transport"\n'


def _profile(text: str) -> Profile:
    (connection,) = parse(KERNEL + text, Judge(), environ={}).settings.connections
    return connection.profile


@pytest.mark.parametrize("role", [CALLS, ANSWERS])
def test_between_hosts_no_networks_are_named_and_nothing_moves(role: str) -> None:
    profile = _profile(role + TRANSPORT)
    assert profile.transport_mode
    assert (profile.local_ts, profile.remote_ts) == ((), ())
    assert not profile.mobike
    tunnel = _profile(role + 'local_ts = ["10.1.0.0/16"]\nremote_ts = ["10.2.0.0/16"]\n')
    assert not tunnel.transport_mode and tunnel.mobike


def test_one_more_child_sa_has_a_mode_of_its_own_else_that_of_the_first() -> None:
    tunnel = CALLS + 'local_ts = ["10.1.0.0/16"]\nremote_ts = ["10.2.0.0/16"]\n'
    profile = _profile(tunnel + '[[connections.hosts.child]]\nname = "us"\n' + TRANSPORT)
    (us,) = profile.children
    assert us.transport_mode and not profile.transport_mode
    assert (us.local_ts, us.remote_ts) == ((), ()), "not those of the tunnel"
    assert not profile.mobike
    web = '[[connections.hosts.child]]\nname = "web"\nremote_ts = ["203.0.113.1/32[tcp/443]"]\n'
    (web_only,) = _profile(CALLS + TRANSPORT + web).children
    assert web_only.transport_mode


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        (CALLS + "mobike = true\n" + TRANSPORT, "connections.hosts.mobike", "is for tunnels"),
        (CALLS + 'virtual_ip = ["ipv4"]\n' + TRANSPORT, "connections.hosts.virtual_ip", "inner addresses"),
        (ANSWERS + 'pool = ["10.9.0.0/24"]\n' + TRANSPORT, "connections.hosts.pool", "inner addresses"),
        (CALLS + 'while_down = "block"\n' + TRANSPORT, "connections.hosts.while_down", "out of reach"),
        (CALLS, "connections.hosts.remote_ts", "say which networks"),
    ],
)
def test_what_contradicts_is_named_by_its_key(text: str, key: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(KERNEL + text, Judge(), environ={})
    found = [(each.key, each.message) for each in caught.value.problems]
    assert [each for each in found if each[0] == key and message in each[1]], found


@pytest.mark.parametrize("kind", ["userspace", "null"])
def test_a_plane_that_carries_tunnels_only_refuses_it_by_name(kind: str) -> None:
    with pytest.raises(ConfigError, match=rf'"{kind}" carries tunnels only, and hosts has mode = "transport"'):
        parse(f'[dataplane]\nkind = "{kind}"\n' + CALLS + TRANSPORT, Judge(), environ={})
