"""What comes out of a configuration: frozen, complete, checked. No text is left to be parsed behind this point."""

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final, NamedTuple

from mobike.address import Ip
from mobike.auth.eap import Orders
from mobike.auth.trust import Trust
from mobike.auth.visitors import Authoriser
from mobike.commands import SERVE_ALL, Profile, TurnAway
from mobike.policy.connection import ConnectionPolicy
from mobike.policy.links import LinkRule
from mobike.selector import Traffic


class LogFormat(Enum):
    """How the log is written."""

    CONSOLE = "console"
    JSON = "json"


class PlaneKind(Enum):
    """Who carries inner traffic."""

    USERSPACE = "userspace"
    """ESP in our own process."""
    KERNEL = "kernel"
    """The kernel (XFRM), programmed by netlink. It needs CAP_NET_ADMIN."""
    NULL = "null"
    """Nobody: Child SAs are agreed and counted, packets go nowhere (for measuring IKE alone)."""


class Inner(Enum):
    """Where inner packets come from and go to."""

    TUN = "tun"
    PORT = "port"
    """The in-process port of the core."""
    ECHO = "echo"
    """Each inner packet is answered in process: pings work without root."""
    XFRM = "xfrm"
    """An XFRM interface, as a TUN device would be."""
    NONE = "none"


class Moves(Enum):
    """How SAs of a kernel get to another address."""

    AUTO = "auto"
    """By the best that it can."""
    RESTORE = "restore"
    """Removed and added again, with keys and counters read from it: where its own way is not to be trusted."""


class LinkSource(Enum):
    """Who says which local addresses there are."""

    NETLINK = "netlink"
    MANUAL = "manual"
    """The configuration, and then the API: for demos and tests on loopback."""


CONFIG_KEY: Final = "config.key"
"""In state_dir: the key that seals configurations, unless they name another place."""


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """The process."""

    state_dir: Path
    listen: tuple[Ip, ...] = (IPv4Address("0.0.0.0"), IPv6Address("::"))  # noqa: S104 - a gateway answers everywhere
    ike_port: int = 500
    natt_port: int = 4500
    shards: int = 1
    log_level: str = "info"
    log_format: LogFormat = LogFormat.CONSOLE
    config_key_file: Path | None = None
    """Of the key that seals configurations; None: beside them. Made at the first start where it is not there."""
    config_key: str | None = field(default=None, repr=False)
    """The key itself, from the environment."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """TLS of the management API on TCP."""

    certificate: Path
    key: Path
    client_ca: Path | None
    clients: tuple[tuple[str, str], ...]
    """Names in certificates, and the scopes of those who show them."""


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Who is told of events."""

    name: str
    url: str
    secret: bytes = field(repr=False)
    """Signs what is told."""
    events: tuple[str, ...] = ("*",)
    """Kinds, `*` for any part of one."""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where the management API listens."""

    socket: Path | None
    """None: no Unix socket."""
    tcp: tuple[str, int] | None
    """An address and its port, of loopback if there is no TLS; None: no TCP."""
    token_file: Path
    books: Path
    """Tokens that were given out, and the record of changes."""
    tls: TlsSettings | None = None
    webhooks: tuple[WebhookSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class DataplaneSettings:
    """Who carries inner traffic, and from where."""

    kind: PlaneKind = PlaneKind.USERSPACE
    inner: Inner = Inner.TUN
    tun: str = "mobike0"
    mtu: int = 1400
    if_id: int = 4555
    """Of the XFRM interface, where inner packets go by one."""
    always_encap: bool = True
    """Wrap ESP in UDP also where no NAT was seen: a userspace plane has no raw sockets, and firewalls may drop ESP."""
    moves: Moves = Moves.AUTO


@dataclass(frozen=True, slots=True)
class ManualAddress:
    """A local address that is said and not found."""

    ip: Ip
    link: str
    up: bool
    """Plugged in at the start."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Which local addresses may be used."""

    source: LinkSource = LinkSource.NETLINK
    source_routing: bool = True
    """What leaves with an address leaves over its link, whichever has the better default route."""
    manual: tuple[ManualAddress, ...] = ()
    rules: tuple[LinkRule, ...] = ()
    """The operator's order; every connection that has no rules of its own keeps to it."""


