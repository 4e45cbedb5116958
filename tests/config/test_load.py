"""Whole files: what comes out, and what is said of what is wrong."""

import tomllib
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from mobike.commands import SECOND, Pool
from mobike.config import (
    ConfigError,
    Inner,
    LinkSource,
    Loaded,
    load,
    parse,
)
from mobike.config.models import SECTIONS, ConnectionTable, PoolTable, RetestTable, SearchTable
from mobike.config.settings import HookSettings
from mobike.places import default_socket
from mobike.policy.connection import MovePolicy, OnRefusal, Ports, Reconnect, Start, Switch
from mobike.policy.links import LinkRule
from mobike.policy.pairs import PairRules
from mobike.policy.schedule import RetestRule, SearchRule
from tests.auth.pki import Authority
from tests.auth.test_ocsp import respond
from tests.config.judge import Judge

KEY = "correct horse battery staple"
EXAMPLE = Path(__file__).parents[2] / "docs/mobike.example.toml"

OFFICE = f"""\
[connections.office]
role = "initiator"
remote = ["203.0.113.1", "2001:db8::1"]
local_id = "alice@example.net"
remote_id = "gw.example.net"
psk = "{KEY}"
virtual_ip = ["ipv4"]
"""


def _read(text: str, **environ: str) -> Loaded:
    return parse(text, Judge(), environ=environ)


def _wrong(text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _read(text, **environ)
    return str(caught.value).splitlines()


def test_an_empty_file_is_a_configuration() -> None:
    settings = _read("").settings
    assert settings.daemon.listen == (ip_address("0.0.0.0"), ip_address("::"))
    assert (settings.daemon.ike_port, settings.daemon.natt_port) == (500, 4500)
    assert settings.api.socket == default_socket()
    assert settings.api.tcp == ("127.0.0.1", 8650)
    assert settings.connections == ()


LEFT_OUT = {
    "api": {"tls_certificate", "tls_key", "client_ca", "clients", "webhooks"},
    "daemon": {"config_key_env"},
    "dataplane": {"if_id", "moves"},
    "links": {"manual"},
    "store": {"key_env"},
}
"""Keys that the example has in a comment."""


def test_the_example_shows_every_key_and_can_be_used(tmp_path: Path) -> None:
    document = tomllib.loads(EXAMPLE.read_text())
    for name, model in SECTIONS.items():
        shown = set(document[name]) | LEFT_OUT.get(name, set())
        assert shown == set(model.model_fields), name
    assert {key for pool in document["pools"].values() for key in pool} == set(PoolTable.model_fields)
    connections = document["connections"].values()
    shown = {key for table in connections for key in table}
    in_comments = {"psk", "eap_password", "eap_password_env", "ppk", "ppk_env", "authorise", "mark", "output_mark"}
    assert shown | in_comments == set(ConnectionTable.model_fields)
    (tmp_path / "roadwarriors.psk").write_text(KEY + "\n")
    (tmp_path / "roadwarriors.psk").chmod(0o600)
    authority = Authority.new()
    authority.write(tmp_path / "branches-ca.pem")
    owner = authority.issue("gw.example.net")
    owner.write(tmp_path, "gateway")
    public = owner.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "lab.pub").write_bytes(public)
    (tmp_path / "gateway.ocsp").write_bytes(respond(owner, authority))
    for name, text in (
        ("users.toml", '"ann" = "her password"\n'),
        ("ann.password", "her password\n"),
        ("radius.secret", "s\n"),
        ("branches.ppk", KEY + KEY),
        ("tickets.key", "11" * 32),
    ):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(text)
    loaded = parse(EXAMPLE.read_text(), Judge(), base=tmp_path, environ={"OFFICE_PSK": KEY})
    assert loaded.warnings == ()
    names = [connection.name for connection in loaded.settings.connections]
    assert names == ["roadwarriors", "branches", "lab", "phones", "staff", "away", "office"]


