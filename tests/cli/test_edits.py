"""Commands that change the configuration of a daemon while it runs: what each says, against a real daemon, in full."""

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mobike._core", reason="needs the core: this is a real daemon")

from mobike.cli import edits
from mobike.cli.api import Api, Json
from tests.cli.conftest import Run, Told
from tests.gateway.rig import Gateway, gateway

SECRET = "a horse nobody knows"
ANNEX = f"""\
role = "responder"
local_id = "gw.example.net"
remote_id = "*@annex.example.org"
psk = "{SECRET}"
local_ts = ["10.1.0.1/32"]
pool = ["10.97.0.0/24"]
"""
Ask = Callable[..., Told]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as house:
        yield house
        assert SECRET not in house.end.log.read_text()


@pytest.fixture
def ask(mobike: Run, house: Gateway) -> Ask:
    """A command to that daemon; its output without folders and times."""
    folder = house.end.config.parent

    def asked(*arguments: object) -> Told:
        told = mobike("--socket", house.end.socket, *arguments)
        out = told.out.replace(f"{folder}/", "")
        assert SECRET not in told.out + told.err
        out = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "WHEN", out)
        return Told(told.code, re.sub(r'"at": \d+\.\d+', '"at": 0', out), told.err.replace(f"{folder}/", ""))

    return asked


def good(told: Told) -> list[str]:
    assert (told.code, told.err) == (0, "")
    return told.out.splitlines()


def write(house: Gateway, more: str) -> None:
    """More for the end of its file."""
    text = house.end.config.read_text().split("# more\n", 1)[0]
    house.end.config.write_text(f"{text}# more\n{more}")


def annex(house: Gateway, text: str = ANNEX) -> Path:
    file = house.end.config.parent / "annex.toml"
    file.write_text(text)
    return file


def test_an_edit_of_the_files_is_planned_applied_listed_and_taken_back(house: Gateway, ask: Ask) -> None:
    nothing = ["Nothing changes: what is in force says the same."]
    assert good(ask("config", "plan")) == nothing
    assert good(ask("reload")) == nothing
    write(house, 'liveness = "7s"\nesp = ["aes256gcm16"]\n')
    line = len(house.end.config.read_text().splitlines())
    planned = [
        "~ rw (0 IKE SAs): Child SAs are rekeyed",
        f"    connections.rw.esp: [aes128gcm16, aes256gcm16, chacha20poly1305] -> [aes256gcm16] (gateway.toml:{line})",
        f"    connections.rw.liveness: 30s -> 7s (gateway.toml:{line - 1})",
    ]
    assert sorted(good(ask("config", "plan"))) == sorted(planned)
    assert (
        good(ask("config", "plan", "--keep"))[0] == "~ rw (0 IKE SAs): IKE SAs stay as they are; the next ones have it"
    )
    assert [*good(ask("config", "apply"))][-1] == "In force: revision 2."
    assert good(ask("config", "plan")) == nothing
    assert good(ask("config", "rollback", 1))[-1] == "In force: revision 3."
    who = f"user {os.getuid()}, from unix"
    assert sorted(good(ask("config", "changes", 2))) == sorted(planned)
    assert good(ask("config", "changes", 3, "--since", 1)) == ["They say the same."]
    assert sorted(good(ask("config", "rollback", 2, "--plan"))) == sorted(planned)
    assert json.loads(ask("config", "changes", 2, "-o", "json").out)["revision"] is None
    told = ask("config", "changes", 9)
    assert (told.code, told.out) == (1, "")
    assert "there is no revision 9" in told.err
    assert good(ask("config", "revisions")) == [
        f"*     3  WHEN  {who}: back to revision 1",
        f"      2  WHEN  {who}: rw changed (Child SAs are rekeyed)",
        "      1  WHEN  the start: what the files say",
    ]
    assert len(good(ask("config", "revisions", "-n", 1))) == 1
    listed = json.loads(ask("config", "revisions", "-o", "json").out)
    assert [(each["number"], each["current"]) for each in listed["items"]] == [(3, True), (2, False), (1, False)]


