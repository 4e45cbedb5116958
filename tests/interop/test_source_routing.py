"""A client whose plane is ours, with two default routes: each path is tried, and used, over its own uplink."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import Rig, requires_rig
from tests.interop.two_defaults import outlives_its_better_uplink

pytestmark = [pytest.mark.interop, requires_rig]


def test_a_tunnel_outlives_its_better_uplink_without_rules_of_anybodys(tmp_path: Path) -> None:
    with Rig() as rig:
        outlives_its_better_uplink(rig, tmp_path, dict)
