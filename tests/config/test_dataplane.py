"""[dataplane]: who carries, and what goes with whom."""

import pytest

from mobike.config import ConfigError, parse
from mobike.config.settings import DataplaneSettings, Inner, Moves, PlaneKind
from tests.config.judge import Judge
from tests.config.test_load import OFFICE


def read(text: str) -> DataplaneSettings:
    return parse(OFFICE + text, Judge()).settings.dataplane


@pytest.mark.parametrize(("kind", "always"), [("userspace", True), ("kernel", False), ("null", True)])
def test_esp_is_always_in_udp_unless_the_kernel_sends_it(kind: str, always: bool) -> None:
    table = f"[dataplane]\nkind = '{kind}'\n"
    assert read(table) == DataplaneSettings(PlaneKind(kind), always_encap=always)
    for said in (True, False):
        assert read(f"{table}always_encap = {str(said).lower()}\n").always_encap is said


def test_the_kernel_takes_inner_packets_from_the_network_alone() -> None:
    assert read("[dataplane]\nkind = 'kernel'\ninner = 'none'\n").inner is Inner.NONE
    for inner in ("port", "echo"):
        with pytest.raises(
            ConfigError, match=r'dataplane\.inner: must be "tun", "xfrm" or "none" with kind = "kernel"'
        ):
            read(f"[dataplane]\nkind = 'kernel'\ninner = '{inner}'\n")


def test_how_sas_move_is_about_those_of_a_kernel() -> None:
    assert read("[dataplane]\nkind = 'kernel'\n").moves is Moves.AUTO
    assert read("[dataplane]\nkind = 'kernel'\nmoves = 'restore'\n").moves is Moves.RESTORE
    with pytest.raises(ConfigError, match=r'dataplane\.moves: is about SAs of a kernel: it needs kind = "kernel"'):
        read("[dataplane]\nmoves = 'restore'\n")


def test_the_kernel_carries_no_streams() -> None:
    with pytest.raises(ConfigError, match=r'dataplane\.kind: "kernel" carries no TCP streams .*office') as caught:
        read("transport = 'auto'\n[dataplane]\nkind = 'kernel'\n")
    assert 'set transport = "udp" there, or kind = "userspace" here' in str(caught.value)
