"""Namespaces, cables, routes, NAT and faults: the ground on which two daemons meet.

    client --up1-- c1 \\              / g1 --gw1-- gateway
                       >-- router --<                      lo: 10.77.0.1, fd00:77::1 (the net behind the gateway)
    client --up2-- c2 /              \\ g2 --gw2-- gateway

Each namespace has a name of its own per rig, so rigs may run side by side; device names repeat.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import NewType, Self

from tests.lab.uml import INSIDE

from . import forget_nat
from .ping import Pinger, PingResult, ping_argv
from .program import Program, run
from .waiting import until

Namespace = NewType("Namespace", str)

INNER = "10.77.0.1"
INNER_NET = "10.77.0.0/24"
INNER6 = "fd00:77::1"
INNER6_NET = "fd00:77::/64"

NAT_PORTS = 1000
"""Width of the range of ports a NAT maps to; each `flush_nat` moves on to the next range."""

NAT_FIRST_PORT = 20000

_serial = count()

_tables = count(200)
"""Routing tables that nobody else uses."""


@dataclass(frozen=True, slots=True)
class Cable:
    """A veth pair between a host and the router, and how the host routes over it."""

    device: str
    """Name at the host."""
    port: str
    """Name at the router."""
    host: IPv4Interface
    host6: IPv6Interface
    via: str
    via6: str
    table: int
    """Routing table for what leaves with this cable's address; also the metric of its default route."""

    @property
    def address(self) -> str:
        """The host's IPv4 address."""
        return str(self.host.ip)

    @property
    def address6(self) -> str:
        """The host's IPv6 address."""
        return str(self.host6.ip)


def _cable(names: tuple[str, str], nets: tuple[str, str], host: int, router: int, table: int) -> Cable:
    net, net6 = nets
    return Cable(
        device=names[0],
        port=names[1],
        host=IPv4Interface(f"{net}.{host}/24"),
        host6=IPv6Interface(f"{net6}::{host}/64"),
        via=f"{net}.{router}",
        via6=f"{net6}::{router}",
        table=table,
    )


UP1 = _cable(("up1", "c1"), ("10.1.1", "fd00:1:1"), host=2, router=1, table=101)
UP2 = _cable(("up2", "c2"), ("10.1.2", "fd00:1:2"), host=2, router=1, table=102)
GW1 = _cable(("gw1", "g1"), ("10.9.1", "fd00:9:1"), host=1, router=254, table=101)
GW2 = _cable(("gw2", "g2"), ("10.9.2", "fd00:9:2"), host=1, router=254, table=102)


