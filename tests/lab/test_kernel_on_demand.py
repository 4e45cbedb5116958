"""A tunnel of the kernel that the first packet brings up: the kernel asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.on_demand import traffic_brings_it_up
from tests.interop.rig import Rig, requires_rig
from tests.lab.ends import in_kernel, policies, states

pytestmark = [
    pytest.mark.interop,
    pytest.mark.kernel_ipsec,
    pytest.mark.thorough,
    pytest.mark.timeout(600),
    requires_rig,
]


def test_traffic_brings_a_tunnel_up(tmp_path: Path) -> None:
    with Rig() as rig:
        traffic_brings_it_up(rig, tmp_path, in_kernel)
        assert policies(rig, rig.client) == []
        # What the kernel asked for and nobody gave goes by itself, half a minute after it asked.
        assert all("spi 0x00000000" in each for each in states(rig, rig.client))