def test_the_example_says_the_defaults() -> None:
    shown = tomllib.loads(EXAMPLE.read_text())
    for section in ("daemon", "dataplane", "limits"):
        values = {key: value for key, value in shown[section].items() if key not in {"state_dir", "config_key_file"}}
        said = SECTIONS[section].model_validate(values)
        meant = SECTIONS[section]()
        ignored = {"listen", "always_encap"}  # absent means what suits the rest
        assert said.model_dump(exclude=ignored) == meant.model_dump(exclude=ignored)
    office = shown["connections"]["office"]
    for key in (
        "remote_ike_port",
        "remote_natt_port",
        "ike",
        "esp",
        "mobike",
        "initial_contact",
        "return_routability",
        "families",
        "switch",
        "on_refusal",
        "start",
    ):
        assert office[key] == ConnectionTable.model_fields[key].get_default(), key
    for key, table in (("search", SearchTable), ("retest", RetestTable)):
        assert set(office[key]) == set(table.model_fields)
        assert table.model_validate(office[key]) == table(), key


def test_a_client_gets_what_it_left_out() -> None:
    (office,) = _read(OFFICE).settings.connections
    assert office.policy.initiates
    assert office.policy.start is Start.AUTO
    assert office.policy.remotes == (ip_address("203.0.113.1"), ip_address("2001:db8::1"))
    profile = office.profile
    assert profile.psk == KEY.encode()
    assert (profile.request_ip4, profile.request_ip6, profile.accepts) == (True, False, False)
    assert profile.local_ts == profile.remote_ts == ("0.0.0.0/0",)
    assert profile.liveness == 30 * SECOND
    # ML-KEM beside X25519 for who knows how, and something without it for who does not.
    assert profile.ike_proposals[0] == "aes256gcm16-prfsha384-x25519-ke1_mlkem768"
    assert profile.ike_proposals[1] == "aes128gcm16-prfsha256-x25519"


def test_a_gateway_gets_its_pools_and_every_table() -> None:
    settings = _read(f"""
[daemon]
listen = ["127.0.1.1"]
ike_port = 15500
natt_port = 15501
state_dir = "state"
[api]
socket = ""
tcp = "[::1]:9000"
[dataplane]
inner = "echo"
[links]
source = "manual"
manual = ["127.0.1.1"]
rule = [{{ match = "eth*", rank = 2 }}, {{ match = "docker*", cost = 7, allow = false }}]
[connections.rw]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@example.net"
psk = "{KEY}"
local_ts = ["10.1.0.0/16"]
pool = ["10.99.0.0/24", "fd00:99::/120"]
addresses = ["203.0.113.1"]
retransmit = {{ initial = "100ms" }}
""").settings
    (gateway,) = settings.connections
    assert gateway.profile.pools == (Pool(ip_address("10.99.0.1"), 254), Pool(ip_address("fd00:99::1"), 255))
    assert gateway.profile.accepts
    assert gateway.profile.remote_ts == ()
    assert gateway.profile.retransmit.initial == SECOND // 10
    assert gateway.addresses == (ip_address("203.0.113.1"),)
    assert settings.api.tcp == ("::1", 9000)
    assert settings.api.socket is None
    assert settings.api.token_file == Path("state/api.token")
    assert settings.dataplane.inner is Inner.ECHO
    assert settings.links.source is LinkSource.MANUAL
    assert settings.links.rules == (LinkRule("eth*", 2, 0, True), LinkRule("docker*", 0, 7, False))
    assert gateway.policy.links == settings.links.rules
    assert gateway.policy.ports == Ports(local_ike=15500, local_natt=15501)


