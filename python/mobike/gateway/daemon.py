"""One daemon: its parts made and joined from the settings, and taken apart in its end. `run` is around it."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import structlog

from mobike.address import Ip
from mobike.auth import Doorkeeper
from mobike.auth.eap import Talks
from mobike.commands import Profile, RemoveProfile, SetProfile
from mobike.config import Inner, LinkSource, Moves, PlaneKind, Settings
from mobike.dataplane.inner_net import InnerNet
from mobike.dataplane.planes import DataPlane, NullPlane, UserspacePlane
from mobike.dataplane.shields import Shields, Traps
from mobike.events import Event, IkeSaResumed, IkeSaUp, OperatorDown, Role
from mobike.facade import Facade
from mobike.fleet import Decided, Fleet, Note, Reconfiguration
from mobike.gateway import logs, making, parts
from mobike.gateway.attention import Attention
from mobike.gateway.capturer import Capturer
from mobike.gateway.chronicle import Chronicle
from mobike.gateway.desk import Desk
from mobike.gateway.editor import Desktop, Editor
from mobike.gateway.expiry import Expiry
from mobike.gateway.hooks import Hooks
from mobike.gateway.inventory import Stock
from mobike.gateway.journal import Journal
from mobike.gateway.keeper import Keeper
from mobike.gateway.leases import Leases
from mobike.gateway.meter import Meter
from mobike.gateway.opening import Opening
from mobike.gateway.origins import Origins
from mobike.gateway.shell import Shell
from mobike.gateway.steward import Staff, Steward
from mobike.gateway.tickets import TicketKeys
from mobike.gateway.tracing import Spans
from mobike.gateway.witness import Witness
from mobike.inner import echo
from mobike.link import Links
from mobike.link.manual import ManualLinks
from mobike.store import Store

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


log = structlog.get_logger()

INNER_PER_WAKE = 256
"""Inner packets answered before the loop gets on with other things."""
GOODBYE_S = 2.0
"""How long peers have to answer our deletes, and RADIUS servers our accounts, when the daemon ends."""
GOODBYE_STEP_S = 0.02
HOOKS_GOODBYE_S = 5.0
"""How long hooks that still run have, when the daemon ends."""

InnerHandler = Callable[[list[bytes]], list[bytes] | None]


class Daemon:
    """A running gateway or client. `async with` starts and ends it."""

    def __init__(self, opening: Opening, tracer: "Tracer | None" = None) -> None:
        self.settings = settings = opening.loaded.settings
        """Of the start. What may change since is the steward's."""
        self.stopping = asyncio.Event()
        self.on_inner: InnerHandler | None = echo.answers if settings.dataplane.inner is Inner.ECHO else None
        """Takes inner packets at the in-process port; what it returns goes back into the tunnels."""
        self._store = None if settings.store is None else Store(settings.store.file)
        self._store_key = making.read_store_key(settings, self._store)
        self._core = making.start_core(settings, self._store_key)
        self._fleet = Fleet(
            (connection.policy for connection in settings.connections),
            public=parts.public(settings),
            seed=secrets.randbits(64),
            turn_away=settings.redirect,
        )
        self._shields, self._traps = Shields(parts.shields(settings)), Traps(parts.shields(settings))
        self._inner_net = InnerNet(
            (connection.profile for connection in settings.connections),
            parts.remotes(settings),
            parts.redirects(settings),
        )
        self._device = making.xfrm_device(settings.dataplane)
        self._tun_name = settings.dataplane.tun if self._device is not None else self._core.tun_name()
        self._tun = None if self._tun_name is None else making.tun_network(self._tun_name, settings.dataplane)
        self._obey_scopes: Callable[[Settings], None] = lambda _: None
        self._plane = self._make_plane()
        door = self._make_door()
        self._accounts = door.servers.accounts
        self._tickets = TicketKeys(self._core, settings.ticket_keys, parts.ticket_lifetime(settings))
        self._leases = Leases(parts.sticky(settings))
        self._keeper = self._make_keeper()
        self._keeping: asyncio.Task[None] | None = None
        self._journal = Journal()
        self._origins = Origins(self._core.told_by)
        self._attention = Attention(self._fleet.row, self._journal_line, origin=self._origins.of_event)
        self._chronicle = Chronicle(self._journal, self._attention.level, self._origins.of_note)
        self._spans = None if tracer is None else Spans(tracer, self._fleet.row, origin=self._origins.of_event)
        self._hooks = Hooks(parts.hooks(settings))
        self._meter = Meter(self._fleet)
        self._witness = Witness(self._fleet, self._profiles)
        carried_here = settings.dataplane.kind is PlaneKind.USERSPACE
        self._capturer = Capturer(self._core, lambda sa: self._fleet.row(sa) is not None, carried_here=carried_here)
        self._links = self._make_links()
        self._shell = Shell(
            self._core,
            self._links,
            self._plane,
            self._fleet,
            self._watch,
            door=door,
            authorisers=parts.authorisers(settings),
        )
        self.steward = Steward(opening.loaded, self._staff(door))
        desktop = Desktop(opening.read, opening.assemble, opening.archive, self._sas, self._journal_line)
        self.editor = Editor(self.steward, opening.document, opening.standing, desktop)
        stock = Stock(lambda: self.steward.in_force.settings)
        self._expiry = Expiry(stock.terms, self._journal_line)
        self._virtual_ip: asyncio.Future[Ip] = asyncio.get_running_loop().create_future()
        self._stack = AsyncExitStack()
        self.facade: Facade = Desk(
            self._fleet,
            self._core,
            self._journal,
            carried=self._plane.carried,
            readings=self._meter.readings,
            attempts=self._witness.views,
            captures=self._capturer,
            log_levels=self._attention,
            hooks=lambda: {**self._hooks.counters(), **self._accounts.counters()},
            order=self._shell.order,
            catch_up=self._shell.catch_up,
            plug=self._plug if isinstance(self._links, ManualLinks) else None,
            troubles=self._troubles,
            inventory=stock,
            configuration=self.editor,
        )

    async def __aenter__(self) -> "Daemon":
        loop = asyncio.get_running_loop()
        self._stack.callback(self._core.stop)
        self._stack.callback(self._plane.close, keep=self._keeper is not None)
        self._core.submit([SetProfile(connection.profile) for connection in self.settings.connections])
        self._core.submit([self.settings.redirect])
        self._tickets.start()
        self._stack.callback(self._tickets.close)
        if self._device is not None:
            await self._device.make()
            self._stack.push_async_callback(self._device.remove)
        if self._tun is not None:
            await self._tun.start()
        self._raise_shields()
        if self._store is None:
            # A process that was killed may have left something, and nobody will adopt it.
            self._plane.remove_orphans()
        if self._tun is not None:
            self._tun.sweep(self._inner_net)
            self._stack.push_async_callback(self._close_tun)
        await self._links.start()
        self._stack.push_async_callback(self._links.close)
        for each in self.settings.links.manual:
            if not each.up:
                self._core.plug(each.ip, up=False)
        self._stack.callback(self._shell.close)
        inner_fd = self._core.inner_fd()
        if inner_fd is not None:
            loop.add_reader(inner_fd, self._take_inner)
            self._stack.callback(loop.remove_reader, inner_fd)
        if self._keeper is not None:
            self._keeper.resume()
            self._keeping = loop.create_task(self._keeper.keep())
        self._shell.start()
        self.editor.start()
        self._stack.callback(loop.create_task(self._expiry.watch()).cancel)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stopping.set()
        self.editor.close()
        await self._capturer.close()
        if self._keeper is None:
            await self._say_goodbye()
        else:
            await self._park(self._keeper)
        await self._hooks.close(HOOKS_GOODBYE_S)
        await self._stack.aclose()

    async def virtual_ip(self) -> Ip:
        """The first inner address that a peer gives us; waits for it."""
        return await asyncio.shield(self._virtual_ip)

    def send_inner(self, packets: Sequence[bytes]) -> int:
        """Put plain packets into the tunnels; how many were taken."""
        return self._core.inner_send(packets)

    def _make_links(self) -> Links:
        links = self.settings.links
        match links.source:
            case LinkSource.MANUAL:
                return ManualLinks((each.ip, each.link, each.up) for each in links.manual)
            case LinkSource.NETLINK:
                # pyroute2 takes a second to import, and only hosts that ask the kernel need it.
                from mobike.link.monitor import NetlinkMonitor  # noqa: PLC0415

                # The TUN device exists by now; its addresses are inside tunnels, not under them.
                name = self._tun_name
                return NetlinkMonitor(
                    self._wake,
                    () if name is None else (name,),
                    byways=links.source_routing,
                    keeps_byways=self.settings.store is not None,
                )

    def _wake(self) -> None:
        # The links are made before the shell that they wake.
        self._shell.wake()

    def _make_keeper(self) -> Keeper | None:
        if self._store is None or self._store_key is None or self.settings.store is None:
            return None
        keeper = Keeper(
            self._core,
            self._fleet,
            self._store,
            self.settings.store,
            leases=self._leases,
            accounts=self._accounts,
            servers=parts.servers(self.settings),
            tickets=self._tickets,
            key=self._store_key,
        )
        keeper.check()
        keeper.recall_tickets()
        return keeper

    def _make_door(self) -> Doorkeeper:
        talks = Talks(parts.talks(self.settings), secrets.token_bytes, self._plane.carried)
        authorised, pools = tuple(parts.authorisers(self.settings)), parts.pools(self.settings)
        return Doorkeeper(parts.trusts(self.settings), talks, authorised, pools)

    def _staff(self, door: Doorkeeper) -> Staff:
        def routes(settings: Settings) -> None:
            profiles = (connection.profile for connection in settings.connections)
            self._inner_net.obey(profiles, parts.remotes(settings), parts.redirects(settings))

        def shields(settings: Settings) -> None:
            self._obey_scopes(settings)
            self._shields.obey(parts.shields(settings))
            self._traps.obey(parts.shields(settings))
            self._raise_shields()

        def tickets(settings: Settings) -> None:
            self._tickets.obey(settings.ticket_keys, parts.ticket_lifetime(settings))

        def fleet(news: Reconfiguration) -> None:
            self._fleet.reconfigure(news)
            self._shell.wake()

        return Staff(
            core=self._core,
            fleet=fleet,
            door=door.obey,
            authorisers=self._shell.obey,
            hooks=self._hooks.obey,
            leases=self._leases.obey,
            routes=routes,
            shields=shields,
            tickets=tickets,
            logs=logs.change,
        )

    def _profiles(self) -> dict[str, Profile]:
        return {each.name: each.profile for each in self.steward.in_force.settings.connections}

    def _sas(self) -> dict[str, int]:
        return {each.name: each.sas for each in self._fleet.connections()}

    def _journal_line(self, kind: str, text: str) -> None:
        self._chronicle.write([Note(kind, text, (), None, None)])

    def _make_plane(self) -> DataPlane:
        match self.settings.dataplane.kind:
            case PlaneKind.USERSPACE:
                return UserspacePlane(self._core)
            case PlaneKind.KERNEL:
                return self._kernel_plane()
            case PlaneKind.NULL:
                return NullPlane()

    def _kernel_plane(self) -> DataPlane:
        # Netlink, which nobody else needs.
        from mobike.dataplane.xfrm.plane import XfrmPlane  # noqa: PLC0415
        from mobike.gateway.scopes import scopes_of  # noqa: PLC0415

        daemon = self.settings.daemon
        always_encap = self.settings.dataplane.always_encap
        interface = 0 if self._device is None else self.settings.dataplane.if_id
        plane = XfrmPlane.open(
            always_encap=always_encap,
            ike_port=daemon.ike_port,
            natt_port=daemon.natt_port,
            scopes=scopes_of(self.settings.connections, interface),
            restores=self.settings.dataplane.moves is Moves.RESTORE,
        )
        self._obey_scopes = lambda settings: plane.obey(scopes_of(settings.connections, interface))
        return plane

    def _watch(self, events: Sequence[Event], decided: Decided) -> None:
        self._origins.turn()
        self._attention.see(events, decided.commands)
        self._chronicle.write(decided.notes)
        self._meter.see(events, decided.notes)
        if self._spans is not None:
            self._spans.see(events, decided.commands)
        self._witness.see(events, decided)
        if self._keeper is not None:
            self._keeper.see(events)
        self._hooks.see(events, decided.notes)
        self._raise_shields()
        if self._tun is not None:
            self._tun.apply(self._inner_net.handle(events))
        if not self._virtual_ip.done():
            for event in events:
                up = event.up if isinstance(event, IkeSaResumed) else event
                if isinstance(up, IkeSaUp) and up.role is Role.INITIATOR and up.virtual_ips:
                    self._virtual_ip.set_result(up.virtual_ips[0])
                    break

    def _raise_shields(self) -> None:
        for change in self._shields.look(self._fleet.is_wanted):
            shield = change.shield
            log.info("shield.up" if change.up else "shield.down", connection=shield.connection)
            if change.up:
                self._plane.block(shield.connection, shield.traffic)
            else:
                self._plane.unblock(shield.connection)
            if self._tun is not None:
                self._tun.apply(self._inner_net.shield(change))
        for waiting in self._traps.look(self._fleet.waits_for_traffic):
            log.info("traffic.wanted", connection=waiting.connection)
            self._plane.wait_for(waiting.connection, waiting.traffic)

    def _take_inner(self) -> None:
        packets = self._core.inner_take(INNER_PER_WAKE)
        answers = None if self.on_inner is None else self.on_inner(packets)
        if answers:
            self._core.inner_send(answers)

    def _plug(self, ip: Ip, *, available: bool, announce: bool) -> None:
        if not isinstance(self._links, ManualLinks) or all(ip != known for known, _, _ in self._links.addresses()):
            raise KeyError(ip)
        self._core.plug(ip, up=available)
        if announce:
            self._links.set_available(ip, available=available)
            self._shell.wake()

    def is_whole(self) -> bool:
        """Do all shards run? One that has stopped comes back with another process only."""
        counts = self._core.counters()
        return counts["io_shards_running"] == counts["io_shards"]

    def _troubles(self) -> list[str]:
        troubles = []
        counts = self._core.counters()
        dead = counts["io_shards"] - counts["io_shards_running"]
        if dead:
            troubles.append(f"{dead} of {counts['io_shards']} shards have stopped: restart the daemon")
        if self._shell.failed_turns:
            troubles.append(f"{self._shell.failed_turns} turns failed: see the log, and restart the daemon")
        if self.steward.failed:
            untold = ", ".join(self.steward.failed)
            troubles.append(f"not told of the configuration in force: {untold}; see the log, and restart the daemon")
        if self.stopping.is_set():
            troubles.append("the daemon is ending")
        if self._fleet.draining:
            troubles.append(f"peers are sent on to {', '.join(self._fleet.draining)}")
        if not any(available for _, _, available in self._links.addresses()):
            troubles.append("no local address can be used")
        return troubles

    async def _park(self, keeper: Keeper) -> None:
        """The SAs go on in the next process: no more turns, no word to peers."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self._wait_goodbye(self._accounts_told)
        self._shell.close()
        # The core takes the TUN device with it; what was put there is taken back before.
        await self._close_tun(keep=True)
        await keeper.park()
        keeper.close()

    async def _say_goodbye(self) -> None:
        """Delete every SA, so that no peer waits for us; but not for ever. Nobody may come back in meanwhile."""
        connections = self.steward.in_force.settings.connections
        self._core.submit([RemoveProfile(connection.name) for connection in connections])
        for connection in connections:
            self._shell.order(OperatorDown(connection.name))
        await self._wait_goodbye(lambda: self._unended() == 0 and self._accounts_told())
        if left := self._unended():
            log.warning("daemon.goodbye", text=f"{left} SAs end without their peer's answer")
        if left := self._accounts.counters()["accounting_waiting"]:
            log.warning("daemon.goodbye", text=f"{left} accounts end without a RADIUS server's answer")

    def _unended(self) -> int:
        """IKE SAs that nobody has ended yet, or whose peers have yet to say that they know."""
        return self._fleet.page(None, 1).total or self._core.counters()["ike_sas_closing"]

    def _accounts_told(self) -> bool:
        return self._accounts.counters()["accounting_waiting"] == 0

    async def _wait_goodbye(self, done: Callable[[], bool]) -> None:
        for _ in range(round(GOODBYE_S / GOODBYE_STEP_S)):
            if done():
                return
            await asyncio.sleep(GOODBYE_STEP_S)

    async def _close_tun(self, *, keep: bool = False) -> None:
        tun, self._tun = self._tun, None
        if tun is not None:
            last = self._inner_net.everything(but_shields=keep)
            await tun.close(last, keep_rules=keep and self._shields.any_up)
