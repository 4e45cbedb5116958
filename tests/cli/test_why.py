"""`mobike why`: what is offered beside what is taken, where they part, and what to do."""

import json

import pytest

from tests.cli import golden
from tests.cli.conftest import Run, Running


@pytest.mark.parametrize(
    ("name", "peer"), [("algorithms", "198.51.100.7"), ("identity", "198.51.100.8"), ("no-answer", "lab")]
)
def test_a_peer_is_explained(
    mobike: Run, daemon: Running, monkeypatch: pytest.MonkeyPatch, name: str, peer: str
) -> None:
    golden.in_widths(f"why-{name}", mobike, monkeypatch, "--socket", daemon.socket, "why", peer)


def test_all_that_failed_of_late_is_a_list(mobike: Run, daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    golden.in_widths("why", mobike, monkeypatch, "--socket", daemon.socket, "why")


def test_programs_get_the_same(mobike: Run, daemon: Running) -> None:
    (found,) = json.loads(mobike("--socket", daemon.socket, "why", "lab", "-o", "json").out)
    assert (found["reason"], found["fault"]) == ("no-answer", "network")


def test_a_peer_that_nobody_knows_is_no_success(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "why", "192.0.2.99")
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("mobike: nothing is known to have failed of 192.0.2.99\n        name it by")