def test_a_connection_says_how_it_moves() -> None:
    (office,) = _read(
        OFFICE
        + """\
remote_ike_port = 501
families = ["ipv6"]
allow_local = ["2001:db8:1::/48"]
allow_remote = ["2001:db8::/64"]
switch = "at-once"
on_refusal = "close"
settle = "2s"
start = "manual"
reconnect = { initial = "2s" }
search = { first = "100ms", factor_percent = 200, most = "1m", jitter_percent = 0, budget = "10m" }
retest = { wanted = "1m", others = "5m", translated = "0" }
link = [{ match = "wlan*", rank = 3 }]
[links]
rule = [{ match = "eth*" }]
"""
    ).settings.connections
    policy = office.policy
    assert policy.name == office.name == "office"
    assert policy.ports == Ports(remote_ike=501)
    assert policy.pairs == PairRules((ip_network("2001:db8:1::/48"),), (ip_network("2001:db8::/64"),), frozenset({6}))
    # The core keeps to the same limits when the peer is the one who moves.
    profile = office.profile
    assert (profile.allow_local, profile.allow_remote) == (("2001:db8:1::/48",), ("2001:db8::/64",))
    assert profile.families == (6,)
    assert policy.moves == MovePolicy(Switch.AT_ONCE, OnRefusal.CLOSE, 2 * SECOND)
    assert policy.reconnect == Reconnect(2 * SECOND, 60 * SECOND)
    assert policy.search == SearchRule(SECOND // 10, 200, 60 * SECOND, 0, 600 * SECOND)
    assert policy.retest == RetestRule(60 * SECOND, 300 * SECOND, 0)
    assert policy.start is Start.NONE
    assert policy.links == (LinkRule("wlan*", 3),)


@pytest.mark.req("A4-1")
def test_a_connection_names_programs_to_be_told() -> None:
    loaded = _read(OFFICE + 'on_move = ["/bin/sh", "-c", "true"]\non_down = ["/no/such"]\nhook_timeout = "1m"\n')
    (connection,) = loaded.settings.connections
    assert connection.hooks == HookSettings((), ("/no/such",), ("/bin/sh", "-c", "true"), (), 60 * SECOND)
    (warning,) = map(str, loaded.warnings)
    assert warning.endswith("connections.office.on_down: /no/such is no program that we may run now")
    for wrong, why in (
        ('on_up = "/bin/true"', 'must be a list of strings like ["/usr/local/bin/moved", "--quietly"]'),
        ('on_up = ["true"]', "'true' is no absolute path; a program is not searched for"),
        ('on_up = ["/bin/true", "a\\u0000b"]', "has a NUL character"),
        ('hook_timeout = "0"', "must be more than nothing"),
    ):
        (problem,) = _wrong(OFFICE + wrong)
        assert problem.endswith(why)


def test_a_policy_that_cannot_be_loaded_is_named_with_its_key_and_what_is_missing() -> None:
    assert _wrong(OFFICE + 'policy = "mobike.policy.choose:Mine"\n') == [
        "mobike.toml:8: connections.office.policy: module mobike.policy.choose has no class Mine"
    ]


def test_a_state_dir_of_ones_own_holds_the_socket_too() -> None:
    settings = parse('[daemon]\nstate_dir = "here"\n', Judge(), base=Path("/etc/mobike")).settings
    assert settings.api.socket == Path("/etc/mobike/here/api.sock")


def test_a_typo_is_named_with_file_line_key_and_the_key_that_was_meant() -> None:
    assert _wrong(OFFICE.replace("remote =", "remot =")) == [
        "mobike.toml:3: connections.office.remot: unknown key; did you mean remote?"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[deamon]\n", "mobike.toml:1: deamon: unknown key; did you mean daemon?"),
        ("[api]\ntun = 'x'\n", "mobike.toml:2: api.tun: unknown key; it belongs to [dataplane]"),
        (
            "[limits]\nzzz = 1\n",
            "mobike.toml:2: limits.zzz: unknown key; known are cookie_threshold, hardest_solved, max_half_open,"
            " max_ike_sas, prefix, puzzle",
        ),
        ("[daemon]\n\nike_port = '500'\n", "mobike.toml:3: daemon.ike_port: must be a whole number"),
        ("[daemon]\nike_port = true\n", "mobike.toml:2: daemon.ike_port: must be a whole number"),
        ("[daemon]\nike_port = 65536\n", "mobike.toml:2: daemon.ike_port: must be 65535 or less"),
        (
            "[daemon]\nnatt_port = 500\n",
            "mobike.toml:2: daemon.natt_port: must differ from ike_port (RFC 3948: the marker tells IKE from ESP)",
        ),
        ("[daemon]\nlisten = '::'\n", 'mobike.toml:2: daemon.listen: must be a list: ["...", "..."]'),
        ("[daemon]\nlisten = [\n'::',\n'x y']\n", "mobike.toml:4: daemon.listen[1]: 'x y' is no IP address"),
        (
            "[daemon]\nlog_level = 'loud'\n",
            "mobike.toml:2: daemon.log_level: must be 'debug', 'info', 'warning' or 'error'",
        ),
        ("daemon = 3\n", "mobike.toml:1: daemon: must be a table"),
        ("connections = 3\n", "mobike.toml:1: connections: must hold tables: [connections.NAME]"),
        (
            "[api]\ntcp = '0.0.0.0:80'\n",
            "mobike.toml:2: api.tcp: 0.0.0.0 can be reached from outside: give tls_certificate and"
            " tls_key, or listen on loopback",
        ),
        ("[api]\ntcp = '127.0.0.1'\n", "mobike.toml:2: api.tcp: '127.0.0.1' is not ADDRESS:PORT"),
        (
            "[links]\nsource = 'manual'\n",
            'mobike.toml:1: links.manual: is empty; source = "manual" needs the addresses to use',
        ),
        ("[links]\nmanual = ['::1']\n", 'mobike.toml:2: links.manual: is used with source = "manual" only'),
        ("[[links.rule]]\nrank = 1\n", "mobike.toml:1: links.rule[0].match: is missing"),
        (
            "[[links.rule]]\nmatch='a'\n[[links.rule]]\nmacht='b'\nmatch='c'\n",
            "mobike.toml:4: links.rule[1].macht: unknown key; did you mean match?",
        ),
        (
            "[limits]\ncookie_threshold = 10\nmax_half_open = 5\n",
            "mobike.toml:2: limits.cookie_threshold: is above max_half_open: cookies would never be asked for",
        ),
        (
            "[limits.prefix]\nmax = 5\n",
            "mobike.toml:1: limits.prefix.cookie_threshold: is above max: cookies would never be asked for",
        ),
        (
            "[limits.prefix]\nv6 = 48\nnetwork_v6 = 56\n",
            "mobike.toml:3: limits.prefix.network_v6: is longer than v6: a network holds its sites",
        ),
        ("[limits.puzzle]\nhardest = 11\n", "mobike.toml:2: limits.puzzle.hardest: is below easiest"),
        ("[dataplane]\ntun = 'a/b'\n", "mobike.toml:2: dataplane.tun: must match ^[A-Za-z0-9_.-]{1,15}$"),
        ("a = \n", "mobike.toml:1: Invalid value"),
        ("[daemon]\na = [1,\n", "mobike.toml:3: Invalid value"),
    ],
)
def test_one_problem_is_one_line(text: str, problem: str) -> None:
    assert _wrong(text) == [problem]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            '"initiator"',
            '"iniator"',
            "2: connections.office.role: must be 'initiator' or 'responder'; did you mean initiator?",
        ),
        (
            '["203.0.113.1", "2001:db8::1"]',
            '["vpn.example.net"]',
            "3: connections.office.remote[0]: 'vpn.example.net' is a host name; write its addresses, names are not"
            " looked up",
        ),
        (
            '["203.0.113.1", "2001:db8::1"]',
            "[]",
            "3: connections.office.remote: an initiator needs the peer's addresses",
        ),
        ("gw.example.net", "gw*", "5: connections.office.remote_id: 'gw*': '*' may stand at the beginning only"),
        ('local_id = "alice@example.net"\n', "", "1: connections.office.local_id: is missing"),
        ('"alice@example.net"', '""', "4: connections.office.local_id: must be a string that is not empty"),
        (f'psk = "{KEY}"\n', "", "1: connections.office: has no key; give one of psk, psk_file, psk_env"),
        (
            f'psk = "{KEY}"',
            f'psk = "{KEY}"\npsk_env = "X"',
            "1: connections.office: has more than one key; give exactly one of psk, psk_file, psk_env",
        ),
        (f'psk = "{KEY}"', 'psk = ""', "6: connections.office.psk: the pre-shared key is empty"),
        (
            f'psk = "{KEY}"',
            'psk = "0xnothex"',
            "6: connections.office.psk: the pre-shared key begins with 0x or 0s, but no hexadecimal or base64 follows",
        ),
        (
            f'psk = "{KEY}"',
            'psk_env = "NOT_SET"',
            "6: connections.office.psk_env: the environment has no variable 'NOT_SET'",
        ),
        (
            f'psk = "{KEY}"',
            'psk_file = "absent.psk"',
            "6: connections.office.psk_file: cannot read absent.psk: No such file or directory",
        ),
        ('["ipv4"]', '["ipv5"]', "7: connections.office.virtual_ip[0]: must be 'ipv4' or 'ipv6'"),
        (
            'virtual_ip = ["ipv4"]',
            'local_ts = ["10.0.0.0/8"]',
            "1: connections.office.remote_ts: say which networks are behind the peer",
        ),
        (
            'virtual_ip = ["ipv4"]',
            'virtual_ip = ["ipv4"]\npool = ["10.0.0.0/8"]',
            "8: connections.office.pool: only a responder leases addresses; an initiator asks by virtual_ip",
        ),
        (
            'virtual_ip = ["ipv4"]',
            'virtual_ip = ["ipv4"]\nike = ["aes128gcm16-prfsha256-x25519", "des"]',
            "8: connections.office.ike[1]: unknown algorithm 'des' in 'des'",
        ),
        ('virtual_ip = ["ipv4"]', 'virtual_ip = ["ipv4"]\nesp = []', "8: connections.office.esp: must not be empty"),
        (
            'virtual_ip = ["ipv4"]',
            'virtual_ip = ["ipv4"]\nliveness = 30',
            "8: connections.office.liveness: must be a string",
        ),
        (
            'virtual_ip = ["ipv4"]',
            'virtual_ip = ["ipv4"]\nsearch.first = "5s"',
            "8: connections.office.search.first: must be more than nothing and not above most",
        ),
        (
            'virtual_ip = ["ipv4"]',
            'virtual_ip = ["ipv4"]\nsearch.budget = "1s"',
            "8: connections.office.search.budget: must be long enough for one test (most) at least",
        ),
        (
            'virtual_ip = ["ipv4"]',
            'virtual_ip = ["ipv4"]\nretest.others = "10ms"',
            "8: connections.office.retest.others: must be 1s or more, or 0 for never",
        ),
        (
            'virtual_ip = ["ipv4"]',
            'virtual_ip = ["ipv4"]\nretransmit.give_up_responder = "1m"',
            "8: connections.office.retransmit.give_up_responder: must be 5m or more: a moving peer needs that time"
            " (RFC 4555 section 3.11)",
        ),
        (
            'virtual_ip = ["ipv4"]',
            'virtual_ip = ["ipv4"]\nretransmit.inital = "1s"',
            "8: connections.office.retransmit.inital: unknown key; did you mean initial?",
        ),
        (
            'virtual_ip = ["ipv4"]',
            'virtual_ip = ["ipv4"]\nallow_remote = ["198.51.100.0/24"]',
            "8: connections.office.allow_remote: leaves out every address of remote; add their networks",
        ),
        (
            'virtual_ip = ["ipv4"]',
            'virtual_ip = ["ipv4"]\nfamilies = ["ipv4"]\nallow_local = ["2001:db8::/32"]',
            "9: connections.office.allow_local: has no network of IPv4, and families allows nothing else",
        ),
        (
            'remote = ["203.0.113.1", "2001:db8::1"]',
            'remote = ["203.0.113.1"]\nfamilies = ["ipv6"]',
            "3: connections.office.remote: has no address of IPv6, and families allows nothing else",
        ),
        (
            'virtual_ip = ["ipv4"]',
            'virtual_ip = ["ipv4"]\nunique = "keep"',
            "8: connections.office.unique: only a responder decides it; an initiator says initial_contact",
        ),
        (
            'virtual_ip = ["ipv4"]',
            'virtual_ip = ["ipv4"]\nremote_ts = ["10.0.0.0/8[udp/5060-80]"]',
            "8: connections.office.remote_ts[0]: '10.0.0.0/8[udp/5060-80]': ports go from 0 to 65535, and rise",
        ),
        (
            'virtual_ip = ["ipv4"]',
            'virtual_ip = ["ipv4"]\nremote_ts = ["10.0.0.0/8[icmp/8]"]',
            "8: connections.office.remote_ts[0]: '10.0.0.0/8[icmp/8]': icmp has no ports",
        ),
        (
            'virtual_ip = ["ipv4"]',
            'virtual_ip = ["ipv4"]\nremote_ts = ["10.0.0.0/8[ospf]"]',
            "8: connections.office.remote_ts[0]: '10.0.0.0/8[ospf]': ospf is no protocol; write its number,"
            " or one of icmp, tcp, udp, gre, icmpv6, sctp",
        ),
        (
            'virtual_ip = ["ipv4"]',
            'virtual_ip = ["ipv4"]\nremote_ts = ["10.0.0.0/8[udp"]',
            "8: connections.office.remote_ts[0]: '10.0.0.0/8[udp' is no selector like 10.1.0.0/16[udp/5060]"
            " or 10.1.0.0/16[tcp/80-443]",
        ),
        (
            "[connections.office]",
            '[connections."our office"]',
            "1: connections.\"our office\": a name is made of letters, digits, '.', '_' and '-', at most 64",
        ),
    ],
)
def test_one_problem_of_a_connection_is_one_line(old: str, new: str, problem: str) -> None:
    assert old in OFFICE
    assert _wrong(OFFICE.replace(old, new)) == [f"mobike.toml:{problem}"]


