"""A client whose ESP is the kernel's is killed, and does not come back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.left import is_named_and_taken_away
from tests.interop.rig import Rig, requires_rig
from tests.lab.ends import in_kernel

pytestmark = [pytest.mark.interop, pytest.mark.kernel_ipsec, requires_rig]


def test_what_a_client_left_that_was_killed_is_named_and_taken_away(tmp_path: Path) -> None:
    with Rig() as rig:
        kinds = ("SA 0x", "policy out", "policy in", "rule 4555", "leads nowhere")
        is_named_and_taken_away(rig, tmp_path, in_kernel, kinds=kinds)
