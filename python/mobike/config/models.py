"""The tables of the file, as pydantic models. Defaults live here; `docs/mobike.example.toml` shows them all."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from mobike.commands import Retransmit
from mobike.config.fields import (
    Address,
    DomainName,
    Duration,
    EspProposal,
    FileName,
    Gateway,
    HookCommand,
    IdentityText,
    IkeProposal,
    MarkText,
    Network,
    Octets,
    Packets,
    PatternText,
    PoolRange,
    Port,
    TcpAddress,
    TrafficSelector,
    TrustAnchor,
    Variable,
)
from mobike.config.plug import SHIPPED
from mobike.config.settings import DataplaneSettings, HookSettings, LimitSettings
from mobike.policy.connection import MovePolicy, Reconnect
from mobike.policy.schedule import RETEST, SEARCH

_RETRANSMIT = Retransmit()
_DATAPLANE = DataplaneSettings()
_LIMITS = LimitSettings()
_HOOKS = HookSettings()
_MOVES = MovePolicy()
_RECONNECT = Reconnect()


MOST_CHILDREN = 63
"""Child SAs of a connection beside the first; as many as the core takes."""


class Table(BaseModel):
    """Unknown keys are errors, types are exact, and no message repeats what was written."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class DaemonTable(Table):
    """[daemon]"""

    listen: Annotated[list[Address] | None, Field(min_length=1)] = None
    ike_port: Port = 500
    natt_port: Port = 4500
    shards: Annotated[int, Field(ge=1, le=16)] = 1
    state_dir: Annotated[str, Field(min_length=1)] | None = None
    config_key_file: FileName | None = None
    config_key_env: Annotated[str, Field(min_length=1)] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"


class WebhookTable(Table):
    """[api.webhooks.NAME]"""

    url: Annotated[str, Field(min_length=1, max_length=2048)]
    secret: SecretStr | None = None
    secret_file: FileName | None = None
    secret_env: Annotated[str, Field(min_length=1)] | None = None
    events: Annotated[list[Annotated[str, Field(pattern=r"^[a-z0-9*-]{1,64}$")]], Field(min_length=1)] = ["*"]
    """Kinds, `*` for any part of one."""


class ApiTable(Table):
    """[api]"""

    socket: str | None = None
    tcp: TcpAddress = ("127.0.0.1", 8650)
    token_file: Annotated[str, Field(min_length=1)] | None = None
    tls_certificate: FileName | None = None
    tls_key: FileName | None = None
    client_ca: FileName | None = None
    clients: dict[str, Literal["metrics", "read", "operate", "configure", "admin"]] = Field(default_factory=dict)
    """By a name in the certificate."""
    folders: list[Annotated[str, Field(min_length=1)]] = []
    webhooks: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")], WebhookTable] = Field(
        default_factory=dict
    )


class DataplaneTable(Table):
    """[dataplane]"""

    kind: Literal["userspace", "kernel", "null"] = "userspace"
    inner: Literal["tun", "xfrm", "port", "echo", "none"] = "tun"
    tun: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,15}$")] = _DATAPLANE.tun
    mtu: Annotated[int, Field(ge=576, le=65_000)] = _DATAPLANE.mtu
    if_id: Annotated[int, Field(ge=1, le=0xFFFF_FFFF)] = _DATAPLANE.if_id
    always_encap: bool | None = None
    """None: as the kind wants it."""
    moves: Literal["auto", "restore"] = "auto"


class LinkRuleTable(Table):
    """[[links.rule]]"""

    match: Annotated[str, Field(min_length=1)]
    rank: Annotated[int, Field(ge=0, le=1000)] = 0
    cost: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    allow: bool = True


class ManualTable(Table):
    """One of `links.manual`; a bare address is short for one with nothing else said."""

    ip: Address
    link: Annotated[str, Field(min_length=1)] = "manual"
    up: bool = True

    @model_validator(mode="before")
    @classmethod
    def _bare_address(cls, value: object) -> object:
        return {"ip": value} if isinstance(value, str) else value


