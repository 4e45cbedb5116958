"""Routes of a client whose tunnel the kernel carries."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.path_mtu import NARROW, obeyed_limit, passes, told_limit
from tests.interop.rig import INNER, UP1, UP2, Rig, requires_rig, until
from tests.interop.two_defaults import outlives_its_better_uplink
from tests.lab.ends import in_kernel, policies, states, tunnel, wait_at

pytestmark = [
    pytest.mark.interop,
    pytest.mark.kernel_ipsec,
    pytest.mark.thorough,
    pytest.mark.timeout(600),
    requires_rig,
]


def test_a_tunnel_outlives_its_better_uplink_without_rules_of_anybodys(tmp_path: Path) -> None:
    with Rig() as rig:
        outlives_its_better_uplink(rig, tmp_path, in_kernel)
        assert (states(rig, rig.client), policies(rig, rig.client)) == ([], [])


def test_after_a_move_senders_inside_learn_what_the_new_path_takes(tmp_path: Path) -> None:
    with Rig() as rig:
        for ns, device in ((rig.router, UP2.port), (rig.client, UP2.device)):
            rig.run(ns, ["ip", "link", "set", device, "mtu", str(NARROW)])
        with tunnel(rig, tmp_path) as (client, gateway):
            inner = str(client.wait_up().sa.virtual_ips[0])
            ends = ((rig.client, INNER), (rig.gateway, inner))
            for ns, to in ends:
                until(lambda ns=ns, to=to: passes(rig, ns, to, 1400), "long packets pass")  # type: ignore[misc]
            rig.link_down(rig.client, UP1.device)
            wait_at(gateway, UP2.address)
            for ns, to in ends:
                until(lambda ns=ns, to=to: passes(rig, ns, to, 100), "the new path carries")  # type: ignore[misc]
                # The client's own link is narrow; of the gateway's way a router tells.
                until(lambda ns=ns, to=to: told_limit(rig, ns, to, 1400) is not None, "it is told")  # type: ignore[misc]
                fits = obeyed_limit(rig, ns, to, 1400)
                assert NARROW - 70 < fits < NARROW - 40, "less what ESP adds"
                assert passes(rig, ns, to, fits)
                assert told_limit(rig, ns, to, fits + 1) == fits
            rig.link_up(rig.client, UP1.device)
            wait_at(gateway, UP1.address)
            for ns, to in ends:
                until(lambda ns=ns, to=to: passes(rig, ns, to, 1400), "long ones pass again")  # type: ignore[misc]
