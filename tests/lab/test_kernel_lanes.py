"""Marks and XFRM interfaces of a connection, as the kernel shows them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.interop.rig import (
    GW1,
    INNER_NET,
    Mobike,
    ProgramError,
    Rig,
    Toml,
    mobike_client,
    mobike_gateway,
    requires_rig,
    until,
)
from tests.interop.shielded import works
from tests.lab.ends import in_kernel, policies, states

pytestmark = [pytest.mark.interop, pytest.mark.kernel_ipsec, requires_rig]

BARE: Mapping[str, Toml] = {"kind": "kernel", "inner": "none"}
BY_INTERFACE: Mapping[str, Toml] = {"kind": "kernel", "inner": "xfrm", "tun": "ipsec0"}


def _has_interfaces() -> bool:
    """Some kernels have no XFRM interfaces; that of the lab is one of them."""
    argv = ["unshare", "-n", "ip", "link", "add", "x", "type", "xfrm", "if_id", "1"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def _needs_interfaces() -> None:
    if not _has_interfaces():
        pytest.skip("this kernel has no XFRM interfaces (CONFIG_XFRM_INTERFACE)")


def test_sas_and_policies_are_those_of_an_interface_and_go_with_the_tunnel(tmp_path: Path) -> None:
    client = {**mobike_client(GW1.address, if_id=7, output_mark="0x20"), "dataplane": BARE}
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", in_kernel(mobike_gateway())),
        Mobike(rig, rig.client, tmp_path / "client", client) as calls,
    ):
        calls.wait_up()
        assert len(states(rig, rig.client)) == 2
        assert len(policies(rig, rig.client)) == 3
        assert all("if_id 0x7" in each for each in (*states(rig, rig.client), *policies(rig, rig.client)))
        assert sum("output-mark 0x20" in each for each in states(rig, rig.client)) == 1
        calls.post("connections/net/down")
        until(lambda: (states(rig, rig.client), policies(rig, rig.client)) == ([], []), "nothing is left")


def test_an_interface_of_the_operators_carries(tmp_path: Path) -> None:
    _needs_interfaces()
    client = {**mobike_client(GW1.address, if_id=7), "dataplane": BARE}
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", in_kernel(mobike_gateway())),
        Mobike(rig, rig.client, tmp_path / "client", client) as calls,
    ):
        inner = calls.wait_up().sa.virtual_ips[0]
        for words in (
            "link add ipsec0 type xfrm if_id 7",
            f"address add {inner}/32 dev ipsec0",
            "link set ipsec0 up",
            f"route add {INNER_NET} dev ipsec0 src {inner}",
        ):
            rig.run(rig.client, ["ip", *words.split()])
        works(rig)


def test_packets_without_the_mark_do_not_go_by_the_tunnel(tmp_path: Path) -> None:
    client = in_kernel(mobike_client(GW1.address, mark="0x10/0xff"))
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", in_kernel(mobike_gateway())),
        Mobike(rig, rig.client, tmp_path / "client", client) as calls,
    ):
        calls.wait_up()
        assert all("mark 0x10/0xff" in each for each in policies(rig, rig.client))
        ping = ["ping", "-n", "-c", "3", "-W", "1"]
        gateway = INNER_NET.split("/")[0].rsplit(".", 1)[0] + ".1"
        assert rig.run(rig.client, [*ping, gateway], check=False).returncode != 0
        assert rig.run(rig.client, [*ping, "-m", "16", gateway], check=False).returncode == 0


def test_an_xfrm_interface_of_ours_carries_and_goes_with_the_daemon_also_after_a_crash(tmp_path: Path) -> None:
    _needs_interfaces()
    client = {**mobike_client(GW1.address), "dataplane": BY_INTERFACE}

    def devices(rig: Rig) -> str:
        return rig.run(rig.client, ["ip", "-d", "link", "show", "type", "xfrm"]).stdout

    with Rig() as rig, Mobike(rig, rig.gateway, tmp_path / "gateway", in_kernel(mobike_gateway())):
        with Mobike(rig, rig.client, tmp_path / "client", client) as calls:
            calls.wait_up()
            works(rig)
            assert calls.program.stop(signal.SIGKILL) == -signal.SIGKILL
            assert "ipsec0" in devices(rig)
            calls.restart(signal.SIGKILL)
            calls.wait_up()
            works(rig)
            assert devices(rig).count("ipsec0") == 1
        assert devices(rig) == ""
        assert (states(rig, rig.client), policies(rig, rig.client)) == ([], [])


def test_a_kernel_without_xfrm_interfaces_says_so_with_the_fix(tmp_path: Path) -> None:
    if _has_interfaces():
        pytest.skip("this kernel has them")
    client = {**mobike_client(GW1.address), "dataplane": BY_INTERFACE}
    with Rig() as rig:
        daemon = Mobike(rig, rig.client, tmp_path / "client", client)
        with pytest.raises(ProgramError, match=r'CONFIG_XFRM_INTERFACE\): set inner = "tun"'), daemon:
            pass
        assert (states(rig, rig.client), policies(rig, rig.client)) == ([], [])