def test_an_allowed_network_that_can_never_count_is_told_of() -> None:
    loaded = _read(OFFICE + 'families = ["ipv4"]\nallow_local = ["10.0.0.0/8", "2001:db8::/32"]\n')
    assert [str(warning) for warning in loaded.warnings] == [
        "mobike.toml:9: connections.office.allow_local[1]: is of no use: families allows IPv4 only"
    ]


VOICE = """
[[connections.office.child]]
name = "voice"
remote_ts = ["10.1.9.0/24[udp/5060]"]
"""


def test_a_connection_may_name_more_children_and_they_inherit_what_they_do_not_say() -> None:
    profile = _read(OFFICE).settings.connections[0].profile
    assert (profile.children, profile.most_children) == ((), 16)
    text = (
        OFFICE + VOICE + '[[connections.office.child]]\nname = "web"\nlocal_ts = ["10.7.0.0/16[6]"]\nstart = "manual"\n'
    )
    office = _read(text).settings.connections[0]
    voice, web = office.profile.children
    assert (voice.name, voice.start, voice.local_ts, voice.remote_ts) == ("voice", True, (), ("10.1.9.0/24[udp/5060]",))
    assert voice.esp_proposals == office.profile.esp_proposals
    assert (web.start, web.local_ts, web.remote_ts) == (False, ("10.7.0.0/16[6]",), ())
    assert office.policy.children == ("office", "voice", "web")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (
            VOICE,
            "14: connections.office.child[1].name: is the name of another child, which has it already",
        ),
        (
            VOICE.replace("voice", "office"),
            "14: connections.office.child[1].name: is the name of the connection itself, whose first Child SA has it"
            " already",
        ),
        (
            '[[connections.office.child]]\nname = "web"\n',
            "12: connections.office.child[1]: says neither local_ts nor remote_ts: its traffic would be that of the"
            " first",
        ),
        (VOICE.replace("udp/5060", "udp/99999"), None),
    ],
)
def test_children_are_told_apart(more: str, problem: str | None) -> None:
    found = _wrong(OFFICE + VOICE + more)
    assert len(found) == 1
    assert problem is None or found == [f"mobike.toml:{problem}"]