class Rig:
    """The network of one test, built on entering the context and wholly gone after leaving it."""

    def __init__(
        self, *, gateway_links: int = 1, ipv4: bool = True, ipv6: bool = False, nat: Sequence[Cable] = ()
    ) -> None:
        """`nat` names the client's uplinks whose traffic the router translates to its own address."""
        if not ipv4 and not ipv6:
            raise ValueError("a rig needs at least one family")
        prefix = f"mbk-{os.getpid()}-{next(_serial)}"
        self.client = Namespace(f"{prefix}-client")
        self.router = Namespace(f"{prefix}-router")
        self.gateway = Namespace(f"{prefix}-gateway")
        self.uplinks = (UP1, UP2)
        self.gateway_links = (GW1, GW2)[:gateway_links]
        self.scratch = Path()
        self._families = tuple(family for family, wanted in ((4, ipv4), (6, ipv6)) if wanted)
        self._nat = tuple(nat)
        self._nat_round = 0
        self._programs: list[Program] = []
        self._logs = count()

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="mbk-rig-")
        self.scratch = Path(self._folder.name)
        try:
            self._build()
        except BaseException:
            self._tear_down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tear_down()

    # --- programs -----------------------------------------------------------------------------------------------------

    def run(
        self,
        ns: Namespace,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        check: bool = True,
        timeout: float = 30.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in `ns` to its end."""
        return run(["ip", "netns", "exec", ns, *argv], env=env, check=check, timeout=timeout)

    def spawn(
        self, ns: Namespace, argv: Sequence[str], env: Mapping[str, str] | None = None, *, log: Path | None = None
    ) -> Program:
        """Start a program in `ns`; it is stopped with the rig at the latest."""
        log = log or self.scratch / f"{next(self._logs)}-{Path(argv[0]).name}.log"
        program = Program(["ip", "netns", "exec", ns, *argv], log, env)
        self._programs.append(program)
        return program

    def ping(
        self,
        ns: Namespace,
        dst: str,
        count: int = 3,
        interval: float = 0.1,
        *,
        source: str | None = None,
        octets: int | None = None,
    ) -> PingResult:
        """Send `count` pings, `interval` seconds apart, and account for them; losses are no error here.

        More are sent while the last replies have not come: who counts packets elsewhere may find more than `count`.
        """
        with self.pinger(ns, dst, interval, source=source, count=count, octets=octets) as pinger:
            return pinger.finish(count, 2 * count * interval + 30)

    def pinger(
        self,
        ns: Namespace,
        dst: str,
        interval: float = 0.05,
        *,
        source: str | None = None,
        count: int | None = None,
        octets: int | None = None,
    ) -> Pinger:
        """Pings in the background until stopped."""
        return Pinger(self.spawn(ns, ping_argv(dst, count, interval, source, octets)))

    @contextmanager
    def capture(self, ns: Namespace, dev: str, path: Path, *filters: str) -> Iterator[Path]:
        """Write what passes `dev` to `path` (pcap); complete when the context is left."""
        sniffer = self.spawn(
            ns, ["tcpdump", "-Z", "root", "-n", "-U", "--immediate-mode", "-i", dev, "-w", str(path), *filters]
        )
        sniffer.wait_log("listening on")
        try:
            yield path
        finally:
            sniffer.stop(signal.SIGINT)

    # --- moves and faults ---------------------------------------------------------------------------------------------

    def link_down(self, ns: Namespace, dev: str) -> None:
        """Take a link down: the host is told, its routes go, its IPv6 addresses too."""
        _ip("-n", ns, "link", "set", dev, "down")

    def link_up(self, ns: Namespace, dev: str) -> None:
        """Bring a link back with its addresses and routes, as a network manager would."""
        self._configure(ns, self._cable_of(ns, dev))

    def addr_del(self, ns: Namespace, dev: str, address: str) -> None:
        """Remove an address; with the last of its family the default routes of the link go, as with a lost lease."""
        _ip("-n", ns, "address", "del", _with_prefix(ns, dev, address), "dev", dev)
        version = ip_address(address).version
        if version not in {ip_address(left).version for left in addresses(ns, dev)}:
            for table in ("main", str(self._cable_of(ns, dev).table)):
                _ip(f"-{version}", "-n", ns, "route", "flush", "default", "dev", dev, "table", table, check=False)

    def addr_add(self, ns: Namespace, dev: str, interface: str) -> None:
        """Add an address such as 10.1.1.7/24 to a link and route what leaves with it over that link."""
        cable = self._cable_of(ns, dev)
        given = ip_interface(interface)
        lines = (f"address add {interface} dev {dev} {_nodad(given.version)}", _rule(cable, given.version, given.ip))
        _batch(ns, *lines, *_routes(cable, given.version), version=given.version)

    def drop(
        self, ns: Namespace, src: str | None = None, dst: str | None = None, *, udp_port: int | None = None
    ) -> None:
        """A black hole in `ns`: what comes from `src` to `dst` (addresses or nets) vanishes, before any NAT."""
        if os.environ.get(INSIDE):
            self._drop_by_iptables(ns, src, dst, udp_port)
            return
        sides = ((src, "saddr"), (dst, "daddr"))
        match = " ".join(f"{_family(address)} {side} {address}" for address, side in sides if address)
        match += f" udp dport {udp_port}" if udp_port is not None else ""
        _nft(
            ns,
            f"""
            add table inet hole
            add chain inet hole in {{ type filter hook prerouting priority raw; }}
            add chain inet hole out {{ type filter hook output priority raw; }}
            add rule inet hole in {match} drop
            add rule inet hole out {match} drop
            """,
        )

    def drop_between(self, ns: Namespace, one: str, other: str) -> None:
        """A black hole in `ns` for both ways between two addresses, at one moment."""
        ways = ((one, other), (other, one))
        if os.environ.get(INSIDE):
            restore = "iptables-legacy-restore" if ip_address(one).version == 4 else "ip6tables-legacy-restore"
            rules = [f"-A PREROUTING -s {src} -d {dst} -j DROP" for src, dst in ways]
            run(["ip", "netns", "exec", ns, restore, "-n"], stdin="\n".join(["*raw", *rules, "COMMIT", ""]))
            return
        family = _family(one)
        rules = [f"add rule inet hole in {family} saddr {src} {family} daddr {dst} drop" for src, dst in ways]
        chain = "add chain inet hole in { type filter hook prerouting priority raw; }"
        _nft(ns, "\n".join(["add table inet hole", chain, *rules]))

    def drop_udp(self, ns: Namespace) -> None:
        """A firewall in `ns` that lets no UDP pass and tells nobody; `heal` takes it away."""
        _nft(
            ns,
            """
            add table inet hole
            add chain inet hole in { type filter hook prerouting priority raw; }
            add rule inet hole in meta l4proto udp drop
            """,
        )

    def unreachable(self, src: str, dst: str) -> None:
        """The router has no way from `src` to `dst` any more, and says so: ICMP host unreachable."""
        family = f"-{ip_address(src).version}"
        table = str(next(_tables))
        _ip(family, "-n", self.router, "route", "add", "unreachable", "default", "table", table)
        _ip(family, "-n", self.router, "rule", "add", "from", src, "to", dst, "table", table)

    def hush(self, cable: Cable) -> None:
        """The router on this cable of the client does not answer any more, not even for itself; the link stays up."""
        _ip("-n", self.router, "link", "set", cable.port, "arp", "off")
        _ip("-n", self.client, "neigh", "flush", "dev", cable.device)

    def heal(self, ns: Namespace) -> None:
        """Close every black hole of `ns`."""
        if os.environ.get(INSIDE):
            for tables in ("iptables-legacy", "ip6tables-legacy"):
                self.run(ns, [tables, "-t", "raw", "-F"])
            return
        _nft(ns, "add table inet hole\ndelete table inet hole")

    def flush_nat(self) -> None:
        """The NAT forgets every mapping, as after a reboot or a timeout; new ones get other ports."""
        self._translate()
        self.run(self.router, ["python3", forget_nat.__file__])

    # --- building -----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        sides = ((self.client, self.uplinks), (self.gateway, self.gateway_links))
        for ns in (self.client, self.router, self.gateway):
            _ip("netns", "add", ns)
            self.run(ns, ["sysctl", "-qw", *self._settings(ns)])
        _batch(self.router, "link set lo up", *(line for each in sides for line in self._ports(*each)))
        for ns, cables in sides:
            inner = [f"address add {each} dev lo" for each in self._inner] if ns == self.gateway else []
            _batch(ns, "link set lo up", *inner)
            for version in self._families:
                _batch(ns, *(_rule(cable, version) for cable in cables), version=version)
            self._configure(ns, *cables)
        if self._nat:
            self._translate()

    def _settings(self, ns: Namespace) -> list[str]:
        """Settings for "all" alone would not reach devices that are still to come."""
        forwarding = int(ns == self.router)
        each = [f"ipv6.conf.{{}}.disable_ipv6={int(6 not in self._families)}", "ipv6.conf.{}.accept_dad=0"]
        each += [f"ipv6.conf.{{}}.forwarding={forwarding}", "ipv4.conf.{}.rp_filter=0"]
        settings = [setting.format(scope) for scope in ("all", "default") for setting in each]
        return [f"net.{setting}" for setting in [*settings, f"ipv4.ip_forward={forwarding}"]]

    @property
    def _inner(self) -> list[str]:
        return [f"{INNER}/32" if version == 4 else f"{INNER6}/128" for version in self._families]

    def _ports(self, ns: Namespace, cables: Sequence[Cable]) -> Iterator[str]:
        """The router's ends of cables to `ns`."""
        for cable in cables:
            yield f"link add {cable.port} type veth peer name {cable.device} netns {ns}"
            for version in self._families:
                via = f"{cable.via}/24" if version == 4 else f"{cable.via6}/64 nodad"
                yield f"address add {via} dev {cable.port}"
            yield f"link set {cable.port} up"

    def _configure(self, ns: Namespace, *cables: Cable) -> None:
        """Bring links up, with addresses and routes."""
        lines = [f"link set {cable.device} up" for cable in cables]
        for cable in cables:
            for version in self._families:
                interface = cable.host if version == 4 else cable.host6
                lines.append(f"address replace {interface} dev {cable.device} {_nodad(version)}")
        _batch(ns, *lines)
        # Both ends of a cable see it at their own time; a route over one that is not yet running may not be used.
        names = {cable.device for cable in cables}
        until(lambda: names <= _running(ns), f"{names} run")
        _batch(ns, *(line for cable in cables for version in self._families for line in _routes(cable, version)))

    def _translate(self) -> None:
        """Write the NAT rules anew, for the next range of ports."""
        first = NAT_FIRST_PORT + NAT_PORTS * (self._nat_round % 40)
        self._nat_round += 1
        nets = [net for cable in self._nat for net in self._nets(cable)]
        ports = f"{first}-{first + NAT_PORTS - 1}"
        if os.environ.get(INSIDE):
            self._translate_by_iptables(nets, ports)
            return
        sources = [f"add rule inet nat out {_family(net)} saddr {net}" for net in nets]
        udp = "\n".join(f"{source} meta l4proto udp masquerade to :{ports}" for source in sources)
        rest = "\n".join(f"{source} masquerade" for source in sources)
        # A real NAT is silent towards what has no mapping; without the drop the router would send ICMP errors.
        _nft(
            self.router,
            f"""
            add table inet nat
            delete table inet nat
            add table inet nat
            add chain inet nat out {{ type nat hook postrouting priority srcnat; }}
            add chain inet nat stray {{ type filter hook input priority filter; }}
            add rule inet nat stray iifname {{ "g1", "g2" }} meta l4proto udp drop
            {udp}
            {rest}
            """,
        )

    def _translate_by_iptables(self, nets: Sequence[str], ports: str) -> None:
        """The same in the lab, whose kernel knows no NAT of nftables. At once: nothing passes between old and new."""
        for version, restore in ((4, "iptables-legacy-restore"), (6, "ip6tables-legacy-restore")):
            mine = [f"-A POSTROUTING -s {net}" for net in nets if ip_interface(net).version == version]
            udp = [f"{rule} -p udp -j MASQUERADE --to-ports {ports}" for rule in mine]
            rules = [*udp, *(f"{rule} -j MASQUERADE" for rule in mine)]
            script = "\n".join(["*nat", *rules, "COMMIT", ""])
            run(["ip", "netns", "exec", self.router, restore], stdin=script)

    def _drop_by_iptables(self, ns: Namespace, src: str | None, dst: str | None, udp_port: int | None) -> None:
        version = next((ip_interface(each).version for each in (src, dst) if each), 4)
        match = [word for flag, each in (("-s", src), ("-d", dst)) if each for word in (flag, each)]
        match += [] if udp_port is None else ["-p", "udp", "--dport", str(udp_port)]
        for chain in ("PREROUTING", "OUTPUT"):
            tables = "iptables-legacy" if version == 4 else "ip6tables-legacy"
            self.run(ns, [tables, "-t", "raw", "-A", chain, *match, "-j", "DROP"])

    def _nets(self, cable: Cable) -> list[str]:
        return [str((cable.host if version == 4 else cable.host6).network) for version in self._families]

    def _cable_of(self, ns: Namespace, dev: str) -> Cable:
        cables = self.uplinks if ns == self.client else self.gateway_links
        return next(cable for cable in cables if cable.device == dev)

    # --- tearing down -------------------------------------------------------------------------------------------------

    def _tear_down(self) -> None:
        for program in reversed(self._programs):
            program.stop()
        for ns in (self.client, self.router, self.gateway):
            _end_strays(ns)
            _ip("netns", "del", ns, check=False)
        self._folder.cleanup()


def addresses(ns: Namespace, dev: str) -> list[str]:
    """The addresses of a device, without those of the link alone."""
    return [entry.split("/")[0] for entry in _interfaces(ns, dev)]


def _interfaces(ns: Namespace, dev: str) -> list[str]:
    shown = json.loads(_ip("-j", "-n", ns, "address", "show", "dev", dev, "scope", "global"))
    # What the scope leaves out is shown as an empty object.
    infos = [info for device in shown for info in device.get("addr_info", ()) if info]
    return [f"{info['local']}/{info['prefixlen']}" for info in infos]


def _with_prefix(ns: Namespace, dev: str, address: str) -> str:
    wanted = ip_address(address)
    return next(entry for entry in _interfaces(ns, dev) if ip_interface(entry).ip == wanted)


def _running(ns: Namespace) -> set[str]:
    return {link["ifname"] for link in json.loads(_ip("-j", "-n", ns, "link", "show")) if "LOWER_UP" in link["flags"]}


def _rule(cable: Cable, version: int, source: IPv4Address | IPv6Address | None = None) -> str:
    usual = cable.address if version == 4 else cable.address6
    return f"rule add from {source or usual} table {cable.table}"


def _routes(cable: Cable, version: int) -> Iterator[str]:
    default = f"route replace default via {cable.via if version == 4 else cable.via6} dev {cable.device}"
    yield f"{default} metric {cable.table}"
    yield f"{default} table {cable.table}"


def _end_strays(ns: Namespace) -> None:
    """End what programs of ours left behind in `ns`: a namespace lives as long as somebody is in it."""
    for pid in run(["ip", "netns", "pids", ns], check=False).stdout.split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def _family(address: str) -> str:
    return "ip" if ip_interface(address).version == 4 else "ip6"


def _nodad(version: int) -> str:
    """An IPv6 address is of use at once: duplicate detection would cost a second and prove nothing here."""
    return "" if version == 4 else "nodad"


def _ip(*words: str, check: bool = True) -> str:
    return run(["ip", *words], check=check).stdout


def _batch(ns: Namespace, *lines: str, version: int | None = None) -> None:
    """Many at once: each program that is started costs milliseconds, and a test wants dozens of settings."""
    family = [] if version is None else [f"-{version}"]
    run(["ip", *family, "-n", ns, "-batch", "-"], stdin="\n".join(lines))


def _nft(ns: Namespace, script: str) -> None:
    run(["ip", "netns", "exec", ns, "nft", "-f", "-"], stdin=script)
