"""`mobike capture`: what it writes, for whom, and what it leaves behind where it cannot."""

from pathlib import Path

import pytest

from mobike.cli.capture import _FILES
from tests.api.tapes import KEYS
from tests.cli.conftest import Run, Running


def test_a_folder_for_wireshark_is_made(mobike: Run, daemon: Running, tmp_path: Path) -> None:
    folder = tmp_path / "told"
    told = mobike("--socket", daemon.socket, "capture", "office", "--into", folder)
    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines()[0] == "1 packets, 7 octets of IKE SA 1: its time is over"
    assert (folder / "esp_sa").read_text() == f"{KEYS.esp_sa[0]}\n"
    assert {each.name for each in folder.iterdir()} == {"capture.pcapng", "preferences", *_FILES}
    assert daemon.house.captures.known == {}, "nothing is left with the daemon"


def test_what_cannot_be_captured_leaves_no_folder(mobike: Run, daemon: Running, tmp_path: Path) -> None:
    daemon.house.captures.busy = True
    told = mobike("--socket", daemon.socket, "capture", "1", "--into", tmp_path / "told")
    assert (told.code, told.err) == (1, "mobike: another capture runs\n")
    assert list(tmp_path.glob("told*")) == []


def test_ctrl_c_keeps_what_there_is(
    mobike: Run, daemon: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mobike.cli.capture.sleep", interrupt)
    told = mobike("--socket", daemon.socket, "capture", "1", "--into", tmp_path / "told")
    assert (told.code, told.out.splitlines()[0].endswith("you ended it")) == (0, True)
    assert (tmp_path / "told" / "capture.pcapng").stat().st_size > 0
