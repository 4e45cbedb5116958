"""Marks and XFRM interfaces of a connection, in the file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobike.config import ConfigError, parse
from mobike.config.marks import format_mark, parse_mark
from mobike.config.settings import Marks, PacketMark
from mobike.dataplane.xfrm.selectors import Lane, Mark
from mobike.dataplane.xfrm.state import Scope
from mobike.gateway.scopes import scopes_of
from tests.config.judge import Judge
from tests.config.office import OFFICE

KERNEL = '\n[dataplane]\nkind = "kernel"\ninner = "none"\n'
VOICE = '[[connections.office.child]]\nname = "voice"\nremote_ts = ["10.9.0.0/16"]\n'
BITS = st.integers(0, 0xFFFF_FFFF)


@given(BITS, BITS.filter(bool))
def test_a_mark_is_read_as_it_is_written(value: int, mask: int) -> None:
    mark = PacketMark(value & mask, mask)
    assert parse_mark(format_mark(mark)) == mark


@pytest.mark.parametrize("text", ["", "x", "0x", "-1", "1/", "/1", "1/2/3", "0x1ffffffff", "4294967296", "1/0", "3/2"])
def test_what_is_no_mark_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"mark|packet|bit"):
        parse_mark(text)


def test_they_reach_the_plane_under_the_names_of_all_child_sas() -> None:
    said = OFFICE + 'if_id = 7\nmark = "0x10/0xff"\noutput_mark = "32"\n' + VOICE + KERNEL
    (connection,) = parse(said, Judge(), environ={}).settings.connections
    assert connection.marks == Marks(7, PacketMark(0x10, 0xFF), PacketMark(32, 0xFFFF_FFFF))
    scope = Scope(Lane(7, Mark(0x10, 0xFF)), Mark(32, 0xFFFF_FFFF))
    assert scopes_of([connection]) == {"office": scope, "voice": scope}
    (plain,) = parse(OFFICE + KERNEL, Judge(), environ={}).settings.connections
    assert not plain.marks
    assert scopes_of([plain]) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("if_id = 7\n", 'connections.office: if_id, mark and output_mark need kind = "kernel"'),
        ('output_mark = "1"\n', 'connections.office: if_id, mark and output_mark need kind = "kernel"'),
        ('if_id = 7\n\n[dataplane]\nkind = "kernel"\n', 'connections.office: if_id needs inner = "none"'),
        ('\n[dataplane]\ninner = "xfrm"\n', 'dataplane.inner: "xfrm" needs kind = "kernel"'),
        ("\n[dataplane]\nif_id = 3\n", 'dataplane.if_id: is of the interface that inner = "xfrm" makes'),
        ('mark = "3/1"\n' + KERNEL, "no packet has it"),
    ],
)
def test_what_does_not_go_together_is_said(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(OFFICE + text, Judge(), environ={})
    assert says in str(caught.value)


def test_with_marks_a_child_sa_has_a_name_of_its_own() -> None:
    branch = OFFICE.replace("connections.office", "connections.branch")
    both = OFFICE + VOICE + branch + "{}" + VOICE.replace("connections.office", "connections.branch") + KERNEL
    parse(both.format(""), Judge(), environ={})
    with pytest.raises(ConfigError) as caught:
        parse(both.format("if_id = 3\n"), Judge(), environ={})
    assert "the name 'voice' is one of office, too" in str(caught.value)


def test_an_interface_of_ours_is_that_of_all_connections() -> None:
    said = OFFICE + 'mark = "1"\n\n[dataplane]\nkind = "kernel"\ninner = "xfrm"\nif_id = 9\n'
    settings = parse(said, Judge(), environ={}).settings
    assert scopes_of(settings.connections, settings.dataplane.if_id)["office"].lane.interface == 9
    (plain,) = parse(OFFICE + KERNEL, Judge(), environ={}).settings.connections
    assert scopes_of([plain], 9) == {"office": Scope(Lane(9))}
