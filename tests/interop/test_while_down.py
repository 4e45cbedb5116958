"""Routes of a client whose plane is ours: what its tunnel is for does not leave in the clear while that is down."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import Rig, requires_rig
from tests.interop.shielded import nothing_leaves_in_the_clear

pytestmark = [pytest.mark.interop, requires_rig]


@pytest.mark.parametrize("store", [False, pytest.param(True, marks=pytest.mark.thorough)], ids=["forgets", "keeps"])
def test_nothing_leaves_in_the_clear(tmp_path: Path, store: bool) -> None:
    with Rig() as rig:
        nothing_leaves_in_the_clear(rig, tmp_path, dict, store=store)
