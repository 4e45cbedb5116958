"""Carries out what `byways` wants of rules and routing tables, through pyroute2."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from socket import AF_INET, AF_INET6
from typing import Any

import structlog
from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from mobike.address import Ip
from mobike.link.byways import FIRST_TABLE, PRIORITY, Nexthop, WayChange, WayFact, WayRoute, WayRule

log = structlog.get_logger()

ALREADY_SO = frozenset({17, 2, 3, 19})
"""EEXIST when something is added; ENOENT, ESRCH and ENODEV when it is taken away: it is as we want it."""
NOT_PERMITTED = frozenset({1, 13})
"""EPERM, EACCES."""
FIB_MATCH = 0x2000
"""RTM_F_FIB_MATCH of linux/rtnetlink.h: name the entry that matched, or say that none did. Without it the kernel takes
everybody to be a neighbour on a link that has no route at all."""
ONLINK = 0x04
"""RTNH_F_ONLINK: the kernel has just named this neighbour, so it need not look for it again."""
TABLES = 1 << 16
"""Indexes of links that have a table of ours."""


class Paver:
    """Asks for ways and makes them."""

    def __init__(self, ipr: AsyncIPRoute) -> None:
        self._ipr = ipr
        self._permitted = True

    async def beside(self, remote: Ip, links: Sequence[int]) -> Nexthop | None:
        """How this host reaches `remote` over one of these links, whatever we made; None: it does not."""
        for link in links if self._permitted else ():
            try:
                await self._ipr.route("get", dst=str(remote), oif=link, flags=FIB_MATCH)
                routes = await self._ipr.route("get", dst=str(remote), oif=link)
            except NetlinkError:
                continue
            for route in routes:
                return Nexthop(link, _gateway_of(route))
        return None

    async def carry_out(self, changes: Iterable[WayChange]) -> None:
        """In order; one that the kernel refuses is said."""
        for change in changes:
            try:
                await self._carry_out(change)
            except NetlinkError as error:
                if error.code in NOT_PERMITTED:
                    self._permitted = False
                    log.warning("byway.not_permitted", text="without CAP_NET_ADMIN packets leave by the host's best "
                                "route, whatever address they are from: see source_routing in [links]")  # fmt: skip
                    return
                if error.code not in ALREADY_SO:
                    log.error("byway.refused", fact=str(change.fact), wanted=change.wanted, why=str(error))
            else:
                log.info("byway.made" if change.wanted else "byway.removed", fact=str(change.fact))

    async def left(self) -> list[WayFact]:
        """What an earlier process made."""
        found: list[WayFact] = []
        for family in (AF_INET, AF_INET6):
            async for rule in await self._ipr.get_rules(family=family):
                source, remote = rule.get_attr("FRA_SRC"), rule.get_attr("FRA_DST")
                link = int(rule.get_attr("FRA_TABLE") or 0) - FIRST_TABLE
                if rule.get_attr("FRA_PRIORITY") == PRIORITY and source and remote and 0 < link < TABLES:
                    found.append(WayRule(link, ip_address(source), ip_address(remote)))
        for link in {fact.link for fact in found}:
            for family in (AF_INET, AF_INET6):
                async for route in await self._ipr.get_routes(family=family, table=FIRST_TABLE + link):
                    if (remote := route.get_attr("RTA_DST")) is not None:
                        found.append(WayRoute(link, ip_address(remote), _gateway_of(route)))
        return found

    async def _carry_out(self, change: WayChange) -> None:
        match change.fact:
            case WayRoute(link, remote, gateway):
                parameters: dict[str, object] = {"dst": f"{remote}/{remote.max_prefixlen}", "oif": link}
                if gateway is not None and gateway.version == remote.version:
                    parameters |= {"gateway": str(gateway), "flags": ONLINK}
                elif gateway is not None:
                    parameters |= {"via": {"family": AF_INET6, "addr": str(gateway)}, "flags": ONLINK}
                do = "replace" if change.wanted else "del"
                await self._ipr.route(do, table=FIRST_TABLE + link, **parameters)
            case WayRule(link, local, remote):
                await self._ipr.rule(
                    "add" if change.wanted else "del",
                    family=AF_INET if remote.version == 4 else AF_INET6,
                    src=str(local), src_len=local.max_prefixlen,
                    dst=str(remote), dst_len=remote.max_prefixlen,
                    table=FIRST_TABLE + link, priority=PRIORITY,
                )  # fmt: skip


def _gateway_of(route: Mapping[str, Any]) -> Ip | None:
    attributes = dict(route["attrs"])
    via = attributes.get("RTA_VIA")
    text = attributes.get("RTA_GATEWAY") or (via["addr"] if via else None)
    return None if text is None else ip_address(text)
