"""`mobike credential`: what it sends, what it prints, and that nothing it prints is a secret."""

import io
import json
import sys
from pathlib import Path

import pytest

from mobike.facade.configuration import NewCredential
from tests.cli.conftest import Run, Running

SECRET = "a horse nobody knows"


def test_a_credential_is_set_from_a_file_listed_and_deleted(mobike: Run, daemon: Running, tmp_path: Path) -> None:
    file = tmp_path / "annex.psk"
    file.write_text(f"{SECRET}\n")
    told = mobike("--socket", daemon.socket, "credential", "set", "annex", file, "--kind", "psk")
    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines()[0] == "+ credential annex"
    assert daemon.house.configurations.held["annex"].text == SECRET
    listed = mobike("--socket", daemon.socket, "credential", "list")
    assert listed.out.startswith("annex  psk, since ")
    assert listed.out.splitlines()[0].endswith("used by nobody")
    assert listed.out.splitlines()[1].startswith("    hmac-sha256:")
    as_json = json.loads(mobike("--socket", daemon.socket, "credential", "list", "-o", "json").out)
    assert [each["name"] for each in as_json["items"]] == ["annex"]
    gone = mobike("--socket", daemon.socket, "credential", "delete", "annex")
    assert gone.out.splitlines()[0] == "- credential annex"
    assert "None:" in mobike("--socket", daemon.socket, "credential", "list").out
    assert SECRET not in told.out + listed.out + gone.out


def test_it_may_come_over_the_input(mobike: Run, daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{SECRET}\r\n".encode())))
    assert mobike("--socket", daemon.socket, "credential", "set", "annex", "-", "-k", "password").code == 0
    assert daemon.house.configurations.held["annex"].text == SECRET


def test_who_uses_one_is_told_where_it_does_not_go(mobike: Run, daemon: Running, tmp_path: Path) -> None:
    chancery = daemon.house.configurations
    (tmp_path / "a").write_text(SECRET)
    assert mobike("--socket", daemon.socket, "credential", "set", "annex", tmp_path / "a", "-k", "psk").code == 0
    chancery.stored["site"] = {"psk_file": "stored:annex"}
    told = mobike("--socket", daemon.socket, "credential", "delete", "annex")
    assert told.code == 1
    assert "credential 'annex' is in use: site" in told.err
    assert "site" in mobike("--socket", daemon.socket, "credential", "list").out


@pytest.mark.parametrize(
    ("content", "words"), [(b"\xff\xfe", "is no text"), (b"x" * 49_153, "is too long"), (None, "No such file")]
)
def test_a_file_of_no_use_is_the_callers_fault(
    mobike: Run, daemon: Running, tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "a").write_bytes(content)
    told = mobike("--socket", daemon.socket, "credential", "set", "annex", tmp_path / "a", "-k", "psk")
    assert told.code == 2
    assert words in told.err
    assert daemon.house.configurations.held == {}


def test_a_kind_that_is_not_known_is_refused(mobike: Run, daemon: Running, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(SECRET)
    told = mobike("--socket", daemon.socket, "credential", "set", "annex", tmp_path / "a", "-k", "pks")
    assert told.code == 1
    assert "kind" in told.err
    assert SECRET not in told.err


def test_what_is_sent_shows_nothing_of_itself() -> None:
    assert SECRET not in repr(NewCredential("psk", SECRET))
