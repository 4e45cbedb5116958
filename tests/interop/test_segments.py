"""TCP that a gateway with the userspace plane passes on is told what fits, by the rules of docs/kernel.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import DEVICE, GW1, Mobike, Rig, mobike_client, mobike_gateway, requires_rig
from tests.interop.segments import WITHOUT_OPTIONS, Told, host_behind, load_rules, told
from tests.interop.shielded import works

pytestmark = [pytest.mark.interop, requires_rig]


def test_a_firewall_by_the_page_lets_hosts_behind_a_gateway_say_less(tmp_path: Path) -> None:
    with (
        Rig() as rig,
        host_behind(rig),
        Mobike(rig, rig.gateway, tmp_path / "gateway", mobike_gateway()),
        Mobike(rig, rig.client, tmp_path / "client", mobike_client(GW1.address)) as client,
    ):
        client.wait_up()
        works(rig)
        assert told(rig, tmp_path, DEVICE) == Told({1360}, {WITHOUT_OPTIONS})
        load_rules(rig)
        assert told(rig, tmp_path, DEVICE) == Told({1340}, {1340})
