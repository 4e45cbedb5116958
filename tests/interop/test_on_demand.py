"""A client whose plane is ours: the first packet into its device brings its tunnel up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.on_demand import traffic_brings_it_up
from tests.interop.rig import Rig, requires_rig

pytestmark = [pytest.mark.interop, requires_rig]


def test_traffic_brings_a_tunnel_up(tmp_path: Path) -> None:
    with Rig() as rig:
        traffic_brings_it_up(rig, tmp_path, dict)
