"""`mobike doctor`: every check passes, warns and fails where it should, and says what to do."""

import errno
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from mobike import _core
from mobike.address import Ip
from mobike.auth.trust import Trust
from mobike.cli import checkup
from mobike.cli.checkup import Checked
from mobike.cli.this_host import ThisHost
from mobike.config import Settings, load
from mobike.config.settings import TlsSettings
from mobike.dataplane.xfrm.health import Grade
from tests.auth.pki import NOW, Authority
from tests.cli.conftest import Run, Running
from tests.ports import free_ports

CONFIG = """\
[daemon]
listen = ["127.0.0.1"]
ike_port = {ike}
natt_port = {natt}
state_dir = "{folder}"
[dataplane]
inner = "none"
[connections.rw]
role = "responder"
local_id = "gw.example.net"
remote_id = "*"
psk = "{psk}"
local_ts = ["10.1.0.0/16"]
remote_ts = ["10.2.0.0/16"]
"""


@dataclass
class Pretended:
    """A host on which all is well, but for what a test says."""

    at: datetime = datetime(2026, 11, 21, tzinfo=UTC)
    synchronised: bool | None = True
    errors: dict[tuple[str, int, bool], int] = field(default_factory=dict)
    files: tuple[int, int] = (1024, 524_288)
    modes: dict[Path, int] = field(default_factory=dict)
    writable: bool = True

    def now(self) -> datetime:
        return self.at

    def is_synchronised(self) -> bool | None:
        return self.synchronised

    def may_bind(self, ip: Ip, port: int, *, stream: bool) -> int | None:
        return self.errors.get((str(ip), port, stream))

    def open_files(self) -> tuple[int, int]:
        return self.files

    def mode(self, path: Path) -> int | None:
        return self.modes.get(path)

    def may_write(self, folder: Path) -> bool:
        return self.writable


def settings(folder: Path, psk: str = "a long enough shared secret") -> Settings:
    folder.mkdir(exist_ok=True)
    file = folder / "mobike.toml"
    file.touch(mode=0o600)
    file.write_text(CONFIG.format(ike=500, natt=4500, folder=folder, psk=psk))
    return load(file, _core).settings


def found(settings: Settings, host: Pretended, *, runs: bool = False) -> dict[Grade, list[Checked]]:
    all_of_them = list(checkup.look(settings, host, runs=runs))
    assert all(each.fix for each in all_of_them if each.grade is not Grade.PASS), "what is wrong has a fix"
    return {grade: [each for each in all_of_them if each.grade is grade] for grade in Grade}


def test_where_all_is_well_all_passes(tmp_path: Path) -> None:
    told = found(settings(tmp_path), Pretended())
    assert (told[Grade.WARN], told[Grade.FAIL]) == ([], [])
    assert len(told[Grade.PASS]) >= 5


CASES: list[tuple[str, Callable[[Pretended], Pretended], Grade, str, str]] = [
    (
        "clock",
        lambda host: replace(host, synchronised=False),
        Grade.WARN,
        "nobody keeps the clock right",
        "timedatectl",
    ),
    ("no word", lambda host: replace(host, synchronised=None), Grade.WARN, "does not say", "date -u"),
    (
        "charon",
        lambda host: replace(host, errors={("127.0.0.1", 500, False): errno.EADDRINUSE}),
        Grade.FAIL,
        "UDP 500 on 127.0.0.1 is in use by another program",
        "systemctl stop strongswan",
    ),
    (
        "rights",
        lambda host: replace(host, errors={("127.0.0.1", 500, False): errno.EACCES}),
        Grade.WARN,
        "UDP 500 on 127.0.0.1 is not for you",
        "CAP_NET_BIND_SERVICE",
    ),
    (
        "address",
        lambda host: replace(host, errors={("127.0.0.1", 4500, False): errno.EADDRNOTAVAIL}),
        Grade.FAIL,
        "127.0.0.1 is no address of this host",
        "`listen`",
    ),
    ("folder", lambda host: replace(host, writable=False), Grade.FAIL, "cannot be written", "install -d -m 700"),
]


