"""A client with the userspace plane is killed, and does not come back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.left import is_named_and_taken_away
from tests.interop.rig import Rig, requires_rig

pytestmark = [pytest.mark.interop, requires_rig]


def test_what_a_client_left_that_was_killed_is_named_and_taken_away(tmp_path: Path) -> None:
    with Rig() as rig:
        is_named_and_taken_away(rig, tmp_path, dict, kinds=("rule 4555", "leads nowhere"))
