"""A hundred pings a second through a tunnel whose keys are replaced again and again, by either end: none is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from mobike_api.schemas import IkeSaDetail
from tests.interop.rig import (
    GW1,
    INNER,
    INNER6,
    INNER6_NET,
    INNER_NET,
    POOL,
    UP1,
    UP2,
    Charon,
    Mobike,
    Rig,
    initiator,
    requires_rig,
    requires_strongswan,
    responder,
    until,
)
from tests.interop.tunnels import client_of_strongswan, gateway_of_strongswan, told

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

INTERVAL_S = 0.01
POOL6 = "fd00:177::/112"
ROUNDS = 3


class Families(NamedTuple):
    """Of IP: outside of the tunnel, and in it."""

    outer: int
    inner: int


FAMILIES = (Families(4, 4), Families(6, 6), Families(4, 6), Families(6, 4))


def _families(families: Families) -> str:
    return f"IPv{families.inner} in IPv{families.outer}"


@pytest.mark.parametrize("role", ["client", "gateway"])
@pytest.mark.parametrize(
    "families", [FAMILIES[0], *(pytest.param(each, marks=pytest.mark.thorough) for each in FAMILIES[1:])], ids=_families
)
@pytest.mark.parametrize("nat", [False, pytest.param(True, marks=pytest.mark.thorough)], ids=["plain", "nat"])
def test_no_ping_is_lost_while_both_ends_replace_both_kinds_of_keys(
    tmp_path: Path, role: str, families: Families, nat: bool
) -> None:
    with (
        Rig(ipv6=True, nat=(UP1, UP2) if nat else ()) as rig,
        _tunnel(rig, tmp_path, role, families) as (ours, strongswan),
    ):
        up = ours.wait_up()
        inside = INNER if families.inner == 4 else INNER6
        # A ping over IPv6 chooses its source when it starts, and keeps it: the route must be there by then.
        until(lambda: rig.ping(rig.client, inside, count=1).lost == 0, "the first ping is answered")
        with rig.pinger(rig.client, inside, interval=INTERVAL_S) as pinger:
            pinger.wait_replies(20)
            for _ in range(ROUNDS):
                for by in (ours, strongswan):
                    up = _child_replaced(ours, by, up)
                    pinger.wait_replies(10)
                    up = _keys_replaced(ours, by, up)
                    pinger.wait_replies(10)
            result = pinger.stop()
        told(f"{4 * ROUNDS} times new keys, mobike is {role}, {_families(families)}", result)
        assert (result.lost, result.duplicates) == (0, 0)
        assert ours.counters()["ike_sas_rekeyed"] == 2 * ROUNDS


def _child_replaced(ours: Mobike, by: Mobike | Charon, before: IkeSaDetail) -> IkeSaDetail:
    old = before.children[0].id
    if isinstance(by, Mobike):
        by.post(f"ike-sas/{before.sa.id}/rekey", {"children": True})
    else:
        by.rekey_child()
    return ours.wait_sa(
        lambda one: len(one.children) == 1 and one.children[0].id != old, "a new Child SA alone is left"
    )


def _keys_replaced(ours: Mobike, by: Mobike | Charon, before: IkeSaDetail) -> IkeSaDetail:
    if isinstance(by, Mobike):
        by.post(f"ike-sas/{before.sa.id}/rekey", {})
    else:
        by.rekey_ike()
    return ours.wait_sa(
        lambda one: one.sa.spi_i != before.sa.spi_i and len(one.children) == 1, "the IKE SA has new keys"
    )


@contextmanager
def _tunnel(rig: Rig, folder: Path, role: str, families: Families) -> Iterator[tuple[Mobike, Charon]]:
    remote = GW1.address if families.outer == 4 else GW1.address6
    inside, pool = (INNER_NET, POOL) if families.inner == 4 else (INNER6_NET, POOL6)
    if role == "client":
        asked = [f"ipv{families.inner}"]
        theirs = responder(pool=pool, inner=(inside,))
        tunnel = client_of_strongswan(rig, folder, theirs, remote=remote, virtual_ip=asked, remote_ts=[inside])
    else:
        vip = "0.0.0.0" if families.inner == 4 else "::"
        client = initiator(remote, vips=(vip,), inner=(inside,))
        tunnel = gateway_of_strongswan(rig, folder, client=client, local_ts=[inside], pool=[pool])
    with tunnel as ends:
        yield ends
