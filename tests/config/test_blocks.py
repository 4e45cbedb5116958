"""What is thrown away while its tunnel is down, in the file."""

import pytest

from mobike.config import ConfigError, parse
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