def test_a_connection_has_room_for_the_children_it_names_and_a_responder_opens_none() -> None:
    text = OFFICE.replace('virtual_ip = ["ipv4"]', 'virtual_ip = ["ipv4"]\nmost_children = 1') + VOICE
    assert _wrong(text) == [
        "mobike.toml:8: connections.office.most_children: is less than the 2 Child SAs that this connection names"
    ]
    gateway = f'[connections.office]\nrole = "responder"\nlocal_id = "gw"\nremote_id = "*"\npsk = "{KEY}"\n'
    gateway += 'local_ts = ["10.1.0.0/16"]\nremote_ts = ["10.2.0.0/16"]\n' + VOICE + 'start = "auto"\n'
    assert _wrong(gateway) == [
        "mobike.toml:12: connections.office.child[0].start: only an initiator opens it by itself"
    ]


def test_a_responder_is_held_to_its_own_rules() -> None:
    text = f"""\
[connections.rw]
role = "responder"
local_id = "gw"
remote_id = "*"
psk = "{KEY}"
virtual_ip = ["ipv6"]
pool = ["10.0.0.0/24", "10.0.1.0/24"]
start = "auto"
"""
    assert _wrong(text) == [
        "mobike.toml:1: connections.rw.local_ts: say which networks are behind us",
        "mobike.toml:6: connections.rw.virtual_ip: only an initiator asks for an address; a responder leases from pool",
        "mobike.toml:7: connections.rw.pool: may have one range of IPv4 and one of IPv6",
        "mobike.toml:8: connections.rw.start: only an initiator begins; a responder listens",
    ]


