"""Carries out what `inner_net` wants of the TUN device and of the routing tables, through pyroute2."""

import asyncio
from collections.abc import Container, Mapping, Sequence
from ipaddress import ip_address, ip_network
from socket import AF_INET, AF_INET6
from typing import Any

import structlog
from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from mobike.address import Ip
from mobike.dataplane.inner_net import Change, InnerAddress, InnerBlock, InnerFact, InnerRoute, OuterExemption

log = structlog.get_logger()

TUNNEL_TABLE = 4555
"""The routing table of routes into tunnels."""
EXEMPT_PRIORITY = 4554
"""Rules that send a peer's own address around the tunnels come before ..."""
TUNNEL_PRIORITY = 4555
"""... the rule that looks into the table of tunnels, which comes before the main table's (32766)."""
MAIN_TABLE = 254
LAST_RESORT = 0x7FFF_FFFF
"""The metric of routes that lead nowhere: any other of the same prefix comes before."""
IFA_F_NODAD = 0x02
"""Of linux/if_addr.h."""
HEADERS = {4: 40, 6: 60}
"""Octets of IP and TCP around a segment, without options."""
ALREADY_SO = frozenset({17, 2, 3, 99})
"""EEXIST when something is added; ENOENT, ESRCH and EADDRNOTAVAIL when it is taken away: it is as we want it."""


def exempted(rule: Mapping[str, Any]) -> Ip | None:
    """The address that this rule sends around the tunnels, if it is one of ours; others may have the same priority."""
    attributes = dict(rule["attrs"])
    where, to = (attributes.get(name) for name in ("FRA_TABLE", "FRA_DST"))
    if (attributes.get("FRA_PRIORITY"), where) != (EXEMPT_PRIORITY, MAIN_TABLE) or to is None or rule["src_len"]:
        return None
    ip = ip_address(to)
    return ip if rule["dst_len"] == ip.max_prefixlen else None


class TunNetwork:
    """Addresses, routes and rules of one TUN device, changed in order, one batch after another."""

    def __init__(self, device: str, told_mtu: int | None = None) -> None:
        """`told_mtu`: what peers of our TCP may send at once, where the kernel would go by the link outside."""
        self._device = device
        self._told_mtu = told_mtu
        self._ipr = AsyncIPRoute()
        self._index = 0
        self._queue: asyncio.Queue[Sequence[Change]] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._left: dict[InnerFact, None] = {}
        """What a process that crashed left here; routes into its TUN device went with that."""

    async def start(self) -> None:
        """Find the device and put the rule in place that looks into our table."""
        found = await self._ipr.link_lookup(ifname=self._device)
        if not found:
            raise OSError(f"there is no network device {self._device}: did the core make its TUN?")
        self._index = found[0]
        for family, anywhere in ((AF_INET, "0.0.0.0/0"), (AF_INET6, "::/0")):
            async for route in await self._ipr.get_routes(family=family, table=TUNNEL_TABLE):
                if route.get_attr("RTA_PRIORITY") == LAST_RESORT:
                    prefix = route.get_attr("RTA_DST")
                    network = anywhere if prefix is None else f"{prefix}/{route['dst_len']}"
                    self._left[InnerBlock(ip_network(network))] = None
            async for rule in await self._ipr.get_rules(family=family):
                if (ip := exempted(rule)) is not None:
                    self._left[OuterExemption(ip)] = None
            await self._quietly("rule", "add", table=TUNNEL_TABLE, priority=TUNNEL_PRIORITY, family=family)
        self._worker = asyncio.get_running_loop().create_task(self._work())

    def apply(self, changes: Sequence[Change]) -> None:
        """Queue one batch; returns at once."""
        if changes:
            self._queue.put_nowait(changes)

    def sweep(self, wanted: Container[InnerFact]) -> None:
        """Take away what an earlier process left, but for what is wanted again."""
        left, self._left = self._left, {}
        self.apply([Change(fact, wanted=False) for fact in left if fact not in wanted])

    async def close(self, last: Sequence[Change], *, keep_rules: bool = False) -> None:
        """Carry out what is queued, then `last`, then take our rules away, unless something stays that needs them."""
        self.apply(last)
        if self._worker is not None:
            await self._queue.join()
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        for family in () if keep_rules else (AF_INET, AF_INET6):
            await self._quietly("rule", "del", table=TUNNEL_TABLE, priority=TUNNEL_PRIORITY, family=family)
        self._ipr.close()

    async def _work(self) -> None:
        while True:
            for change in await self._queue.get():
                await self._carry_out(change)
            self._queue.task_done()

    async def _carry_out(self, change: Change) -> None:
        do = "add" if change.wanted else "del"
        match change.fact:
            case InnerAddress(ip):
                bits = ip.max_prefixlen
                # No route may prefer an IPv6 address that is still looked for elsewhere; nobody else has a leased one.
                flags = {"flags": IFA_F_NODAD} if ip.version == 6 and change.wanted else {}
                await self._quietly("addr", do, index=self._index, address=str(ip), prefixlen=bits, **flags)
            case InnerRoute(network, source):
                preferred = {} if source is None else {"prefsrc": str(source)}
                # Of two tunnels to one prefix the newer has the route; that of the older differs in its source.
                do = "replace" if change.wanted else "del"
                sizes = self._sizes(network.version) if change.wanted else {}
                await self._quietly(
                    "route", do, dst=str(network), oif=self._index, table=TUNNEL_TABLE, **preferred, **sizes
                )
            case InnerBlock(network):
                nowhere: dict[str, str | int] = {"type": "unreachable", "priority": LAST_RESORT, "table": TUNNEL_TABLE}
                await self._quietly("route", do, dst=str(network), **nowhere)
            case OuterExemption(ip):
                family = AF_INET if ip.version == 4 else AF_INET6
                await self._quietly(
                    "rule", do, dst=str(ip), dst_len=ip.max_prefixlen, table=MAIN_TABLE, priority=EXEMPT_PRIORITY,
                    family=family,
                )  # fmt: skip

    def _sizes(self, version: int) -> dict[str, dict[str, int]]:
        return {} if self._told_mtu is None else {"metrics": {"advmss": self._told_mtu - HEADERS[version]}}

    async def _quietly(self, what: str, do: str, **parameters: str | int | dict[str, int]) -> None:
        try:
            await getattr(self._ipr, what)(do, **parameters)
        except NetlinkError as error:
            if error.code not in ALREADY_SO:
                log.error("tun.refused", what=what, do=do, why=str(error), **parameters)
