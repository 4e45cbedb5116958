"""Pools with names: the ranges of one, for all connections that lease from it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

from mobike.commands import LeasePool, Pool
from mobike.config.locate import Key
from mobike.config.models import ConnectionTable, PoolTable
from mobike.config.problems import nearest
from mobike.config.settings import Connection


def with_ranges(
    name: str, table: ConnectionTable, pools: Mapping[str, PoolTable], problem: Callable[[Key, str], None]
) -> ConnectionTable:
    """The connection as if it had the ranges of its pool itself."""
    if table.pool_from is None:
        return table
    key = ("connections", name, "pool_from")
    pool = pools.get(table.pool_from)
    if pool is None:
        problem(key, f"there is no [pools.{table.pool_from}]{nearest(table.pool_from, pools)}")
        return table
    if table.pool:
        problem(key, "is a second pool; give one of pool, pool_from")
    return table.model_copy(update={"pool": pool.ranges})


def with_orders(connection: Connection, table: ConnectionTable, pools: Mapping[str, PoolTable]) -> Connection:
    """What the core is to know of its pool beside the ranges."""
    if table.authorise is not None:
        connection = replace(connection, profile=replace(connection.profile, named_pools=_named(pools)))
    pool = None if table.pool_from is None else pools.get(table.pool_from)
    if pool is None:
        return connection
    return replace(connection, profile=replace(connection.profile, pool_name=table.pool_from, sticky=pool.sticky))


def _named(pools: Mapping[str, PoolTable]) -> tuple[LeasePool, ...]:
    """As an authoriser may name them."""
    return tuple(
        LeasePool(name, tuple(Pool(each.first, each.count) for each in table.ranges), table.sticky)
        for name, table in pools.items()
    )


def pools_apart(
    connections: Iterable[Connection], pools: Mapping[str, PoolTable], problem: Callable[[Key, str], None]
) -> None:
    """Each pool has its own ranges: one address leased twice would mix up two peers' traffic."""
    own = ((each.name, each.profile.pools) for each in connections if each.profile.pool_name is None)
    owners: list[tuple[str, Key, Iterable[Pool]]] = [
        *((f"the pool of {name}", ("connections", name, "pool"), ranges) for name, ranges in own),
        *((f"pool {name}", ("pools", name, "ranges"), table.ranges) for name, table in pools.items()),
    ]
    leased = sorted(
        (pool.first.version, int(pool.first), int(pool.first) + pool.count, whose, key)
        for whose, key, ranges in owners
        for pool in ranges
    )
    for (version, _, end, whose, _), (next_version, begin, _, _, key) in pairwise(leased):
        if version == next_version and begin < end:
            problem(key, f"overlaps {whose}")