def test_what_is_to_be_confirmed_says_until_when(house: Gateway, ask: Ask) -> None:
    told = ask("config", "confirm")
    assert (told.code, told.out) == (1, "")
    assert "nothing waits for a confirmation" in told.err
    write(house, 'liveness = "7s"\n')
    assert good(ask("config", "apply", "--confirm-in", "1h"))[-2:] == [
        "In force: revision 2.",
        "It is taken back at WHEN unless 'mobike config confirm' comes first.",
    ]
    assert good(ask("config", "confirm")) == ["Revision 2 stays."]
    told = ask("config", "apply", "--confirm-in", "5 minutes")
    assert (told.code, told.out) == (2, "")
    assert ask("config", "apply", "--confirm-in", "2d").code != 0
    assert ask("config", "rollback", 77).code != 0


def test_what_is_wrong_and_what_needs_a_restart_is_told_with_its_place(house: Gateway, ask: Ask) -> None:
    config, text = house.end.config, house.end.config.read_text()
    config.write_text(text.replace('psk = "', 'pskk = "'))
    for words in (["reload"], ["config", "plan"], ["config", "apply"]):
        told = ask(*words)
        assert told.code != 0
        assert "did you mean psk?" in told.err
        assert "gateway.toml:" in told.err
    config.write_text(text.replace("[limits]", "[limits]\nmax_half_open = 77"))
    lines = good(ask("reload"))
    assert lines[0] == "! obeyed when the daemon starts anew"
    assert re.fullmatch(r"    limits\.max_half_open: 4096 -> 77 \(gateway\.toml:\d+\)", lines[1])
    assert len(lines) == 2


def test_a_connection_of_the_daemon_is_made_shown_changed_and_removed(house: Gateway, ask: Ask) -> None:
    assert good(ask("connection", "set", "annex", annex(house))) == ["+ annex: new", "In force: revision 2."]
    shown = json.loads(ask("connection", "show", "annex").out)
    assert shown.pop("mark").startswith("hmac-sha256:")
    assert shown == {
        "name": "annex",
        "place": "the store",
        "stored": True,
        "secrets": ["psk"],
        "table": {
            "role": "responder",
            "local_id": "gw.example.net",
            "remote_id": "*@annex.example.org",
            "local_ts": ["10.1.0.1/32"],
            "pool": ["10.97.0.0/24"],
        },
    }
    assert good(ask("connection", "set", "annex", annex(house, ANNEX + 'liveness = "9s"\n'))) == [
        "~ annex (0 IKE SAs): IKE SAs stay as they are",
        "    connections.annex.liveness: 30s -> 9s (the store)",
        "In force: revision 3.",
    ]
    other = annex(house, ANNEX.replace(SECRET, f"{SECRET}, not even now"))
    lines = good(ask("connection", "set", "annex", other, "-o", "json"))
    assert json.loads("\n".join(lines))["steps"][0]["touch"] == "close"
    assert good(ask("connection", "delete", "annex")) == ["- annex: gone, with 0 IKE SAs", "In force: revision 5."]
    assert ask("connection", "show", "annex").code != 0


def test_nobody_overwrites_what_somebody_else_changed_meanwhile(house: Gateway, ask: Ask) -> None:
    assert good(ask("connection", "set", "annex", annex(house), "--new"))[0] == "+ annex: new"
    told = ask("connection", "set", "annex", annex(house), "--new")
    assert (told.code, told.out) == (1, "")
    assert "this was meant for something else" in told.err
    (seen,) = good(ask("connection", "show", "annex", "--tag"))
    changed = annex(house, ANNEX + 'liveness = "9s"\n')
    assert good(ask("connection", "set", "annex", changed, "--if-match", seen))[-1] == "In force: revision 3."
    for words in (("set", "annex", changed), ("delete", "annex")):
        told = ask("connection", *words, "--if-match", seen)
        assert (told.code, told.out) == (1, "")
        assert "read it again, and decide anew" in told.err
    assert ask("connection", "set", "annex", changed, "--if-match", seen, "--new").code == 2
    (now,) = good(ask("connection", "show", "annex", "--tag"))
    assert good(ask("connection", "delete", "annex", "--if-match", now))[-1] == "In force: revision 4."


