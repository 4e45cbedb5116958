"""The sockets of rtnetlink: one listens for changes, one asks for dumps and routes."""

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine, Sequence
from functools import partial

import structlog
from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import (
    RTMGRP_IPV4_IFADDR,
    RTMGRP_IPV4_ROUTE,
    RTMGRP_IPV6_IFADDR,
    RTMGRP_IPV6_ROUTE,
    RTMGRP_LINK,
)
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from mobike.address import Ip, Pair
from mobike.events import AddressRemoved, LinkEvent, RouteAnswer
from mobike.link.byways import Byways, WayChange
from mobike.link.paver import Paver
from mobike.link.table import LinkTable
from mobike.link.wire import Fact, fact_of, output_of

log = structlog.get_logger()

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Octets of kernel queue: a burst of a whole routing table must not cost us an address event."""
READ_SIZE = 256 * 1024
READS_PER_WAKE = 64
"""So that a routing storm cannot keep the loop from its other work."""
RULES = 1 << 7 | 1 << 18
"""Groups RTNLGRP_IPV4_RULE and RTNLGRP_IPV6_RULE (linux/rtnetlink.h): which table is asked changes routes too."""
GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RULES


LEFT_FOR_S = 30.0
"""Until ways of an earlier process that nobody asked for again are taken away."""


class NetlinkMonitor:
    """Keeps a LinkTable true, and byways where they are needed. `wake` is called when `take` has something."""

    def __init__(
        self,
        wake: Callable[[], None],
        own_tunnels: Sequence[str] = (),
        *,
        byways: bool = False,
        keeps_byways: bool = False,
    ) -> None:
        """`keeps_byways`: they outlive this process, as what goes over them does."""
        self._wake = wake
        self._table = LinkTable(own_tunnels)
        self._events: list[LinkEvent] = []
        self._marshal = MarshalRtnl()
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self._ask = AsyncIPRoute()
        self._own_indexes: frozenset[int] = frozenset()
        self._tasks: set[asyncio.Task[None]] = set()
        self._paver = Paver(self._ask) if byways else None
        self._byways = Byways()
        self._paving = asyncio.Lock()
        self._keeps_byways = keeps_byways
        self._settling: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._socket.bind((0, GROUPS))
        # Listen before dumping: a change in between is then seen twice rather than never.
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)
        await self._resync()
        if self._paver is not None:
            self._byways.remember(await self._paver.left())
            self._settling = asyncio.get_running_loop().call_later(
                LEFT_FOR_S, lambda: self._spawn(self._pave(self._byways.settle))
            )

    def take(self) -> list[LinkEvent]:
        events, self._events = self._events, []
        return events

    def addresses(self) -> tuple[tuple[Ip, str, bool], ...]:
        return self._table.addresses()

    def ask_route(self, pair: Pair) -> None:
        self._spawn(self._answer_route(pair))

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        if self._settling is not None:
            self._settling.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self._keeps_byways:
            await self._pave(self._byways.everything)
        self._ask.close()

    def _readable(self) -> None:
        facts: list[Fact] = []
        for _ in range(READS_PER_WAKE):
            try:
                data = self._socket.recv(READ_SIZE)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                log.warning("netlink.overrun", text="the kernel dropped link news; asking for the whole truth")
                self._spawn(self._resync())
                break
            facts += [fact for message in self._marshal.parse(data) if (fact := fact_of(message)) is not None]
        self._publish(self._table.handle(facts))

    async def _resync(self) -> None:
        facts: list[Fact] = []
        for ask in (self._ask.link, self._ask.addr):
            # One dump at a time: the kernel answers EBUSY to a second one on the same socket.
            facts += [fact async for message in await ask("dump") if (fact := fact_of(message)) is not None]
        self._publish(self._table.replace(facts))

    async def _answer_route(self, pair: Pair) -> None:
        outputs = await self._outputs(pair)
        if outputs and self._paver is not None and not self._table.is_own_tunnel(outputs[0]):
            links = self._table.links_of(pair.local)
            async with self._paving:
                if self._byways.is_needed(pair, links, outputs[0]):
                    beside = await self._paver.beside(pair.remote, links)
                    changes = self._byways.choose(pair, beside, holds=outputs[0] in links)
                    await self._paver.carry_out(changes)
                    outputs = await self._outputs(pair)
        into_tunnel = any(map(self._table.is_own_tunnel, outputs))
        self._publish([RouteAnswer(pair, bool(outputs) and not into_tunnel, into_tunnel)])

    async def _outputs(self, pair: Pair) -> list[int]:
        """The links that a packet of this pair may leave by; none: it cannot."""
        try:
            routes = await self._ask.route("get", dst=str(pair.remote), src=str(pair.local))
        except NetlinkError:
            # ENETUNREACH, EHOSTUNREACH, EINVAL (the source is not ours any more): all mean "not from there".
            return []
        return list(map(output_of, routes))

    async def _pave(self, decide: Callable[[], list[WayChange]]) -> None:
        if self._paver is not None:
            async with self._paving:
                await self._paver.carry_out(decide())

    def _publish(self, events: Sequence[LinkEvent]) -> None:
        for event in events:
            if isinstance(event, AddressRemoved) and not self._table.links_of(event.ip):
                self._spawn(self._pave(partial(self._byways.lose, event.ip)))
        if events:
            self._events += events
            self._wake()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