class LinksTable(Table):
    """[links]"""

    source: Literal["netlink", "manual"] = "netlink"
    source_routing: bool = True
    manual: list[ManualTable] = []
    rule: list[LinkRuleTable] = []


class PrefixTable(Table):
    """[limits.prefix]"""

    v4: Annotated[int, Field(ge=1, le=32)] = _LIMITS.prefix.v4
    v6: Annotated[int, Field(ge=1, le=128)] = _LIMITS.prefix.v6
    network_v4: Annotated[int, Field(ge=1, le=32)] = _LIMITS.prefix.network_v4
    network_v6: Annotated[int, Field(ge=1, le=128)] = _LIMITS.prefix.network_v6
    cookie_threshold: Annotated[int, Field(ge=0, le=1 << 20)] = _LIMITS.prefix.cookie_threshold
    max: Annotated[int, Field(ge=1, le=1 << 20)] = _LIMITS.prefix.max
    network_times: Annotated[int, Field(ge=1, le=1 << 10)] = _LIMITS.prefix.network_times
    forgiven_per_second: Annotated[int, Field(ge=1, le=1 << 16)] = _LIMITS.prefix.forgiven_per_second
    failure_costs: Annotated[int, Field(ge=0, le=1 << 10)] = _LIMITS.prefix.failure_costs
    tracked: Annotated[int, Field(ge=64, le=1 << 20)] = _LIMITS.prefix.tracked


class PuzzleTable(Table):
    """[limits.puzzle]"""

    threshold: Annotated[int, Field(ge=0, le=1 << 24)] = _LIMITS.puzzle.threshold
    easiest: Annotated[int, Field(ge=1, le=32)] = _LIMITS.puzzle.easiest
    hardest: Annotated[int, Field(ge=0, le=32)] = _LIMITS.puzzle.hardest
    unsolved_per_second: Annotated[int, Field(ge=0, le=1 << 16)] = _LIMITS.puzzle.unsolved_per_second
    auth_threshold: Annotated[int, Field(ge=0, le=1 << 24)] = _LIMITS.puzzle.auth_threshold


class LimitsTable(Table):
    """[limits]"""

    cookie_threshold: Annotated[int, Field(ge=0, le=1 << 24)] = _LIMITS.cookie_threshold
    max_half_open: Annotated[int, Field(ge=1, le=1 << 24)] = _LIMITS.max_half_open
    max_ike_sas: Annotated[int, Field(ge=1, le=1 << 24)] = _LIMITS.max_ike_sas
    prefix: PrefixTable = PrefixTable()
    puzzle: PuzzleTable = PuzzleTable()
    hardest_solved: Annotated[int, Field(ge=0, le=32)] = _LIMITS.hardest_solved


class RedirectTable(Table):
    """[redirect]"""

    when: Literal["never", "always", "load"] = "never"
    to: Annotated[list[Gateway], Field(max_length=8)] = []
    at: Annotated[int, Field(ge=1, le=1 << 24)] = 50_000


class TicketsTable(Table):
    """[tickets]"""

    key_file: FileName | None = None


class StoreTable(Table):
    """[store]"""

    file: Annotated[str, Field(min_length=1)] | None = None
    key_file: FileName | None = None
    key_env: Annotated[str, Field(min_length=1)] | None = None
    every: Duration = 1_000_000_000
    max_age: Duration = 3600 * 1_000_000_000


class RetransmitTable(Table):
    """[connections.NAME.retransmit]"""

    initial: Duration = _RETRANSMIT.initial
    factor_percent: Annotated[int, Field(ge=100, le=1000)] = _RETRANSMIT.factor_percent
    max_interval: Duration = _RETRANSMIT.max_interval
    jitter_percent: Annotated[int, Field(ge=0, le=50)] = _RETRANSMIT.jitter_percent
    give_up_initiator: Duration = _RETRANSMIT.give_up_initiator
    give_up_responder: Duration = _RETRANSMIT.give_up_responder


