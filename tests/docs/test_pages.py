"""Snippets of pages other than the guides are read by what they are for. Their commands are run (test_commands), the
guides as a whole (test_guides); what is said of `why` and `ladder` is compared with what they print
(tests/cli/test_docs)."""

import asyncio
import base64
import configparser
import hmac
import shutil
import subprocess
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # schemathesis brings it

pytest.importorskip("mobike._core", reason="needs the core: it knows the algorithms")

from mobike import _core
from mobike.auth.visitors import Admit, Judgement, Refuse
from mobike.config import Loaded, load
from mobike_api.webhooks import sign
from tests.auth.pki import Authority
from tests.docs.pages import BLOCKS, ROOT, Block

OFFICE = {
    "role": "initiator",
    "remote": ["203.0.113.1"],
    "local_id": "alice@example.net",
    "remote_id": "gw.example.net",
    "psk": "correct horse battery staple",
    "virtual_ip": ["ipv4"],
}
"""A connection to which a snippet adds its keys."""


def of_kind(*kinds: str) -> list[Block]:
    return [each for each in BLOCKS if each.kind in kinds]


def test_every_block_is_looked_at_by_somebody() -> None:
    kinds = {each.kind for each in BLOCKS if each.is_run and not each.is_drawn}
    # Commands, and scripts, in test_commands; drawings, as text and by mermaid, are shown.
    assert kinds == {"", "sh", "toml", "ini", "yaml", "python", "text", "mermaid"}


@pytest.mark.parametrize("block", [each for each in of_kind("toml") if each.page != "docs/world.md"])
def test_a_configuration_that_a_page_shows_is_one(block: Block, tmp_path: Path) -> None:
    loaded = as_shown(block.text, tmp_path)
    assert loaded.settings.connections


def as_shown(text: str, folder: Path) -> Loaded:
    """What is shown, and what goes without saying: the connection whose keys they are, and the files that they name."""
    shown = tomllib.loads(text)
    if not any(isinstance(each, dict) for each in shown.values()):
        shown = {"connections": {"office": shown}}
    office = OFFICE | shown.get("connections", {}).get("office", {})
    if "psk_file" in office:
        del office["psk"]
    if "local_key" in office:
        office |= {"local_auth": "cert", "remote_auth": "psk", "local_cert": "gateway.pem"}
    whole = shown | {"connections": shown.get("connections", {}) | {"office": office}}
    authority = Authority.new(at=datetime.now(UTC))
    authority.write(folder / "callers.pem")
    for name in ("api", "gateway"):
        authority.issue("gw.example.net").write(folder, name)
    for name in ("pager.secret", "people.psk"):
        (folder / name).write_text("correct horse battery staple")
        (folder / name).chmod(0o600)
    file = folder / "mobike.toml"
    file.write_text("".join(written(name, table) for name, table in whole.items()))
    return load(file, _core, environ={"CREDENTIALS_DIRECTORY": str(folder)})


def written(name: str, table: dict[str, Any]) -> str:
    """A table as TOML."""
    flat = {key: each for key, each in table.items() if not isinstance(each, dict)}
    below = {key: each for key, each in table.items() if isinstance(each, dict) and key != "clients"}
    lines = [f"{key} = {value(each)}" for key, each in (flat | {k: table[k] for k in table if k == "clients"}).items()]
    return "\n".join([f"[{name}]", *lines, ""]) + "".join(written(f"{name}.{key}", each) for key, each in below.items())


def value(said: object) -> str:
    match said:
        case bool():
            return str(said).lower()
        case list():
            return f"[{', '.join(map(value, said))}]"
        case dict():
            return "{" + ", ".join(f'"{key}" = {value(each)}' for key, each in said.items()) + "}"
        case str():
            return f'"{said}"'
        case _:
            return str(said)


@pytest.mark.parametrize("block", of_kind("yaml"))
def test_yaml_that_a_page_shows_is_yaml(block: Block) -> None:
    assert yaml.safe_load(block.text)


@pytest.mark.parametrize("block", of_kind("ini"))
def test_systemd_takes_what_a_page_adds_to_the_unit(block: Block, tmp_path: Path) -> None:
    parsed = configparser.ConfigParser(strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # keys are told apart by their case
    parsed.read_string(block.text)
    assert parsed.sections()
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "mobike.service"
    unit.write_text((ROOT / "docs/deploy/mobike.service").read_text().replace("/usr/bin/mobike", "/bin/true"))
    (tmp_path / "mobike.service.d").mkdir()
    (tmp_path / "mobike.service.d/shown.conf").write_text(block.text)
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], check=False, capture_output=True, text=True
    )
    assert [line for line in told.stderr.splitlines() if "mobike" in line or "shown" in line] == []


def python_of(page: str) -> str:
    (found,) = (each.text for each in of_kind("python") if each.page == page)
    return found


def test_what_is_shown_of_a_message_checks_its_signature() -> None:
    known = {"secret": b"of a pager", "id": "msg_1", "timestamp": "1790003612", "body": b"{}"}
    code = compile(python_of("docs/api.md"), "docs/api.md", "exec")
    for signed, taken in (("msg_1", True), ("msg_2", False)):
        names: dict[str, Any] = {"hmac": hmac, "base64": base64, **known}
        names["signature"] = sign(b"of a pager", signed, "1790003612", b"{}")
        exec(code, names)  # noqa: S102 - it is ours
        assert names["taken"] is taken


def test_what_is_shown_of_an_operators_own_word_judges() -> None:
    async def on_leave(name: str) -> bool:
        return name == "ann@example.net"

    class Visitor:
        eap_name = None

        def __init__(self, peer_id: str) -> None:
            self.peer_id = peer_id

    names: dict[str, Any] = {"on_leave": on_leave}
    exec(compile(python_of("docs/authentication.md"), "docs/authentication.md", "exec"), names)  # noqa: S102

    def judged(name: str) -> Judgement:
        word: Judgement = asyncio.run(names["Door"]().judge(Visitor(name)))
        return word

    assert judged("ann@example.net") == Refuse("on leave")
    assert judged("bob@example.net") == Admit()


def test_python_that_a_page_shows_is_run_here() -> None:
    assert {each.page for each in of_kind("python")} == {"docs/api.md", "docs/authentication.md"}
