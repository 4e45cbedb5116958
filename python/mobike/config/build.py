"""From checked tables to frozen settings, and the rules that concern more than one key."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from os import X_OK, access
from pathlib import Path
from typing import Final, TypeVar

from mobike.auth.eap import Orders, TlsOrders
from mobike.auth.trust import Trust
from mobike.commands import SECOND, ChildOrders, Credential, Pool, Ppk, Profile, Retransmit
from mobike.config.api import api
from mobike.config.basis import basis
from mobike.config.blocks import blocks, of_blocks
from mobike.config.children import of_children
from mobike.config.credentials import of_certificates, read_bare, read_keys, read_own, read_trust
from mobike.config.dataplane import dataplane
from mobike.config.eap import of_eap, read_eap, uses_tls
from mobike.config.inner import handout, of_inner
from mobike.config.keeping import store, with_config_key
from mobike.config.lifetimes import contradictions, limits_of
from mobike.config.limits import limits
from mobike.config.locate import Key
from mobike.config.models import (
    ApiTable,
    ChildTable,
    ConnectionTable,
    DaemonTable,
    DataplaneTable,
    LimitsTable,
    LinkRuleTable,
    LinksTable,
    RedirectTable,
    RetransmitTable,
    StoreTable,
    Table,
    TicketsTable,
)
from mobike.config.modes import any_transport, is_transport, of_modes
from mobike.config.named import SecretError, Shelf
from mobike.config.outer import TRANSPORTS, of_outer
from mobike.config.plug import Plugs, read_plugs
from mobike.config.redirects import follow_rule, of_redirects, turn_away
from mobike.config.secrets import read_ppk, read_psk
from mobike.config.settings import (
    Connection,
    DaemonSettings,
    HookSettings,
    LinkSettings,
    LinkSource,
    LogFormat,
    ManualAddress,
    Marks,
    PacketMark,
    Settings,
)
from mobike.config.tickets import of_tickets, read_ticket_keys
from mobike.places import default_state_dir
from mobike.policy.choose import Policy
from mobike.policy.connection import ConnectionPolicy, MovePolicy, OnRefusal, Ports, Reconnect, Start, Switch
from mobike.policy.links import LinkRule
from mobike.policy.pairs import PairRules
from mobike.policy.schedule import RetestRule, SearchRule

_EVERYTHING: Final = {"ipv4": "0.0.0.0/0", "ipv6": "::/0"}
_RESPONDER_FLOOR: Final = 300 * SECOND
"""RFC 4555 section 3.11: a responder is patient for five minutes at least."""

_STARTS: Final = {"auto": Start.AUTO, "traffic": Start.TRAFFIC, "manual": Start.NONE}

_T = TypeVar("_T", bound=Table)


@dataclass(frozen=True, slots=True)
class ConnectionProblem:
    """What is wrong with a connection as a whole; the key is within its table, empty for the table itself."""

    key: Key
    message: str
    harmless: bool = False


@dataclass(frozen=True, slots=True)
class BuiltConnection:
    """A connection if there is one, and what was found on the way."""

    built: Connection | None
    problems: tuple[ConnectionProblem, ...]


def build_connection(name: str, table: ConnectionTable, shelf: Shelf, environ: Mapping[str, str]) -> BuiltConnection:
    """One connection from its table."""
    of_proofs = [*_of_proofs(table)]
    problems = [*of_proofs, *_contradictions(name, table)]
    proofs = None if of_proofs else _proofs(table, shelf, environ, problems)
    plugs = read_plugs(table.policy, table.authorise, table.authorise_within)
    if not isinstance(plugs, Plugs):
        problems += [ConnectionProblem((key,), message) for key, message in plugs]
    if proofs is None or not isinstance(plugs, Plugs) or not all(problem.harmless for problem in problems):
        return BuiltConnection(None, tuple(problems))
    connection = Connection(
        profile=_profile(name, table, proofs),
        policy=_policy(name, table, plugs.policy),
        trust=proofs.trust,
        eap=proofs.eap,
        addresses=tuple(table.addresses),
        hooks=HookSettings(table.on_up, table.on_down, table.on_move, table.on_away, table.hook_timeout),
        authoriser=plugs.authoriser,
        blocks=blocks(table),
        marks=Marks(table.if_id, _mark(table.mark), _mark(table.output_mark)),
    )
    return BuiltConnection(connection, tuple(problems))


def _mark(said: tuple[int, int] | None) -> PacketMark | None:
    return None if said is None else PacketMark(*said)


@dataclass(frozen=True, slots=True)
class _Proofs:
    """How both ends of a connection prove who they are."""

    local_id: str
    psk: bytes = field(default=b"", repr=False)
    credential: Credential | None = None
    trust: Trust | None = None
    eap: Orders | None = None
    keys: tuple[bytes, ...] = ()
    ppk: Ppk | None = None


def _proofs(
    table: ConnectionTable, shelf: Shelf, environ: Mapping[str, str], problems: list[ConnectionProblem]
) -> _Proofs | None:
    """What each end needs, from where the table says. What is wrong is added to `problems`."""
    proofs = _Proofs(table.local_id or "")
    try:
        if _uses_psk(table):
            secret = read_psk(table, shelf, environ)
            problems += [ConnectionProblem((secret.key,), warning, harmless=True) for warning in secret.warnings]
            proofs = replace(proofs, psk=secret.octets)
        shown = uses_tls(table)
        if table.local_auth == "cert" or shown:
            own = read_own(table, shelf)
            problems += [ConnectionProblem((key,), warning, harmless=True) for key, warning in own.warnings]
            proofs = replace(proofs, local_id=own.name, credential=own.credential)
        if table.local_auth == "key":
            credential, warnings = read_bare(table, shelf)
            problems += [ConnectionProblem((key,), warning, harmless=True) for key, warning in warnings]
            proofs = replace(proofs, credential=credential)
        if table.remote_auth == "cert" or shown:
            proofs = replace(proofs, trust=read_trust(table, shelf))
        if table.remote_auth == "key":
            proofs = replace(proofs, keys=read_keys(table, shelf))
        if table.ppk_id is not None:
            mixed = read_ppk(table, shelf, environ)
            problems += [ConnectionProblem((mixed.key,), warning, harmless=True) for warning in mixed.warnings]
            proofs = replace(proofs, ppk=Ppk(table.ppk_id.encode(), mixed.octets, table.ppk_required))
        if _uses_eap(table):
            tls = TlsOrders(proofs.credential, proofs.trust) if proofs.credential and proofs.trust else None
            eap = read_eap(table, proofs.local_id, shelf, environ, tls if shown else None)
            problems += [ConnectionProblem((key,), warning, harmless=True) for key, warning in eap.warnings]
            proofs = replace(proofs, eap=eap.orders)
    except SecretError as problem:
        problems.append(ConnectionProblem((problem.key,), str(problem)))
        return None
    return proofs


def _uses_psk(table: ConnectionTable) -> bool:
    return "psk" in {table.local_auth, table.remote_auth}


def _uses_eap(table: ConnectionTable) -> bool:
    return "eap" in {table.local_auth, table.remote_auth}


def _sources(table: ConnectionTable) -> int:
    return sum(source is not None for source in (table.psk, table.psk_file, table.psk_env))


def _contradictions(name: str, table: ConnectionTable) -> Iterator[ConnectionProblem]:
    """Keys that are right by themselves and wrong together."""
    match table.role:
        case "initiator":
            yield from _of_initiator(table)
        case "responder":
            yield from _of_responder(table)
    if table.return_routability == "untrusted" and not table.trusted:
        yield ConnectionProblem(
            ("trusted",), 'is empty, so return_routability = "untrusted" is the same as "before"', harmless=True
        )
    if table.trusted and table.return_routability != "untrusted":
        yield ConnectionProblem(("trusted",), 'is used with return_routability = "untrusted" only')
    yield from (ConnectionProblem(key, message) for key, message in (*of_children(table, name), *of_modes(table)))
    yield from (ConnectionProblem((key,), message) for key, message in contradictions(table))
    of_all = (*of_blocks(table), *of_redirects(table), *of_tickets(table))
    yield from (ConnectionProblem((key,), message) for key, message in of_all)
    yield from _of_hooks(table)
    if table.retransmit.give_up_responder < _RESPONDER_FLOOR:
        yield ConnectionProblem(
            ("retransmit", "give_up_responder"),
            "must be 5m or more: a moving peer needs that time (RFC 4555 section 3.11)",
        )
    for times, initial, greatest in (
        ("retransmit", table.retransmit.initial, table.retransmit.max_interval),
        ("reconnect", table.reconnect.initial, table.reconnect.max),
    ):
        if not 0 < initial <= greatest:
            yield ConnectionProblem((times, "initial"), "must be more than nothing and not above the greatest wait")
    yield from _of_tests(table)
    yield from (ConnectionProblem(*each) for each in of_outer(table))


def _of_tests(table: ConnectionTable) -> Iterator[ConnectionProblem]:
    search = table.search
    if not 0 < search.first <= search.most:
        yield ConnectionProblem(("search", "first"), "must be more than nothing and not above most")
    if search.budget < search.most:
        yield ConnectionProblem(("search", "budget"), "must be long enough for one test (most) at least")
    for name in ("wanted", "others", "translated"):
        if 0 < getattr(table.retest, name) < SECOND:
            yield ConnectionProblem(("retest", name), "must be 1s or more, or 0 for never")


def _of_hooks(table: ConnectionTable) -> Iterator[ConnectionProblem]:
    for key in ("on_up", "on_down", "on_move", "on_away"):
        command: tuple[str, ...] = getattr(table, key)
        if command and not access(command[0], X_OK):
            yield ConnectionProblem((key,), f"{command[0]} is no program that we may run now", harmless=True)
    if table.hook_timeout <= 0:
        yield ConnectionProblem(("hook_timeout",), "must be more than nothing")


def _of_proofs(table: ConnectionTable) -> Iterator[ConnectionProblem]:
    match _sources(table), _uses_psk(table):
        case 0, True:
            yield ConnectionProblem((), "has no key; give one of psk, psk_file, psk_env")
        case (0, False) | (1, True):
            pass
        case _, True:
            yield ConnectionProblem((), "has more than one key; give exactly one of psk, psk_file, psk_env")
        case _:
            yield ConnectionProblem((), 'has a key that nobody uses: no end has auth = "psk"')
    shown = uses_tls(table)
    if table.local_id is None and table.local_auth != "cert" and not shown:
        yield ConnectionProblem(("local_id",), "is missing")
    for key, message in of_certificates(table, shown=shown):
        yield ConnectionProblem((key,), message)
    yield from _of_shared(table)
    for key, message in (*of_eap(table), *of_inner(table)):
        yield ConnectionProblem((key,), message)


def _of_shared(table: ConnectionTable) -> Iterator[ConnectionProblem]:
    """Keys that both ends have: public ones, and those besides."""
    if (table.remote_auth == "key") != bool(table.remote_keys):
        yield ConnectionProblem(("remote_keys",), 'goes with remote_auth = "key": what the peer may sign with')
    sources = sum(source is not None for source in (table.ppk, table.ppk_file, table.ppk_env))
    if sources != (table.ppk_id is not None):
        yield ConnectionProblem(("ppk_id",), "names a key: give both, ppk_id and exactly one of ppk, ppk_file, ppk_env")
    if table.ppk_required and table.ppk_id is None:
        yield ConnectionProblem(("ppk_required",), "needs a PPK: ppk_id and ppk")


def _of_initiator(table: ConnectionTable) -> Iterator[ConnectionProblem]:
    if "unique" in table.model_fields_set:
        yield ConnectionProblem(("unique",), "only a responder decides it; an initiator says initial_contact")
    if not table.remote:
        yield ConnectionProblem(("remote",), "an initiator needs the peer's addresses")
    if table.pool or table.pool_from:
        key = "pool" if table.pool_from is None else "pool_from"
        yield ConnectionProblem((key,), "only a responder leases addresses; an initiator asks by virtual_ip")
    if not table.local_ts and not table.virtual_ip and not is_transport(table):
        yield ConnectionProblem(("local_ts",), "say which networks are behind us, or ask for an address by virtual_ip")
    if not table.remote_ts and not table.virtual_ip and not is_transport(table):
        yield ConnectionProblem(("remote_ts",), "say which networks are behind the peer")


def _of_responder(table: ConnectionTable) -> Iterator[ConnectionProblem]:
    if table.virtual_ip:
        yield ConnectionProblem(("virtual_ip",), "only an initiator asks for an address; a responder leases from pool")
    if not table.local_ts and not is_transport(table):
        yield ConnectionProblem(("local_ts",), "say which networks are behind us")
    if not table.remote_ts and not table.pool and not table.radius and not is_transport(table):
        yield ConnectionProblem(
            ("remote_ts",), "say which networks are behind the peer, or lease addresses from a pool"
        )
    versions = [pool.first.version for pool in table.pool]
    if len(versions) != len(set(versions)) and table.pool_from is None:
        yield ConnectionProblem(("pool",), "may have one range of IPv4 and one of IPv6")
    if "start" in table.model_fields_set:
        yield ConnectionProblem(("start",), "only an initiator begins; a responder listens")


def _policy(name: str, table: ConnectionTable, plug: Policy) -> ConnectionPolicy:
    """The part of a connection that the control plane keeps to; `build_settings` puts in what the whole file says."""
    return ConnectionPolicy(
        name=name,
        initiates=table.role == "initiator",
        remotes=tuple(table.remote),
        ports=Ports(remote_ike=table.remote_ike_port, remote_natt=table.remote_natt_port),
        links=_rules(table.link),
        pairs=PairRules(
            local=tuple(map(ip_network, table.allow_local)),
            remote=tuple(map(ip_network, table.allow_remote)),
            families=frozenset(int(family.removeprefix("ipv")) for family in table.families),
        ),
        transports=TRANSPORTS[table.transport],
        start=_STARTS[table.start],
        wakes_on=blocks(table) if table.start == "traffic" else (),
        moves=MovePolicy(Switch(table.switch), OnRefusal(table.on_refusal), table.settle),
        reconnect=Reconnect(table.reconnect.initial, table.reconnect.max),
        search=SearchRule(
            table.search.first,
            table.search.factor_percent,
            table.search.most,
            table.search.jitter_percent,
            table.search.budget,
        ),
        retest=RetestRule(table.retest.wanted, table.retest.others, table.retest.translated),
        probe_interval=table.probe_interval,
        redirects=follow_rule(table),
        policy=plug,
        children=(name, *(child.name for child in table.child)),
    )


def _rules(tables: Sequence[LinkRuleTable]) -> tuple[LinkRule, ...]:
    return tuple(LinkRule(rule.match, rule.rank, rule.cost, rule.allow) for rule in tables)


def _profile(name: str, table: ConnectionTable, proofs: _Proofs) -> Profile:
    asked = [_EVERYTHING[family] for family in ("ipv4", "ipv6") if family in table.virtual_ip]
    return Profile(
        name=name,
        local_id=proofs.local_id,
        remote_id=table.remote_id,
        psk=proofs.psk,
        credential=proofs.credential,
        remote_certificate=table.remote_auth == "cert",
        remote_keys=proofs.keys,
        ppk=proofs.ppk,
        judged=table.authorise is not None,
        rsa_sha1=table.remote_rsa_sha1,
        local_eap=table.local_auth == "eap",
        remote_eap=table.remote_auth == "eap",
        authorities=() if proofs.trust is None else proofs.trust.authorities(),
        ike_proposals=tuple(table.ike),
        esp_proposals=tuple(table.esp),
        # Offered wide and narrowed by the gateway to the address it leases (RFC 7296 section 2.19).
        local_ts=tuple(table.local_ts or asked),
        remote_ts=tuple(table.remote_ts or asked),
        transport_mode=is_transport(table),
        children=tuple(_child(child, table) for child in table.child),
        most_children=table.most_children,
        childless=table.childless,
        start_child=table.start_child == "auto",
        pools=tuple(Pool(pool.first, pool.count) for pool in table.pool),
        handout=handout(table),
        request_ip4="ipv4" in table.virtual_ip,
        request_ip6="ipv6" in table.virtual_ip,
        ask=tuple(table.ask),
        anchors_for=tuple(table.dns_anchors_for),
        accepts=table.role == "responder",
        initial_contact=table.initial_contact,
        unique=table.unique,
        mobike=table.mobike and not any_transport(table),
        liveness=table.liveness,
        retransmit=_retransmit(table.retransmit),
        detection_floor=table.detection_floor,
        nat_keepalive=table.nat_keepalive,
        ike_lifetime=table.ike_lifetime,
        esp_lifetime=table.esp_lifetime,
        limits=limits_of(table),
        return_routability=table.return_routability,
        trusted=tuple(table.trusted),
        allow_local=tuple(table.allow_local),
        allow_remote=tuple(table.allow_remote),
        families=tuple(int(family.removeprefix("ipv")) for family in table.families),
        nat_traversal=table.nat_traversal,
        udp=table.transport != "tcp",
        tcp=table.transport != "udp",
        window=table.window,
        message_id_sync=table.message_id_sync,
        away_at_most=table.away_at_most,
        resume=table.resume,
        ticket_lifetime=table.tickets,
        tickets_rest_on=_basis(table, proofs) if table.tickets or table.resume else b"",
        follow_redirects=follow_rule(table).follows,
        redirect=tuple(table.redirect),
        extensions=tuple(table.extensions),
    )


def _basis(table: ConnectionTable, proofs: _Proofs) -> bytes:
    secrets = (proofs.psk, b"" if proofs.ppk is None else proofs.ppk.key)
    return basis(table.remote_auth, secrets=secrets, keys=proofs.keys, trust=proofs.trust, eap=proofs.eap)


def _child(child: ChildTable, table: ConnectionTable) -> ChildOrders:
    """What it does not say is as for the first. With an inner address, our side is that address; between two hosts,
    each side is the host."""
    apart = is_transport(table, child)
    return ChildOrders(
        name=child.name,
        esp_proposals=tuple(child.esp or table.esp),
        local_ts=tuple(child.local_ts or ([] if apart else table.local_ts)),
        remote_ts=tuple(child.remote_ts or ([] if apart else table.remote_ts)),
        start=child.start == "auto",
        transport_mode=apart,
    )


def _retransmit(table: RetransmitTable) -> Retransmit:
    return Retransmit(
        initial=table.initial,
        factor_percent=table.factor_percent,
        max_interval=table.max_interval,
        jitter_percent=table.jitter_percent,
        give_up_initiator=table.give_up_initiator,
        give_up_responder=table.give_up_responder,
    )


def build_settings(
    sections: Mapping[str, Table | None],
    connections: tuple[Connection, ...],
    base: Path,
    problem: Callable[[Key, str], None],
    environ: Mapping[str, str],
) -> Settings:
    """All settings; what contradicts is told to `problem`."""
    daemon = _section(sections, "daemon", DaemonTable)
    links = _section(sections, "links", LinksTable)
    if daemon.ike_port == daemon.natt_port:
        problem(("daemon", "natt_port"), "must differ from ike_port (RFC 3948: the marker tells IKE from ESP)")
    if links.source == "manual" and not links.manual:
        problem(("links", "manual"), 'is empty; source = "manual" needs the addresses to use')
    if links.source == "netlink" and links.manual:
        problem(("links", "manual"), 'is used with source = "manual" only')
    rules = _rules(links.rule)
    return Settings(
        daemon=with_config_key(_daemon(daemon, base), daemon, base, problem, environ),
        api=api(
            _section(sections, "api", ApiTable),
            _state_dir(daemon, base),
            base,
            problem,
            own_place=daemon.state_dir is not None,
            environ=environ,
        ),
        dataplane=dataplane(_section(sections, "dataplane", DataplaneTable), connections, problem),
        links=LinkSettings(
            source=LinkSource(links.source),
            source_routing=links.source_routing,
            manual=tuple(ManualAddress(each.ip, each.link, each.up) for each in links.manual),
            rules=rules,
        ),
        limits=limits(_section(sections, "limits", LimitsTable), problem),
        ticket_keys=read_ticket_keys(_section(sections, "tickets", TicketsTable), base, problem),
        redirect=turn_away(_section(sections, "redirect", RedirectTable), problem),
        connections=tuple(_completed(connection, daemon, rules) for connection in connections),
        store=store(
            _section(sections, "store", StoreTable),
            base,
            problem,
            environ,
            carries=_section(sections, "dataplane", DataplaneTable).kind != "null",
        ),
    )


def _completed(connection: Connection, daemon: DaemonTable, rules: tuple[LinkRule, ...]) -> Connection:
    policy = connection.policy
    ports = replace(policy.ports, local_ike=daemon.ike_port, local_natt=daemon.natt_port)
    return replace(connection, policy=replace(policy, ports=ports, links=policy.links or rules))


def _section(sections: Mapping[str, Table | None], name: str, model: type[_T]) -> _T:
    table = sections[name]
    if not isinstance(table, model):
        raise TypeError(f"[{name}] was not read")
    return table


def _daemon(table: DaemonTable, base: Path) -> DaemonSettings:
    settings = DaemonSettings(
        state_dir=_state_dir(table, base),
        ike_port=table.ike_port,
        natt_port=table.natt_port,
        shards=table.shards,
        log_level=table.log_level,
        log_format=LogFormat(table.log_format),
    )
    return settings if table.listen is None else replace(settings, listen=tuple(table.listen))


def _state_dir(table: DaemonTable, base: Path) -> Path:
    return default_state_dir() if table.state_dir is None else base / table.state_dir