@pytest.mark.parametrize(
    ("change", "grade", "text", "fix"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_what_stands_in_the_way_is_said_with_the_fix(
    tmp_path: Path, change: Callable[[Pretended], Pretended], grade: Grade, text: str, fix: str
) -> None:
    told = found(settings(tmp_path), change(Pretended()))
    (line,) = told[Grade.WARN] + told[Grade.FAIL]
    assert line.grade is grade
    assert text in line.text
    assert fix in line.fix


def test_ports_of_a_daemon_that_runs_are_its_own(tmp_path: Path) -> None:
    host = Pretended(errors={("127.0.0.1", 500, False): errno.EADDRINUSE})
    assert found(settings(tmp_path), host, runs=True)[Grade.FAIL] == []


def test_secrets_that_others_may_read_and_short_ones_are_told(tmp_path: Path) -> None:
    config = settings(tmp_path, psk="short")
    host = Pretended(modes={config.api.token_file: 0o644})
    told = found(config, host)
    assert [each.fix for each in told[Grade.FAIL]] == [f"chmod 600 {config.api.token_file}"]
    assert [each.text.split(":")[0] for each in told[Grade.WARN]] == ["the psk of rw is shorter than 16 octets"]
    assert "short" not in told[Grade.WARN][0].fix


@pytest.mark.parametrize(
    ("when", "grade", "text"),
    [
        ("late", Grade.FAIL, "has expired on"),
        ("soon", Grade.WARN, "expires in"),
        ("early", Grade.FAIL, "is good only from"),
    ],
)
def test_certificates_are_looked_at_before_they_expire(tmp_path: Path, when: str, grade: Grade, text: str) -> None:
    authority = Authority.new("the branches")
    config = settings(tmp_path)
    (connection,) = config.connections
    trusting = replace(config, connections=(replace(connection, trust=Trust((authority.certificate,))),))
    begins, ends = authority.certificate.not_valid_before_utc, authority.certificate.not_valid_after_utc
    at = begins - timedelta(10) if when == "early" else ends + timedelta(days=1 if when == "late" else -10)
    told = found(trusting, Pretended(at=at))
    assert [text in each.text for each in told[grade]] == [True]
    assert found(trusting, Pretended(at=begins + (ends - begins) / 2))[Grade.FAIL] == []


@pytest.mark.parametrize(
    ("left", "grade", "text"), [(-1, Grade.FAIL, "has expired on"), (1, Grade.WARN, "expires in 24 hours")]
)
def test_a_revocation_list_is_looked_at_before_it_keeps_everybody_out(
    tmp_path: Path, left: int, grade: Grade, text: str
) -> None:
    authority = Authority.new("the branches")
    listed, ends = authority.revocations(days=7), NOW + timedelta(days=7)
    config = settings(tmp_path)
    (connection,) = config.connections
    trusting = replace(config, connections=(replace(connection, trust=Trust((authority.certificate,), (listed,))),))
    told = found(trusting, Pretended(at=ends - timedelta(days=left)))
    (line,) = told[grade]
    assert line.text.startswith("the revocation list of CN=the branches,O=Example (rw) ")
    assert text in line.text
    assert line.fix == "get a new one, then: mobike reload"
    in_time = found(trusting, Pretended(at=ends - timedelta(days=3)))
    assert (in_time[Grade.WARN], in_time[Grade.FAIL]) == ([], [])
    assert any(
        each.text.startswith("2 certificates and lists are good; the first to expire is the revocation list")
        for each in in_time[Grade.PASS]
    )


def test_certificates_of_the_api_are_looked_at_as_well(tmp_path: Path) -> None:
    owner = Authority.new().issue("api.example.net", subject="api")
    owner.write(tmp_path, "api")
    config = settings(tmp_path)
    tls = TlsSettings(tmp_path / "api.pem", tmp_path / "api.key", None, ())
    config = replace(config, api=replace(config.api, tls=tls))
    ends = owner.certificate.not_valid_after_utc
    (line,) = found(config, Pretended(at=ends - timedelta(days=5)))[Grade.WARN]
    assert line.text.startswith("the API's certificate CN=api,O=Example expires in 5 days")
    assert "start the daemon anew" in line.fix
    (tmp_path / "api.pem").unlink()
    (line,) = found(config, Pretended(at=ends - timedelta(days=5)))[Grade.FAIL]
    assert "the API's certificates cannot be read" in line.text


def test_this_host_says_what_is_so(tmp_path: Path) -> None:
    host = ThisHost()
    (port,) = free_ports(1)
    local = ip_address("127.0.0.1")
    assert host.may_bind(local, port, stream=False) is None
    assert host.may_bind(ip_address("192.0.2.99"), port, stream=True) == errno.EADDRNOTAVAIL
    assert host.is_synchronised() in {True, False, None}
    assert host.mode(tmp_path / "nothing") is None
    assert host.may_write(tmp_path / "not" / "yet")
    assert host.open_files()[1] >= host.open_files()[0]


def test_the_command_looks_at_a_configuration_and_ends_so(mobike: Run, daemon: Running, tmp_path: Path) -> None:
    settings(tmp_path / "state")
    told = mobike("--socket", daemon.socket, "doctor", "-c", tmp_path / "state" / "mobike.toml")
    assert "pass  the daemon at" in told.out
    assert "UDP 500 and 4500 are the daemon's, which runs" in told.out
    assert told.code == ("\nfail  " in f"\n{told.out}")
    as_json = json.loads(mobike("--socket", daemon.socket, "doctor", "-o", "json").out)
    assert {each["grade"] for each in as_json} <= {"pass", "warn", "fail"}