def test_a_connection_is_edited_as_it_is_and_keeps_its_secret(
    house: Gateway, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert ask("connection", "set", "annex", annex(house, ANNEX + 'liveness = "9s"\n')).code == 0

    def by(script: str) -> None:
        editor = tmp_path / "editor"
        editor.write_text(f"#!/bin/sh\n{script}\n")
        editor.chmod(0o700)
        monkeypatch.setenv("VISUAL", str(editor))

    by('grep -q "Not shown.*psk" "$1" && sed -i -e "s/10.97.0.0/10.96.0.0/" -e /liveness/d "$1"')
    assert good(ask("connection", "edit", "annex")) == [
        "~ annex (0 IKE SAs): IKE SAs stay as they are; the next ones have it",
        "    connections.annex.pool: [10.97.0.1-10.97.0.254] -> [10.96.0.1-10.96.0.254] (the store)",
        "    connections.annex.liveness: 9s -> 30s (the store)",
        "In force: revision 3.",
    ]
    shown = json.loads(ask("connection", "show", "annex").out)
    assert (shown["secrets"], "liveness" in shown["table"]) == (["psk"], False)
    by("true")
    assert good(ask("connection", "edit", "annex")) == ["annex: nothing was changed"]
    assert list(tmp_path.glob("mobike-*.toml")) == [], "no draft is left of what was done"

    # What cannot be obeyed is kept, with its reason.
    by('sed -i "s/responder/respondent/" "$1"')
    told = ask("connection", "edit", "annex")
    (draft,) = tmp_path.glob("mobike-*.toml")
    assert (told.code, draft.name in told.err, draft.stat().st_mode & 0o777) == (1, True, 0o600)
    draft.unlink()
    by("exit 3")
    assert "ended with 3" in ask("connection", "edit", "annex").err
    monkeypatch.setenv("VISUAL", str(tmp_path / "absent"))
    assert "set EDITOR" in ask("connection", "edit", "annex").err
    assert "gateway.toml:" in ask("connection", "edit", "rw").err, "it says which file to edit"


def test_an_edit_counts_only_for_what_was_opened(
    house: Gateway, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert ask("connection", "set", "annex", annex(house)).code == 0
    patch = edits.patch

    def too_late(api: Api, name: str, changes: Json, **more: Any) -> Json:
        assert ask("connection", "set", "annex", annex(house, ANNEX + 'liveness = "9s"\n')).code == 0
        return patch(api, name, changes, **more)

    monkeypatch.setattr(edits, "patch", too_late)
    monkeypatch.setenv("VISUAL", "sed -i s/10.97/10.96/")
    told = ask("connection", "edit", "annex")
    assert (told.code, "read it again" in told.err, "your text is kept in" in told.err) == (1, True, True)
    assert json.loads(ask("connection", "show", "annex").out)["table"]["pool"] == ["10.97.0.0/24"]


def test_a_connection_that_is_wrong_or_in_a_file_is_refused(house: Gateway, ask: Ask) -> None:
    for text, why in [
        (ANNEX.replace("role", "rolle"), "did you mean role?"),
        (ANNEX + 'on_up = ["/bin/true"]\n', "said in files alone"),
    ]:
        told = ask("connection", "set", "annex", annex(house, text))
        assert told.code != 0
        assert why in told.err
    told = ask("connection", "set", "rw", annex(house))
    assert told.code != 0
    assert "is in gateway.toml:" in told.err
    assert ask("connection", "set", "annex", annex(house, "role = [")).code == 2
    assert ask("connection", "set", "annex", house.end.config.parent / "missing.toml").code == 2
    assert good(ask("config", "plan")) == ["Nothing changes: what is in force says the same."]
