"""What a daemon starts with, wherever the one before it ended; and the key of what it keeps."""

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mobike.config import ConfigError, load
from mobike.config.plan import plan
from mobike.facade import Refused
from mobike.facade.configuration import Edit
from mobike.gateway import documents
from mobike.gateway.documents import Document
from mobike.gateway.editor import MOST_TOLD, summary
from mobike.gateway.opening import Opening, open_up
from mobike.store import Archive, Revision, StoreError
from tests.config.judge import Judge

SECRET = "a horse nobody knows"
PEOPLE = """\
[connections.people]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@example.net"
psk = "correct horse battery staple"
local_ts = ["10.1.0.0/16"]
remote_ts = ["10.2.0.0/16"]
"""
ANNEX: dict[str, Any] = {
    "role": "responder",
    "local_id": "gw.example.net",
    "remote_id": "*@annex.example.org",
    "psk": SECRET,
    "local_ts": ["10.1.0.0/16"],
    "remote_ts": ["10.3.0.0/16"],
}


class House:
    """A folder with a configuration, and a daemon that starts in it and is gone again."""

    def __init__(self, folder: Path) -> None:
        self.file, self.state = folder / "mobike.toml", folder / "state"
        self.write()

    def write(self, more: str = "", daemon: str = "") -> None:
        self.file.touch(0o600)
        self.file.write_text(f'[daemon]\nstate_dir = "state"\n{daemon}\n{PEOPLE}{more}\n')

    def start(self) -> Opening:
        return open_up(self.file, load(self.file, Judge()), Judge())

    def starts_with(self) -> tuple[int, list[str], str]:
        """The revision, its connections, and what it says of liveness."""
        opening = self.start()
        close(opening)
        liveness = opening.loaded.tables.connections["people"].model_dump(mode="json")["liveness"]
        return opening.standing.head, [each.name for each in opening.loaded.settings.connections], liveness


def close(opening: Opening) -> Archive:
    assert opening.archive is not None
    opening.archive.close()
    return opening.archive


def edit(opening: Opening, document: Document, **standing: Any) -> None:
    """As the editor remembers it; then the process is gone, before anything was obeyed."""
    assert opening.archive is not None
    before = replace(opening.standing, **standing)
    opening.archive.add(Revision(0, 1.0, "ann", "api", "an edit"), document.octets(opening.archive.mark), before)
    opening.archive.close()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_what_the_files_say_is_the_first_revision_and_another_only_when_they_change(house: House) -> None:
    assert house.starts_with() == (1, ["people"], "30s")
    assert house.starts_with() == (1, ["people"], "30s")
    house.write('liveness = "7s"')
    assert house.starts_with() == (2, ["people"], "7s")


def test_an_edit_that_was_remembered_is_in_force_at_the_next_start(house: House) -> None:
    opening = house.start()
    edit(opening, opening.document.edited(Edit(connections={"annex": ANNEX}), {}))
    assert house.starts_with() == (2, ["people", "annex"], "30s")
    house.write('liveness = "7s"')
    assert house.starts_with() == (3, ["people", "annex"], "7s"), "connections of the store stay"
    kept = b"".join(each.read_bytes() for each in house.state.glob("config.db*"))
    assert SECRET.encode() not in kept


@pytest.mark.parametrize(("until", "starts"), [(1.0, (3, ["people"])), (2**40, (2, ["people", "annex"]))])
def test_an_edit_that_waited_for_its_confirmation(house: House, until: float, starts: tuple[int, list[str]]) -> None:
    opening = house.start()
    document = opening.document.edited(Edit(connections={"annex": ANNEX}), {})
    edit(opening, document, until=until, back_to=opening.standing.head)
    for _ in range(2):
        assert house.starts_with()[:2] == starts, "and a second start makes no difference"


def test_the_files_and_the_store_must_not_contradict_each_other(house: House) -> None:
    opening = house.start()
    edit(opening, opening.document.edited(Edit(connections={"annex": ANNEX}), {}))
    house.write(PEOPLE.replace("people", "annex"))
    with pytest.raises(ConfigError, match="annex"):
        house.start()
    house.write()
    assert house.starts_with()[0] == 2, "nothing was remembered of it, and nothing is locked"


# --- the key ---


def test_a_key_that_is_gone_is_no_reason_to_start_with_half_of_the_connections(house: House) -> None:
    house.starts_with()
    key = (house.state / "config.key").read_text()
    (house.state / "config.key").unlink()
    with pytest.raises(StoreError, match="this key is gone, and configurations are stored under it"):
        house.start()
    (house.state / "config.key").touch(0o600)
    (house.state / "config.key").write_text("0x" + "ab" * 32)
    with pytest.raises(StoreError, match="sealed under another key"):
        house.start()
    (house.state / "config.key").write_text(key)
    assert house.starts_with()[0] == 1


def test_the_key_may_be_a_variable_or_a_credential(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "0x" + secrets.token_hex(32)
    monkeypatch.setenv("CONFIG_KEY", key)
    house.write(daemon='config_key_env = "CONFIG_KEY"')
    assert house.starts_with()[0] == 1
    assert not (house.state / "config.key").exists()
    (tmp_path / "credentials").mkdir()
    credential = tmp_path / "credentials/config.key"
    credential.touch(0o600)
    credential.write_text(key)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credential.parent))
    house.write(daemon='config_key_file = "credential:config.key"')
    opening = house.start()
    close(opening)
    assert opening.standing.head == 2, "the same database, and another file of keys"
    assert key not in repr(opening.loaded.settings)
    for line, why in (
        ('config_key_env = "CONFIG_KEI"', "did you mean"),
        ('config_key_file = "a"\nconfig_key_env = "CONFIG_KEY"', "is a second key"),
    ):
        house.write(daemon=line)
        with pytest.raises(ConfigError, match=why):
            house.start()


def test_without_a_place_for_it_the_daemon_starts_and_remembers_nothing(house: House) -> None:
    house.state.write_text("in its place")
    opening = house.start()
    assert opening.archive is None
    assert [each.name for each in opening.loaded.settings.connections] == ["people"]


def test_what_another_daemon_keeps_in_the_same_place_is_left_to_it(house: House) -> None:
    first = house.start()
    assert house.start().archive is None
    close(first)
    assert house.starts_with()[0] == 1


# --- what callers can make grow ---


def test_all_that_is_stored_has_a_limit(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_OCTETS", 1000)
    document = Document(()).edited(Edit(connections={"a": ANNEX}), {})
    with pytest.raises(Refused, match="1000 is the most that is kept"):
        document.edited(Edit(connections={f"b{number}": ANNEX for number in range(9)}), {})
    with pytest.raises(Refused, match="1000 is the most that is kept"):
        document.edited(Edit(patches={"a": {"dns_domains": ["x" * 999]}}), {})
    assert document.edited(Edit(connections={"a": None}), {}).stored == {}


def test_the_line_of_a_revision_names_a_few_and_counts_the_rest(house: House) -> None:
    many = "".join(PEOPLE.replace("people", f"site{number}") for number in range(30))
    old = load(house.file, Judge())
    house.write(many.replace("*@", "a@"))
    line = summary(plan(old, load(house.file, Judge())))
    assert line.endswith(f"{30 - MOST_TOLD} more")
    assert line.count("added") == MOST_TOLD
