"""Pools with names: who leases from them, and what contradicts."""

from ipaddress import ip_address

import pytest

from mobike.auth.visitors import Admit, Visitor
from mobike.commands import SECOND, LeasePool, Pool
from mobike.config import ConfigError, parse
from tests.config.judge import Judge

POOLS = """\
[pools.warriors]
ranges = ["10.9.0.0/24", "fd00:9::/120"]
sticky = "48h"
"""


def gateway(name: str, more: str) -> str:
    return f"""\
[connections.{name}]
role = "responder"
local_id = "gw.example.net"
remote_id = "*.{name}"
local_ts = ["10.1.0.0/16"]
psk = "correct horse battery staple"
{more}
"""


def test_connections_lease_from_one_pool_and_others_from_their_own() -> None:
    text = POOLS + gateway("a", 'pool_from = "warriors"') + gateway("b", 'pool_from = "warriors"')
    a, b, own = parse(text + gateway("c", 'pool = ["10.8.0.0/24"]'), Judge()).settings.connections
    for each in (a, b):
        assert (each.profile.pool_name, each.profile.sticky) == ("warriors", 48 * 3600 * SECOND)
        assert each.profile.pools == (Pool(ip_address("10.9.0.1"), 254), Pool(ip_address("fd00:9::1"), 255))
    assert (own.profile.pool_name, own.profile.sticky) == (None, 0)


def test_an_address_is_kept_for_a_day_unless_the_file_says_otherwise() -> None:
    text = '[pools.p]\nranges = ["10.9.0.0/24"]\n' + gateway("a", 'pool_from = "p"')
    (connection,) = parse(text, Judge()).settings.connections
    assert connection.profile.sticky == 24 * 3600 * SECOND


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        (gateway("a", 'pool_from = "none"'), "connections.a.pool_from", "there is no [pools.none]"),
        (POOLS + gateway("a", 'pool_from = "warriors"\npool = ["10.8.0.0/24"]'), "connections.a.pool_from", "second"),
        ('[pools.p]\nranges = ["10.9.0.0/24", "10.8.0.0/24"]\n', "pools.p.ranges", "one range of IPv4"),
        (POOLS + '[pools.q]\nranges = ["10.9.0.128/25"]\n', "pools.q.ranges", "overlaps pool warriors"),
        (POOLS + gateway("a", 'pool = ["10.9.0.8/29"]'), "connections.a.pool", "overlaps pool warriors"),
        ("[pools.p]\nranges = []\n", "pools.p.ranges", ""),
        ('[pools.p]\nrange = ["10.9.0.0/24"]\n', "pools.p.range", ""),
    ],
)
def test_what_contradicts_is_named_by_its_key(text: str, key: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, Judge())
    assert [each.message for each in caught.value.problems if each.key == key and message in each.message]


def test_an_authoriser_may_name_any_pool_with_a_name() -> None:
    door = f'authorise = "{AlwaysOpen.__module__}:AlwaysOpen"\npool_from = "warriors"'
    asked, other = parse(
        POOLS + gateway("a", door) + gateway("b", 'pool_from = "warriors"'), Judge()
    ).settings.connections
    ranges = (Pool(ip_address("10.9.0.1"), 254), Pool(ip_address("fd00:9::1"), 255))
    assert asked.profile.named_pools == (LeasePool("warriors", ranges, 48 * 3600 * SECOND),)
    assert other.profile.named_pools == ()


class AlwaysOpen:
    def judge(self, visitor: Visitor) -> Admit:
        return Admit()
