"""`mobike config`, judged by the real core."""

import json
from pathlib import Path

import pytest

from mobike.facade.keys import KEYS
from tests.cli.conftest import Run
from tests.config.office import KEY, office

pytest.importorskip("mobike._core", reason="needs the core to judge proposals and identities")

OFFICE = office('psk_env = "OFFICE_PSK"')


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OFFICE_PSK", KEY)
    (tmp_path / "mobike.toml").write_text("[daemon]\nshards = 2\n")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/office.toml").write_text(OFFICE)
    return tmp_path


def test_the_schema_is_json(mobike: Run) -> None:
    assert json.loads(mobike("config", "schema").out)["title"] == "mobike.toml"


def test_a_folder_is_checked_as_a_whole(mobike: Run, folder: Path) -> None:
    assert mobike("check", "-c", folder).out == f"{folder}: good, 1 connection\n"


def test_show_says_where_each_value_comes_from(mobike: Run, folder: Path) -> None:
    told = mobike("config", "show", "-c", folder, "--written")
    assert told.code == 0
    assert [" ".join(line.replace(f"{folder}/", "").split()) for line in told.out.splitlines()] == [
        "[daemon]",
        "shards = 2 # mobike.toml:2",
        "",
        "[connections.office]",
        'role = "initiator" # conf.d/office.toml:2',
        'remote = ["203.0.113.1"] # conf.d/office.toml:3',
        'local_id = "alice@example.net" # conf.d/office.toml:4',
        'remote_id = "gw.example.net" # conf.d/office.toml:5',
        'psk_env = "OFFICE_PSK" # conf.d/office.toml:6',
        'virtual_ip = ["ipv4"] # conf.d/office.toml:7',
    ]
    keys = json.loads(mobike("config", "show", "-c", folder, "-o", "json").out)
    about = KEYS["daemon"]["natt_port"]
    assert {"key": "daemon.natt_port", "value": 4500, "origin": "default", "place": None, "about": about} in keys
    explained = mobike("config", "show", "-c", folder, "--written", "--explain").out.splitlines()
    assert explained[:2] == ["[daemon]", "# Threads, each with its own sockets and SAs."]
    assert mobike("config", "keys").out.splitlines()[0] == "# Keys"


def test_diff_says_what_an_edit_means(mobike: Run, folder: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.d"
    new.mkdir()
    (new / "mobike.toml").write_text(OFFICE.replace("alice", "bob") + 'liveness = "10s"\n')
    told = mobike("config", "diff", folder, new)
    assert (told.code, told.err) == (0, "")
    assert told.out.replace(f"{new}/", "").splitlines() == [
        "~ connections.office: another IKE SA: reauthenticated, or closed by its responder",
        '    local_id: "alice@example.net" -> "bob@example.net"',
        "        another IKE SA: reauthenticated, or closed by its responder (mobike.toml:4)",
        '    liveness: "30s" -> "10s"',
        "        nothing: obeyed at once (mobike.toml:8)",
        "~ the rest",
        "    daemon.shards: 2 -> 1",
        "        restart of the daemon (now the default)",
    ]
    assert mobike("config", "diff", folder, folder).out == "They say the same.\n"
    found = json.loads(mobike("config", "diff", folder, new, "-o", "json").out)
    assert found["changed"]["office"]["effect"] == "ike"
    assert [key["key"] for key in found["rest"]] == ["daemon.shards"]


def test_a_wrong_configuration_is_exit_code_2_with_all_its_problems(mobike: Run, folder: Path) -> None:
    (folder / "conf.d/a.toml").write_text("[deamon]\n")
    for words in (("show", "-c", folder), ("diff", folder, folder)):
        told = mobike("config", *words)
        assert told.code == 2
        assert "conf.d/a.toml:1: deamon: unknown key; did you mean daemon?" in told.err
