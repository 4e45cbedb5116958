"""What a tunnel of the kernel is for does not leave in the clear while that is down; and strongSwan's does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import Rig, requires_rig, requires_strongswan, until
from tests.interop.shielded import KNOCKS, knock, nothing_leaves_in_the_clear, watched, works
from tests.lab.ends import in_kernel, policies, states, with_strongswan

pytestmark = [
    pytest.mark.interop,
    pytest.mark.kernel_ipsec,
    pytest.mark.thorough,
    pytest.mark.timeout(600),
    requires_rig,
]


@pytest.mark.parametrize("store", [False, True], ids=["forgets", "keeps"])
def test_nothing_leaves_in_the_clear(tmp_path: Path, store: bool) -> None:
    with Rig() as rig:
        nothing_leaves_in_the_clear(rig, tmp_path, in_kernel, store=store)
        if not store:
            assert (states(rig, rig.client), policies(rig, rig.client)) == ([], [])


@requires_strongswan
def test_a_strongswan_client_sends_in_the_clear_once_its_gateway_has_ended_the_tunnel(tmp_path: Path) -> None:
    with Rig() as rig, with_strongswan(rig, tmp_path, "gateway") as (gateway, _):
        works(rig)
        with watched(rig, tmp_path) as seen:
            gateway.delete(f"ike-sas/{gateway.wait_up().sa.id}")
            until(lambda: states(rig, rig.client) == [], "its tunnel is gone")
            knock(rig)
            until(lambda: seen() == KNOCKS, "its packets leave as anybody can read them")
