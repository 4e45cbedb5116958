"""On to another gateway (RFC 5685): the rules about these keys, and what becomes of them."""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from types import MappingProxyType

from mobike.commands import SERVE_ALL, TurnAway
from mobike.config.locate import Key
from mobike.config.models import ConnectionTable, RedirectTable
from mobike.policy.redirects import FollowRule


def of_redirects(table: ConnectionTable) -> Iterator[tuple[str, str]]:
    """What contradicts, by key."""
    if table.role == "initiator" and table.redirect:
        yield "redirect", "only a responder sends its peers on; see follow_redirects"
    for key in ("follow_redirects", "redirect_names"):
        if table.role == "responder" and getattr(table, key):
            yield key, "only an initiator is sent on; see redirect"


def follow_rule(table: ConnectionTable) -> FollowRule:
    names = {name: tuple(ips) for name, ips in table.redirect_names.items()}
    return FollowRule(tuple(map(ip_network, table.follow_redirects)), MappingProxyType(names))


def turn_away(table: RedirectTable, problem: Callable[[Key, str], None]) -> TurnAway:
    """Who is sent on from the start; what contradicts is told to `problem`."""
    if (table.when == "never") == bool(table.to):
        problem(("redirect", "to"), 'goes with when = "always" or "load", and those with it')
    match table.when:
        case "never":
            return SERVE_ALL
        case "always":
            return TurnAway(tuple(table.to), 0)
        case "load":
            return TurnAway(tuple(table.to), table.at)