def test_pools_of_two_connections_must_not_overlap() -> None:
    one = f"""\
[connections.ONE]
role = "responder"
local_id = "gw"
remote_id = "*"
psk = "{KEY}"
local_ts = ["10.1.0.0/16"]
pool = ["10.99.0.0/16"]
"""
    two = one.replace("ONE", "two").replace("10.99.0.0/16", "10.99.255.1-10.100.0.1")
    assert _wrong(one + two) == ["mobike.toml:14: connections.two.pool: overlaps the pool of ONE"]
    assert len(_read(one + two.replace("10.99.255.1-", "10.100.0.0-")).settings.connections) == 2


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = OFFICE.replace("203.0.113.1", "gw.example.net") + "[daemon]\nshards = 99\n[limts]\n"
    assert _wrong(text) == [
        "mobike.toml:3: connections.office.remote[0]: 'gw.example.net' is a host name;"
        " write its addresses, names are not"
        " looked up",
        "mobike.toml:9: daemon.shards: must be 16 or less",
        "mobike.toml:10: limts: unknown key; did you mean limits?",
    ]


@pytest.mark.parametrize(
    ("text", "octets"),
    [(KEY, KEY.encode()), ("0x" + "ab" * 16, b"\xab" * 16), ("0s" + "AAEC" * 6, bytes([0, 1, 2]) * 6)],
)
def test_a_key_is_text_or_hexadecimal_or_base64(text: str, octets: bytes) -> None:
    loaded = _read(OFFICE.replace(f'psk = "{KEY}"', 'psk_env = "OFFICE"'), OFFICE=text)
    assert loaded.settings.connections[0].profile.psk == octets
    assert loaded.warnings == ()