@dataclass(frozen=True, slots=True)
class PrefixSettings:
    """What strangers from one prefix may cost: a unit for each IKE_SA_INIT served; who authenticates gives it back."""

    v4: int = 32
    v6: int = 64
    network_v4: int = 24
    network_v6: int = 48
    cookie_threshold: int = 16
    """Units from which on a cookie must be returned."""
    max: int = 256
    """Units from which on nobody is served."""
    network_times: int = 8
    """A network may owe so many times what a site may."""
    forgiven_per_second: int = 4
    failure_costs: int = 7
    """Units that a failed authentication costs besides."""
    tracked: int = 4096
    """Prefixes that are remembered."""


@dataclass(frozen=True, slots=True)
class PuzzleSettings:
    """When strangers must solve puzzles (RFC 8019). Difficulties are zero bits."""

    threshold: int = 1024
    """Half-open IKE SAs from which on everybody must."""
    easiest: int = 12
    hardest: int = 18
    """At the limit; 0: no puzzles."""
    unsolved_per_second: int = 20
    """Served each second without: older clients know no puzzles."""
    auth_threshold: int = 2048
    """Half-open IKE SAs from which on who solved one must solve another ahead of what follows IKE_SA_INIT."""


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """What strangers may cost."""

    cookie_threshold: int = 64
    max_half_open: int = 4096
    max_ike_sas: int = 1 << 20
    prefix: PrefixSettings = PrefixSettings()
    puzzle: PuzzleSettings = PuzzleSettings()
    hardest_solved: int = 20
    """As initiator: puzzles beyond are not solved."""


@dataclass(frozen=True, slots=True)
class HookSettings:
    """Programs to run when something happens to a connection: a path and its arguments, or nothing."""

    on_up: tuple[str, ...] = ()
    on_down: tuple[str, ...] = ()
    on_move: tuple[str, ...] = ()
    on_away: tuple[str, ...] = ()
    timeout: int = 10_000_000_000
    """Nanoseconds each may take."""

    @property
    def any(self) -> bool:
        return bool(self.on_up or self.on_down or self.on_move or self.on_away)


@dataclass(frozen=True, slots=True)
class AuthoriserSettings:
    """Who else is asked about a peer that has proved who it is."""

    authoriser: Authoriser
    within: int
    """Nanoseconds; without a word by then the peer stays outside."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where IKE SAs survive the process."""

    file: Path
    key_file: Path
    """Made at first start where it is not there."""
    key: str | None = field(default=None, repr=False)
    """The key itself, from the environment."""
    every: int = 1_000_000_000
    """Nanoseconds between two times that what changed is written."""
    max_age: int = 3600 * 1_000_000_000
    """Nanoseconds; SAs written longer ago are let go at start."""


class PacketMark(NamedTuple):
    """Bits of a packet's mark: `value` in those of `mask`."""

    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class Marks:
    """What a kernel tells SAs and policies of one connection by, beside their selectors."""

    interface: int = 0
    """`if_id` of an XFRM interface; 0: none."""
    mark: PacketMark | None = None
    """Packets that leave have it; those that come in get it."""
    output_mark: PacketMark | None = None
    """ESP that leaves gets it, for rules that route it."""

    def __bool__(self) -> bool:
        return self != NO_MARKS


NO_MARKS: Final = Marks()


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection: standing orders for the core, and what the control plane keeps to."""

    profile: Profile
    policy: ConnectionPolicy
    trust: Trust | None = None
    """Whose certificates open the door; None: the peer proves itself by the psk."""
    eap: Orders | None = None
    """What is said in EAP, by us or to the peer."""
    addresses: tuple[Ip, ...] = ()
    """Addresses of ours to announce beside those of our links, e.g. the public ones of a static NAT."""
    hooks: HookSettings = HookSettings()
    authoriser: AuthoriserSettings | None = None
    blocks: tuple[Traffic, ...] = ()
    """What leaves protected or not at all: while we want it up, or always where the peer begins."""
    marks: Marks = NO_MARKS

    @property
    def name(self) -> str:
        return self.profile.name


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole configuration."""

    daemon: DaemonSettings
    api: ApiSettings
    dataplane: DataplaneSettings
    links: LinkSettings
    limits: LimitSettings
    connections: tuple[Connection, ...] = ()
    ticket_keys: tuple[bytes, ...] = field(default=(), repr=False)
    """What seals tickets, the first one, and opens them; none: each process makes its own."""
    redirect: TurnAway = SERVE_ALL
    """Who is sent on to another gateway."""
    store: StoreSettings | None = None
    """None: IKE SAs end with the process."""
