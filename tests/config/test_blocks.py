"""What is thrown away while its tunnel is down, in the file."""

import pytest

from mobike.config import ConfigError, parse
from mobike.policy.connection import Start
from mobike.selector import Traffic
from tests.config.judge import Judge
from tests.config.office import OFFICE

ANY = ("0.0.0.0/0",)
SITE = """\
[connections.site]
role = "responder"
local_id = "gw"
remote_id = "*"
psk = "correct horse battery staple"
local_ts = ["10.1.0.0/16"]
"""


def _blocks(text: str) -> tuple[Traffic, ...]:
    (connection,) = parse(text, Judge(), environ={}).settings.connections
    return connection.blocks


BLOCK = 'while_down = "block"\n'


def test_a_client_that_says_what_is_behind_its_gateway_blocks_that() -> None:
    said = OFFICE + 'remote_ts = ["10.1.0.0/16"]\n'
    assert _blocks(said) == _blocks(said + BLOCK) == (Traffic(ANY, ("10.1.0.0/16",)),)
    assert _blocks(said + 'local_ts = ["10.2.0.0/16"]\n') == (Traffic(("10.2.0.0/16",), ("10.1.0.0/16",)),)
    assert _blocks(said + 'while_down = "clear"\n') == ()


def test_a_client_that_is_told_by_its_gateway_blocks_everything() -> None:
    assert _blocks(OFFICE) == (Traffic(ANY, ANY),)


def test_further_child_sas_are_blocked_too_but_for_those_that_come_by_order() -> None:
    voice = '[[connections.office.child]]\nname = "voice"\nremote_ts = ["10.9.0.0/16[udp/5060]"]\n'
    first = Traffic(ANY, ("10.1.0.0/16",))
    said = OFFICE + 'remote_ts = ["10.1.0.0/16"]\n'
    assert _blocks(said + voice) == (first, Traffic(ANY, ("10.9.0.0/16[udp/5060]",)))
    assert _blocks(said + voice + 'start = "manual"\n') == (first,)
    assert _blocks(said + 'childless = "require"\nstart_child = "manual"\n') == ()


def test_in_transport_mode_nothing_is_blocked() -> None:
    said = '[dataplane]\nkind = "kernel"\n' + OFFICE.replace('virtual_ip = ["ipv4"]\n', 'mode = "transport"\n')
    assert _blocks(said + 'local_ts = ["192.0.2.7/32"]\nremote_ts = ["203.0.113.1/32"]\n') == ()


def test_a_responder_blocks_by_order_alone() -> None:
    said = SITE + 'remote_ts = ["10.2.0.0/16"]\n'
    assert _blocks(said) == ()
    assert _blocks(said + 'while_down = "block"\n') == (Traffic(("10.1.0.0/16",), ("10.2.0.0/16",)),)


def test_a_responder_that_leases_addresses_says_what_is_behind_its_peers_as_well() -> None:
    with pytest.raises(ConfigError) as caught:
        _blocks(SITE + 'pool = ["10.99.0.0/24"]\nwhile_down = "block"\n')
    assert ":8: connections.site.while_down: needs remote_ts here" in str(caught.value)


def test_who_waits_for_traffic_holds_it_back_and_knows_what_brings_it_up() -> None:
    said = OFFICE + 'remote_ts = ["10.1.0.0/16"]\nstart = "traffic"\n'
    (connection,) = parse(said, Judge(), environ={}).settings.connections
    assert connection.blocks == connection.policy.wakes_on == (Traffic(ANY, ("10.1.0.0/16",)),)
    assert connection.policy.start is Start.TRAFFIC
    (always,) = parse(OFFICE + BLOCK, Judge(), environ={}).settings.connections
    assert always.policy.wakes_on == (), "that one comes up by itself"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('while_down = "clear"\n', 'while_down: must be "block" with start = "traffic"'),
        ('childless = "require"\nstart_child = "manual"\n', "start: has no traffic to wait for"),
        ('\n[dataplane]\nkind = "null"\n', "dataplane.inner: brings no packet here, and office would wait for one"),
        ('\n[dataplane]\ninner = "none"\n', "dataplane.inner: brings no packet here, and office would wait for one"),
    ],
)
def test_what_cannot_wait_for_traffic_is_said(more: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _blocks(OFFICE + 'start = "traffic"\n' + more)
    assert says in str(caught.value)


def test_a_responder_waits_for_nobodys_traffic() -> None:
    with pytest.raises(ConfigError) as caught:
        _blocks(SITE + 'remote_ts = ["10.2.0.0/16"]\nstart = "traffic"\n')
    assert 'start: "traffic" is for who begins' in str(caught.value)


def test_in_transport_mode_it_waits_for_packets_to_the_peer() -> None:
    said = '[dataplane]\nkind = "kernel"\n' + OFFICE.replace('virtual_ip = ["ipv4"]\n', 'mode = "transport"\n')
    ends = Traffic(("192.0.2.7/32",), ("203.0.113.1/32",))
    assert _blocks(said + 'local_ts = ["192.0.2.7/32"]\nremote_ts = ["203.0.113.1/32"]\nstart = "traffic"\n') == (ends,)


def test_a_kernel_waits_without_a_device() -> None:
    said = OFFICE + 'start = "traffic"\n\n[dataplane]\nkind = "kernel"\ninner = "none"\n'
    assert _blocks(said) == (Traffic(ANY, ANY),)
