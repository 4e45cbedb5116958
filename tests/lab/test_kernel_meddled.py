"""Somebody else takes out of the kernel what is ours, while a tunnel is up: it comes back, and nothing leaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.rig import INNER, Rig, requires_rig, until
from tests.interop.shielded import knock, watched, works
from tests.lab.ends import nothing_lost, policies, states, tunnel, wait_states

pytestmark = [pytest.mark.interop, pytest.mark.kernel_ipsec, requires_rig]


def test_flushed_policies_come_back_and_flushed_sas_are_replaced(tmp_path: Path) -> None:
    with Rig() as rig:
        with tunnel(rig, tmp_path) as (client, gateway), watched(rig, tmp_path) as seen:
            works(rig)
            before = client.wait_up().children[0].id
            for ns, end in ((rig.client, client), (rig.gateway, gateway)):
                there = sorted(policies(rig, ns))
                rig.run(ns, ["ip", "xfrm", "policy", "flush"])
                knock(rig)
                until(lambda ns=ns: len(policies(rig, ns)) == 3, "its policies are back")  # type: ignore[misc]
                assert len(there) == 3
                end.wait_log("kernel.meddled")
                nothing_lost(rig.ping(rig.client, INNER, count=5, interval=0.02))
            assert client.wait_up().children[0].id == before, "for that no keys need be made"
            for ns in (rig.client, rig.gateway):
                old = client.wait_up().children[0].id
                rig.run(ns, ["ip", "xfrm", "state", "flush"])
                knock(rig)
                client.wait_sa(lambda one, old=old: [each.id for each in one.children] not in ([], [old]), "new keys")  # type: ignore[misc]
                works(rig)
                wait_states(rig, 2)
            assert seen() == 0, "nothing leaves in the clear"
        for ns in (rig.client, rig.gateway):
            assert (states(rig, ns), policies(rig, ns)) == ([], [])