class ReconnectTable(Table):
    """[connections.NAME.reconnect]"""

    initial: Duration = _RECONNECT.initial
    max: Duration = _RECONNECT.max


class SearchTable(Table):
    """[connections.NAME.search]"""

    first: Duration = SEARCH.first
    factor_percent: Annotated[int, Field(ge=100, le=1000)] = SEARCH.factor_percent
    most: Duration = SEARCH.most
    jitter_percent: Annotated[int, Field(ge=0, le=50)] = SEARCH.jitter_percent
    budget: Duration = SEARCH.budget


class RetestTable(Table):
    """[connections.NAME.retest]"""

    wanted: Duration = RETEST.wanted
    others: Duration = RETEST.others
    translated: Duration = RETEST.translated


class ChildTable(Table):
    """[[connections.NAME.child]]"""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    local_ts: list[TrafficSelector] = []
    remote_ts: list[TrafficSelector] = []
    esp: Annotated[list[EspProposal], Field(min_length=1)] | None = None
    mode: Literal["tunnel", "transport"] | None = None
    start: Literal["auto", "manual"] = "auto"


class RadiusTable(Table):
    """[[connections.NAME.radius]]"""

    server: Address
    port: Annotated[int, Field(ge=1, le=65_535)] = 1812
    accounting_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    secret: SecretStr | None = None
    secret_file: FileName | None = None
    secret_env: Variable | None = None