def test_a_key_that_can_be_guessed_is_warned_of_but_used() -> None:
    loaded = _read(OFFICE.replace(KEY, "secret"))
    assert [str(warning) for warning in loaded.warnings] == [
        "mobike.toml:6: connections.office.psk:"
        " the pre-shared key has 6 octets; anything below 16 can be guessed offline"
    ]
    assert loaded.settings.connections[0].profile.psk == b"secret"


def test_a_key_file_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "office.psk"
    file.write_text(KEY + "\n")
    text = OFFICE.replace(f'psk = "{KEY}"', 'psk_file = "office.psk"')
    file.chmod(0o600)
    assert parse(text, Judge(), base=tmp_path).warnings == ()
    file.chmod(0o644)
    loaded = parse(text, Judge(), base=tmp_path)
    assert loaded.settings.connections[0].profile.psk == KEY.encode()
    (warning,) = loaded.warnings
    assert "can be read by its group and everybody; chmod 600 it" in str(warning)


def test_a_configuration_with_a_key_in_it_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "mobike.toml"
    file.write_text(OFFICE)
    file.chmod(0o640)
    (warning,) = load(file, Judge()).warnings
    assert str(warning).startswith(
        f"{file}:6: connections.office.psk: a key stands in a file that can be read by its group;"
    )
    file.chmod(0o600)
    assert load(file, Judge()).warnings == ()


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: No such file or directory"):
        load(tmp_path / "absent.toml", Judge())
    (tmp_path / "binary.toml").write_bytes(b"a = 1\n\xff")
    with pytest.raises(ConfigError, match=r"binary\.toml:2: is not UTF-8"):
        load(tmp_path / "binary.toml", Judge())


