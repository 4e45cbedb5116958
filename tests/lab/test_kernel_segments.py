"""TCP through a tunnel of the kernel, to a host behind the gateway that sends full segments."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import UP1, Rig, requires_rig
from tests.interop.segments import WITHOUT_OPTIONS, Told, host_behind, load_rules, passes, told
from tests.interop.shielded import works
from tests.lab.ends import tunnel

pytestmark = [pytest.mark.interop, pytest.mark.kernel_ipsec, requires_rig]

MTU = 1400
"""Of [dataplane], where nothing is said."""
HEADERS = 40
"""Of IP and TCP."""
TIMESTAMPS = 12
"""Octets of TCP's option, which each segment of Linux has."""


def test_peers_are_told_what_fits_into_the_tunnel(tmp_path: Path) -> None:
    with Rig() as rig, host_behind(rig) as (host, server), tunnel(rig, tmp_path) as (client, _):
        # It never learns how long a packet may be on its way.
        rig.run(host, ["iptables-legacy", "-t", "raw", "-A", "PREROUTING", "-p", "icmp", "-j", "DROP"])
        client.wait_up()
        works(rig)
        passes(rig)
        assert int(server.wait_log(r"^segments of (\d+)")[1]) == MTU - HEADERS - TIMESTAMPS


def test_a_firewall_by_the_page_lets_hosts_behind_a_gateway_say_less(tmp_path: Path) -> None:
    with Rig() as rig, host_behind(rig), tunnel(rig, tmp_path) as (client, _):
        client.wait_up()
        works(rig)
        # What came out of ESP is heard where the ESP came in.
        assert told(rig, tmp_path, UP1.device) == Told({MTU - HEADERS}, {WITHOUT_OPTIONS})
        load_rules(rig)
        assert told(rig, tmp_path, UP1.device) == Told({1340}, {1340})
