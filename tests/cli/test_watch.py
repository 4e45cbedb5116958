"""`mobike watch`: events line by line, and a screen that fits."""

import json
from collections import deque
from io import StringIO

import pytest
from rich.console import Console

from mobike.cli.watch import Scene, draw, line
from tests.cli import golden
from tests.cli.conftest import Run, Running

HEALTH = {"version": "0.1.0", "uptime_s": 3725.0, "ready": True, "reasons": []}


def test_events_are_lines_as_they_come(mobike: Run, daemon: Running) -> None:
    daemon.house.tell("sa-up", "IKE SA is up", sa="1")
    daemon.house.tell("moved", "1 moved to 198.51.100.20:4500", sa="1")
    told = mobike("--socket", daemon.socket, "watch", "--after", "0", "--count", "2")
    assert told.code == 0
    first, second = told.out.splitlines()
    assert first[8:] == "  sa-up             office 1  IKE SA is up"
    assert second[8:] == "  moved             office 1  1 moved to 198.51.100.20:4500"


def test_programs_get_them_as_json(mobike: Run, daemon: Running) -> None:
    daemon.house.tell("sa-up", "IKE SA is up", sa="1")
    told = mobike("--socket", daemon.socket, "watch", "--after", "0", "--count", "1", "--json")
    assert json.loads(told.out)["kind"] == "sa-up"


def test_an_event_is_one_line_whatever_is_in_it() -> None:
    event = {"at": 0.0, "kind": "sa-up", "connection": None, "sa": None, "text": "a\nb\x1b[2J\u202e"}
    assert line(event).count("\n") == 0
    assert not set("\x1b\u202e") & set(line(event))


def scene(sas: int) -> Scene:
    connections = [
        {"name": "office", "role": "initiator", "state": "up", "ike_sas": 1, "last_error": None},
        {"name": "lab", "role": "initiator", "state": "down", "ike_sas": 0, "last_error": "no answer from 203.0.113.9"},
    ]
    rows = [
        {
            "state": "established",
            "connection": "office",
            "peer_id": f"somebody-with-a-name-{number}.staff.example.net",
            "local": "192.0.2.10:4500",
            "remote": f"203.0.113.{number}:4500",
            "transport": "udp",
            "moves": number,
            "since": golden.NOW - 60 * number,
        }
        for number in range(sas)
    ]
    events = deque(
        {"at": golden.NOW, "kind": "moved", "connection": "office", "sa": f"{number}", "text": "moved " * 30}
        for number in range(30)
    )
    return Scene(HEALTH, connections, rows, 2_500, events)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (60, 12)])
def test_the_screen_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, width: int, height: int) -> None:
    monkeypatch.setattr("time.time", lambda: golden.NOW)
    monkeypatch.setenv("TZ", "UTC")
    console = Console(width=width, height=height, highlight=False, record=True, file=StringIO())
    console.print(draw(scene(100), width, height))
    lines = console.export_text().splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "... and 2," in "\n".join(lines)