class ConnectionTable(Table):
    """[connections.NAME]"""

    role: Literal["initiator", "responder"]
    remote: list[Address] = []
    remote_ike_port: Port = 500
    remote_natt_port: Port = 4500
    local_id: IdentityText | None = None
    remote_id: PatternText
    local_auth: Literal["psk", "cert", "key", "eap"] = "psk"
    remote_auth: Literal["psk", "cert", "key", "eap"] = "psk"
    local_cert: FileName | None = None
    local_key: FileName | None = None
    remote_ca: list[FileName] = []
    remote_crl: list[FileName] = []
    remote_ocsp: Literal["if-given", "require"] = "if-given"
    remote_keys: list[FileName] = []
    remote_rsa_sha1: bool = False
    local_ocsp: FileName | None = None
    eap: Annotated[list[Literal["mschapv2", "tls", "radius"]], Field(min_length=1)] = ["mschapv2"]
    eap_identity: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    eap_password: SecretStr | None = None
    eap_password_file: FileName | None = None
    eap_password_env: Variable | None = None
    eap_users: FileName | None = None
    radius: Annotated[list[RadiusTable], Field(max_length=8)] = []
    psk: SecretStr | None = None
    psk_file: FileName | None = None
    psk_env: Variable | None = None
    ppk_id: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    ppk: SecretStr | None = None
    ppk_file: FileName | None = None
    ppk_env: Variable | None = None
    ppk_required: bool = False
    ike: Annotated[list[IkeProposal], Field(min_length=1)] = [
        "aes256gcm16-prfsha384-x25519-ke1_mlkem768",
        "aes128gcm16-prfsha256-x25519",
        "aes256gcm16-prfsha384-x25519",
        "chacha20poly1305-prfsha256-x25519",
        "aes256gcm16-prfsha384-ecp384",
        "aes128gcm16-prfsha256-ecp256",
    ]
    esp: Annotated[list[EspProposal], Field(min_length=1)] = ["aes128gcm16", "aes256gcm16", "chacha20poly1305"]
    local_ts: list[TrafficSelector] = []
    remote_ts: list[TrafficSelector] = []
    mode: Literal["tunnel", "transport"] = "tunnel"
    child: Annotated[list[ChildTable], Field(max_length=MOST_CHILDREN)] = []
    most_children: Annotated[int, Field(ge=1, le=MOST_CHILDREN + 1)] = 16
    childless: Literal["never", "allow", "prefer", "require"] = "allow"
    start_child: Literal["auto", "manual"] = "auto"
    pool: list[PoolRange] = []
    pool_from: Annotated[str, Field(min_length=1)] | None = None
    dns: Annotated[list[Address], Field(max_length=8)] = []
    networks: Annotated[list[Network], Field(max_length=64)] = []
    dns_domains: Annotated[list[DomainName], Field(max_length=32)] = []
    dns_anchors: Annotated[list[TrustAnchor], Field(max_length=64)] = []
    virtual_ip: list[Literal["ipv4", "ipv6"]] = []
    ask: list[Literal["dns", "networks", "domains"]] = ["dns", "networks", "domains"]
    dns_anchors_for: Annotated[list[DomainName], Field(max_length=32)] = []
    mobike: bool = True
    initial_contact: bool = True
    unique: Literal["as-peer-says", "replace", "keep", "never"] = "as-peer-says"
    liveness: Duration = 30_000_000_000
    detection_floor: Duration = 250_000_000
    nat_keepalive: Duration = 20_000_000_000
    ike_lifetime: Duration = 14_400_000_000_000
    esp_lifetime: Duration = 3_600_000_000_000
    ike_lifetime_hard: Duration | None = None
    esp_lifetime_hard: Duration | None = None
    reauth_lifetime: Duration = 0
    esp_lifetime_bytes: Octets = 0
    esp_lifetime_packets: Packets = 0
    esp_lifetime_bytes_hard: Octets | None = None
    esp_lifetime_packets_hard: Packets | None = None
    retransmit: RetransmitTable = RetransmitTable()
    return_routability: Literal["before", "after", "never", "untrusted"] = "before"
    trusted: list[Network] = []
    nat_traversal: bool = True
    transport: Literal["udp", "tcp", "auto"] = "udp"
    window: Annotated[int, Field(ge=1, le=32)] = 1
    message_id_sync: bool = False
    away_at_most: Duration = 24 * 3600 * 1_000_000_000
    extensions: list[Literal["path-probes", "away"]] = ["path-probes", "away"]
    probe_interval: Duration = 1_000_000_000
    start: Literal["auto", "traffic", "manual"] = "auto"
    while_down: Literal["block", "clear"] | None = None
    if_id: Annotated[int, Field(ge=0, le=0xFFFF_FFFF)] = 0
    mark: MarkText = None
    output_mark: MarkText = None
    tickets: Duration = 0
    resume: bool = False
    redirect: Annotated[list[Gateway], Field(max_length=8)] = []
    follow_redirects: list[Network] = []
    redirect_names: dict[DomainName, Annotated[list[Address], Field(min_length=1, max_length=8)]] = {}
    addresses: list[Address] = []
    link: list[LinkRuleTable] = []
    families: Annotated[list[Literal["ipv4", "ipv6"]], Field(min_length=1)] = ["ipv4", "ipv6"]
    allow_local: list[Network] = []
    allow_remote: list[Network] = []
    switch: Literal["proven", "at-once"] = "proven"
    on_refusal: Literal["try-next", "keep-old", "close"] = "try-next"
    settle: Duration = _MOVES.settle
    policy: str = SHIPPED
    authorise: str | None = None
    authorise_within: Duration = 5_000_000_000
    on_up: HookCommand = ()
    on_down: HookCommand = ()
    on_move: HookCommand = ()
    on_away: HookCommand = ()
    hook_timeout: Duration = _HOOKS.timeout
    reconnect: ReconnectTable = ReconnectTable()
    search: SearchTable = SearchTable()
    retest: RetestTable = RetestTable()


class PoolTable(Table):
    """[pools.NAME]: inner addresses that several connections may lease."""

    ranges: Annotated[list[PoolRange], Field(min_length=1, max_length=2)]
    sticky: Duration = 24 * 3600 * 1_000_000_000


SECTIONS: dict[str, type[Table]] = {
    "daemon": DaemonTable,
    "api": ApiTable,
    "dataplane": DataplaneTable,
    "links": LinksTable,
    "limits": LimitsTable,
    "redirect": RedirectTable,
    "tickets": TicketsTable,
    "store": StoreTable,
}
