"""`mobike import swanctl`: what is made passes our loader, and each value of the source is in the report."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mobike.config import Loaded, load
from mobike.swanctl.files import read_folder
from mobike.swanctl.findings import Kind
from mobike.swanctl.mapping import Imported, map_tree
from mobike.swanctl.proposals import expand
from mobike.swanctl.tree import effective
from mobike.swanctl.writer import write
from tests.auth.pki import Authority
from tests.cli.conftest import Run, mobike
from tests.interop.rig.roles import PSK, initiator, psk, responder
from tests.interop.rig.settings import Settings, merge, render

_core = pytest.importorskip("mobike._core", reason="needs the core to judge proposals and identities")
__all__ = ["mobike"]

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
GOOD = render(merge(responder(), {"secrets": psk()}))


@dataclass
class Made:
    """What an import made, and what our loader makes of it."""

    imported: Imported
    loaded: Loaded

    def table(self, name: str = "gw") -> dict[str, Any]:
        return self.imported.connections[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """/etc/swanctl with a certificate, its key and an authority."""
    authority = Authority.new(at=datetime.now(UTC))
    for name in ("x509", "x509ca", "private"):
        (tmp_path / "swanctl" / name).mkdir(parents=True)
    authority.issue("gw.example.net").write(tmp_path, "gw")
    (tmp_path / "gw.pem").rename(tmp_path / "swanctl/x509/gw.pem")
    (tmp_path / "gw.key").rename(tmp_path / "swanctl/private/some.key")
    authority.write(tmp_path / "swanctl/x509ca/ca.pem")
    return tmp_path / "swanctl"


def _map(folder: Path, text: str) -> Imported:
    (folder / "swanctl.conf").write_text(text)
    made = map_tree(*read_folder(folder), _core)
    _all_is_told(folder, made)
    return made


def _make(folder: Path, text: str) -> Made:
    made = _map(folder, text)
    into = folder.parent / "mobike"
    into.mkdir(exist_ok=True)
    for name, content in {"mobike.toml": write(made.document(), "test"), **made.files}.items():
        (into / name).touch(mode=0o600)
        (into / name).write_text(content)
    return Made(made, load(into, _core, environ={}))


def _all_is_told(folder: Path, made: Imported) -> None:
    """Each value of the source is in a finding."""
    told = {finding.key for finding in made.findings}
    whole = effective(read_folder(folder)[0])
    for root in ("connections", "secrets", "pools", "authorities"):
        if root in whole.sections:
            keys = [".".join((*path, key)) for path, each in whole.sections[root].walk((root,)) for key in each.values]
            assert [key for key in keys if key not in told] == []


def _lost(made: Imported) -> list[str]:
    return [f"{each.place.line}: {each.key}: {each.reason}" for each in made.of(Kind.UNSUPPORTED)]


@pytest.mark.parametrize(
    "file", sorted(EXAMPLES.glob("*/*.swanctl.conf")), ids=lambda file: f"{file.parent.name}-{file.name}"
)
def test_the_examples_of_the_docs_import_whole_and_their_twins_say_the_same(folder: Path, file: Path) -> None:
    made = _make(folder, file.read_text())
    assert _lost(made.imported) == []
    (name,) = made.imported.connections
    ours = made.loaded.settings.connections[0].profile
    (folder.parent / "twin").mkdir()
    twin = folder.parent / "twin"
    for each in file.parent.iterdir():
        (twin / each.name).write_text(each.read_text())
    for source, target in (("x509/gw.pem", "gw.pem"), ("private/some.key", "gw.key"), ("x509ca/ca.pem", "ca.pem")):
        (twin / target).write_bytes((folder / source).read_bytes())
    toml = twin / file.name.replace("swanctl.conf", "mobike.toml")
    theirs = load(toml, _core, environ={}).settings.connections[0].profile
    for key in ("name", "local_id", "remote_id", "psk", "credential", "ike_proposals", "esp_proposals", "local_ts"):
        assert getattr(ours, key) == getattr(theirs, key), key
    for key in ("remote_ts", "pools", "handout", "request_ip4", "accepts", "unique", "mobike", "liveness", "limits"):
        assert getattr(ours, key) == getattr(theirs, key), key
    assert made.loaded.settings.connections[0].eap == load(toml, _core, environ={}).settings.connections[0].eap
    assert name == ours.name


@pytest.mark.parametrize(
    "settings", [responder(), responder(pool=None), initiator("203.0.113.1")], ids=["pool", "net", "client"]
)
def test_the_configurations_of_our_interop_tests_import(folder: Path, settings: Settings) -> None:
    over: Settings = {"connections": {"gw": {"children": {"net": {"remote_ts": "10.9.0.0/16"}}}}}
    made = _make(folder, render(merge(merge(settings, over), {"secrets": psk()})))
    assert _lost(made.imported) == []
    assert made.loaded.settings.connections[0].profile.psk == PSK.encode()


def _with(over: Settings) -> str:
    return render(merge(merge(responder(), {"secrets": psk()}), {"connections": {"gw": over}}))


@pytest.mark.parametrize(
    ("over", "key", "value"),
    [
        ({"rekey_time": "2h", "over_time": "10m"}, "ike_lifetime_hard", "2h10m"),
        ({"reauth_time": "1d"}, "reauth_lifetime", "24h"),
        ({"dpd_delay": "90"}, "liveness", "1m30s"),
        ({"mobike": "no"}, "mobike", False),
        ({"unique": "replace"}, "unique", "replace"),
        ({"childless": "force"}, "childless", "require"),
        ({"childless": "prefer"}, "childless", "allow"),
        ({"local_addrs": "192.0.2.1"}, "allow_local", ["192.0.2.1/32"]),
        ({"children": {"net": {"rekey_bytes": "500000000000"}}}, "esp_lifetime_bytes", "500GB"),
        ({"children": {"net": {"local_ts": "10.1.0.0/16[tcp/80]"}}}, "local_ts", ["10.1.0.0/16[tcp/80]"]),
        ({"remote": {"id": "@peer.example.net"}}, "remote_id", "peer.example.net"),
        ({"proposals": "aes128-aes256-sha256-modp2048"}, "ike", ["aes128-sha256-modp2048", "aes256-sha256-modp2048"]),
        ({"proposals": "aes128gcm128-sha256-curve25519"}, "ike", ["aes128gcm16-x25519-prfsha256"]),
    ],
)
def test_a_value_is_said_in_our_words(folder: Path, over: Settings, key: str, value: object) -> None:
    assert _make(folder, _with(over)).table()[key] == value


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"version": "1"}, "connections.gw.version: IKEv1 is not spoken here"),
        ({"proposals": "3des-sha1-modp1024"}, "connections.gw.proposals: no proposal is known here"),
        ({"remote": {"auth": "eap-radius"}}, "the servers of RADIUS stand in strongswan.conf"),
        ({"remote-2": {"auth": "psk"}}, "has 2 rounds of authentication"),
        ({"remote": {"groups": "admins"}}, "connections.gw.remote.groups: is judged by an authoriser"),
        ({"remote": {"id": "C=CH, CN=peer"}}, "connections.gw.remote.id"),
        ({"children": {"net": {"mode": "beet"}}}, "is neither tunnel nor transport"),
        ({"children": {"net": {"mode": "transport"}}}, "there are no inner addresses between two hosts"),
        ({"children": {"net": {"ah_proposals": "sha256"}}}, "there is no AH"),
        ({"children": {"net": {"mark_in": "42"}}}, "marks and interface ids are not taken over: write if_id, mark"),
        ({"if_id_out": "7"}, "connections.gw.if_id_out: marks and interface ids"),
        ({"remote_addrs": "peer.example.net"}, "holds a name or a range"),
        ({"pools": "radius"}, "there is no pool radius in the file"),
    ],
)
def test_what_guards_a_connection_and_cannot_be_said_keeps_it_out(folder: Path, over: Settings, reason: str) -> None:
    made = _map(folder, _with(over))
    assert made.connections == {}
    assert made.files == {}
    assert any(reason in line and "the connection is not imported" in line for line in _lost(made))


@pytest.mark.parametrize(
    ("over", "line"),
    [
        (
            {"rekey_tme": "2h"},
            "connections.gw.rekey_tme: strongSwan has no such key here, or it is not known to us;"
            " did you mean rekey_time?",
        ),
        ({"dscp": "101110"}, "connections.gw.dscp: IKE packets are not marked"),
        (
            {"children": {"net": {"updown": "/usr/local/bin/updown"}}},
            "connections.gw.children.net.updown: scripts get other variables here: see on_up and on_down in"
            " docs/hooks.md",
        ),
        (
            {"nonsense": {"a": "b"}},
            "connections.gw.nonsense.a: is in a part of the file that was not imported",
        ),
    ],
)
def test_what_is_lost_is_told_and_the_rest_is_imported(folder: Path, over: Settings, line: str) -> None:
    made = _make(folder, _with(over))
    assert list(made.imported.connections) == ["gw"]
    assert [told.split(": ", 1)[1] for told in _lost(made.imported)] == [line]


def test_a_further_child_says_its_own_proposals_and_has_the_lifetimes_of_the_first(folder: Path) -> None:
    more: Settings = {"voice": {"local_ts": "10.7.0.0/16", "rekey_time": "30m", "start_action": "none"}}
    made = _make(folder, _with({"children": {"net": {"remote_ts": "dynamic"}, **more}}))
    (voice,) = made.table()["child"]
    assert (voice["name"], voice["local_ts"]) == ("voice", ["10.7.0.0/16"])
    # Nothing is said of its algorithms, so they are the usual ones, not those of the first.
    assert (made.table()["esp"], "aes256gcm16" in voice["esp"]) == (["aes128gcm16"], True)
    (told,) = [each for each in made.imported.findings if each.key == "connections.gw.children.voice.rekey_time"]
    assert (told.kind, told.reason) == (Kind.CHANGED, "lifetimes are those of the first Child SA")


def test_two_hosts_are_imported_as_such_and_the_kernel_carries_them(folder: Path) -> None:
    hosts: Settings = {"local_ts": "dynamic", "remote_ts": "dynamic", "mode": "transport"}
    made = _make(folder, _with({"pools": "", "mobike": "yes", "children": {"net": hosts}}))
    table = made.table()
    assert table["mode"] == "transport"
    assert not {"local_ts", "remote_ts", "mobike", "pool_from"} & table.keys()
    assert made.imported.document()["dataplane"] == {"kind": "kernel"}
    (told,) = [each for each in made.imported.findings if each.key == "connections.gw.mobike"]
    assert (told.kind, told.reason) == (Kind.CHANGED, "is for tunnels, and a child of it is in transport mode")


def test_a_secret_for_one_peer_lets_in_that_one_alone(folder: Path) -> None:
    secrets: Settings = {
        "ike-a": {"id-1": "a.example.net", "id-2": "gateway.test.example", "secret": "of a, sixteen chars"}
    }
    made = _make(folder, render(merge(responder(), {"secrets": secrets})))
    assert made.table()["remote_id"] == "a.example.net"
    two: Settings = {**secrets, "ike-b": {"id": "b.example.net", "secret": "of b, sixteen chars"}}
    refused = _map(folder, render(merge(responder(), {"secrets": two})))
    assert refused.connections == {}
    assert any("several ike secrets fit: give each peer a connection of its own" in line for line in _lost(refused))


def test_the_key_of_a_certificate_is_found_by_what_is_in_it(folder: Path) -> None:
    over: Settings = {"local": {"auth": "pubkey", "certs": "gw.pem", "id": "gw.example.net"}}
    made = _make(folder, _with(over))
    assert made.table()["local_key"] == str(folder / "private/some.key")
    (folder / "private/some.key").unlink()
    assert any("no key without passphrase" in line for line in _lost(_map(folder, _with(over))))


def test_secrets_are_in_files_of_their_own_and_in_no_report(mobike: Run, folder: Path, tmp_path: Path) -> None:
    (folder / "swanctl.conf").write_text(GOOD)
    into = tmp_path / "new"
    told = mobike("import", "swanctl", folder, "--into", into)
    assert told.code == 0, told.out
    assert told.out.splitlines()[-1] == "1 connection imported"
    assert sorted(each.name for each in into.iterdir()) == ["gw.psk", "mobike.toml"]
    assert {each.stat().st_mode & 0o777 for each in into.iterdir()} == {0o600}
    secret = (into / "gw.psk").read_text().strip()
    assert secret in GOOD
    assert secret not in told.out + (into / "mobike.toml").read_text()
    assert mobike("check", "-c", into).code == 0
    again = mobike("import", "swanctl", folder, "--into", into)
    assert (again.code, "has mobike.toml, gw.psk already" in again.err) == (2, True)


def test_programs_are_told_in_json_and_by_the_exit_code(mobike: Run, folder: Path) -> None:
    (folder / "swanctl.conf").write_text(_with({"dscp": "101110"}))
    told = mobike("import", "swanctl", folder / "swanctl.conf", "-o", "json")
    report = json.loads(told.out)
    assert told.code == 1
    assert "[connections.gw]" in report["toml"]
    assert report["files"] == ["gw.psk"]
    (lost,) = [each for each in report["findings"] if each["kind"] == "unsupported"]
    assert (lost["key"], lost["file"]) == ("connections.gw.dscp", str(folder / "swanctl.conf"))


@pytest.mark.parametrize(
    ("text", "message"),
    [("connections {\n", "is not closed"), ("include swanctl.conf\n", "includes itself"), ("a = \x00\xff", None)],
)
def test_what_cannot_be_read_is_exit_code_2(mobike: Run, folder: Path, text: str, message: str | None) -> None:
    (folder / "swanctl.conf").write_bytes(text.encode("latin-1"))
    told = mobike("import", "swanctl", folder)
    assert told.code == 2
    assert (message or "is not UTF-8") in told.err
    assert mobike("import", "swanctl", folder / "absent").code == 2


def test_files_of_a_folder_are_included(folder: Path) -> None:
    (folder / "conf.d").mkdir()
    (folder / "conf.d/gw.conf").write_text(GOOD)
    assert list(_make(folder, "include conf.d/*.conf\n").imported.connections) == ["gw"]


@pytest.mark.parametrize(
    ("text", "ike", "found"),
    [
        ("aes256-sha2_384-ecp384", True, ["aes256-sha384-ecp384"]),
        (
            "aes128gcm16-prfsha256-prfsha384-x25519", True,
            ["aes128gcm16-prfsha256-x25519", "aes128gcm16-prfsha384-x25519"],
        ),
        ("aes128gcm16-noesn-esn", False, ["aes128gcm16", "aes128gcm16-esn"]),
        (
            "aes256gcm-x25519-ke1_mlkem768-ke1_mlkem512", False,
            ["aes256gcm16-x25519-ke1_mlkem768", "aes256gcm16-x25519-ke1_mlkem512"],
        ),
    ],
)  # fmt: skip
def test_one_proposal_of_several_of_a_kind_becomes_several(text: str, ike: bool, found: Sequence[str]) -> None:
    assert expand(text, ike=ike) == found


def test_a_proposal_that_would_become_very_many_is_refused() -> None:
    with pytest.raises(ValueError, match="64 are the most"):
        expand(
            "aes128-aes192-aes256-sha1-sha256-sha384-sha512-x25519-ecp256-ecp384-modp2048-modp3072-modp4096", ike=True
        )
