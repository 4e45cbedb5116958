"""What connections rest on: pools, certificates, and policies."""

from bisect import bisect_right
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Annotated

from fastapi import APIRouter, Query

from mobike.facade import Facade
from mobike.facade.books import Scope
from mobike.facade.inventory import PoolView
from mobike_api import lists
from mobike_api.deps import FacadeDep
from mobike_api.schemas_inventory import (
    Certificate,
    Certificates,
    InventoryQuery,
    Policies,
    Policy,
    Pool,
    PoolRange,
    Pools,
)
from mobike_api.scopes import needs

router = APIRouter(tags=["Inventory"])

Asked = Annotated[InventoryQuery, Query()]


@router.get("/pools", summary="List pools")
@needs(Scope.READ)
async def list_pools(facade: FacadeDep, query: Asked) -> Pools:
    """Inner addresses that peers may lease, and how many of them are leased. Made and changed in the files."""
    wanted = [each for each in facade.inventory.pools() if query.connection in {None, *each.connections}]
    leased = await _leased(facade, wanted) if wanted else []
    return Pools(items=tuple(_pool(pool, count) for pool, count in zip(wanted, leased, strict=True)))


@router.get("/certificates", summary="List certificates")
@needs(Scope.READ)
async def list_certificates(facade: FacadeDep, query: Asked) -> Certificates:
    """Those of the configuration in force: our own, and the authorities that are trusted. The first ends first."""
    every = facade.inventory.certificates()
    wanted = (each for each in every if query.connection in {None, *each.connections})
    return Certificates(items=tuple(map(Certificate.model_validate, wanted)))


@router.get("/policies", summary="List policies")
@needs(Scope.READ)
async def list_policies(facade: FacadeDep, query: Asked) -> Policies:
    """Who decides which pair the SAs of a connection use, by which rules; and what they carry."""
    every = facade.inventory.policies()
    return Policies(
        items=tuple(Policy.model_validate(each) for each in every if query.connection in {None, each.connection})
    )


async def _leased(facade: Facade, pools: Sequence[PoolView]) -> list[int]:
    """How many addresses of each. No two pools overlap; an address that RADIUS gave may be of none."""
    starts = sorted(
        (first.version, int(first), place, span.size)
        for place, pool in enumerate(pools)
        for span in pool.ranges
        for first in (ip_address(span.first),)
    )
    counts = [0] * len(pools)
    async for rows in lists.parts(lists.leases(facade, connection=None)):
        for ip in (ip_address(lease.ip) for _, lease in rows):
            at = bisect_right(starts, (ip.version, int(ip), len(pools))) - 1
            version, first, place, size = starts[at] if at >= 0 else (0, 0, 0, 0)
            counts[place] += version == ip.version and int(ip) - first < size
    return counts


def _pool(pool: PoolView, leased: int) -> Pool:
    return Pool(
        name=pool.name,
        connections=pool.connections,
        ranges=tuple(map(PoolRange.model_validate, pool.ranges)),
        sticky_s=pool.sticky_s,
        size=sum(each.size for each in pool.ranges),
        leased=leased,
    )