def test_the_key_is_in_no_repr_and_in_no_problem() -> None:
    assert KEY not in repr(_read(OFFICE))
    broken = OFFICE.replace('"initiator"', "1").replace("psk =", "pks =") + f'liveness = ["{KEY}"]\n'
    for text in (broken, OFFICE.replace(f'"{KEY}"', f'["{KEY}"]'), OFFICE.replace(f'"{KEY}"', f'"0x{KEY}"')):
        assert all(KEY not in line for line in _wrong(text))


@given(st.integers(0, len(OFFICE)), st.integers(0, 12), st.text(alphabet="\"[]{}=.\n#a1\\'", max_size=4))
def test_no_broken_text_does_more_than_raise_config_error(at: int, cut: int, put: str) -> None:
    text = OFFICE[:at] + put + OFFICE[at + cut :]
    try:
        _read(text)
    except ConfigError as error:
        assert error.problems
        assert all(1 <= (problem.line or 0) <= text.count("\n") + 2 for problem in error.problems)


def test_manual_addresses_may_name_their_link_and_wait_unplugged() -> None:
    text = """
[links]
source = "manual"
manual = ["127.0.1.1", { ip = "127.0.2.1", link = "lte", up = false }]
"""
    manual = parse(text, Judge()).settings.links.manual
    assert [(str(each.ip), each.link, each.up) for each in manual] == [
        ("127.0.1.1", "manual", True),
        ("127.0.2.1", "lte", False),
    ]


def test_a_manual_address_with_a_typo_names_line_and_key() -> None:
    text = '[links]\nsource = "manual"\nmanual = [\n  { ip = "127.0.2.1", lnk = "lte" },\n]\n'
    with pytest.raises(ConfigError) as refused:
        parse(text, Judge(), file="mobike.toml")
    assert "mobike.toml:4: links.manual[0].lnk: unknown key; did you mean link?" in str(refused.value)
