"""`mobike list`: tables for people in two widths, JSON, lines and YAML for programs, filters, and long lists."""

import json
from dataclasses import replace

import pytest
import yaml  # type: ignore[import-untyped]  # schemathesis brings it

from mobike.cli.output import yaml as lines_of_yaml
from tests.api.house import a_sa
from tests.cli import golden
from tests.cli.conftest import Run, Running

KINDS = (
    "ike-sas", "child-sas", "leases", "paths", "pools", "certificates", "policies", "connections", "addresses",
    "operations", "events", "audit", "counters",
)  # fmt: skip


def some(daemon: Running) -> None:
    """A client's IKE SA and two of peers."""
    daemon.house.sas = {
        "1": a_sa(1),
        "2": replace(a_sa(2, "roadwarriors"), role="responder", peer_id="carol@example.net", state="waiting"),
        "3": replace(
            a_sa(3, "roadwarriors"),
            role="responder",
            peer_id="a-laptop-with-a-long-name.staff.example.net",
            local="[2001:db8::10]:4500",
            remote="[2001:db8:77::abcd]:61000",
            transport="tcp",
            virtual_ips=("10.99.0.3", "fd00::3"),
        ),
    }
    daemon.house.tell("moving", "It goes from 192.0.2.10 to 198.51.100.20: the link wlan0 is gone", sa="1")
    daemon.house.tell("moved", "198.51.100.20:4500 -> 203.0.113.1:4500 after 12.5 ms", sa="1")


@pytest.mark.parametrize("kind", KINDS)
def test_every_list_is_a_table(mobike: Run, daemon: Running, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    some(daemon)
    golden.in_widths(f"list-{kind}", mobike, monkeypatch, "--socket", daemon.socket, "list", kind)


def test_the_wide_table_has_every_column_on_one_line(
    mobike: Run, daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(daemon)
    monkeypatch.setattr("time.time", lambda: golden.NOW)
    monkeypatch.setenv("COLUMNS", "80")
    told = mobike("--socket", daemon.socket, "list", "ike-sas", "-o", "wide")
    golden.check("list-ike-sas.wide", told.out)
    assert len(told.out.splitlines()) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_programs_get_the_same_rows_in_every_format(mobike: Run, daemon: Running, kind: str) -> None:
    some(daemon)
    as_json = json.loads(mobike("--socket", daemon.socket, "list", kind, "-o", "json").out)
    as_lines = mobike("--socket", daemon.socket, "list", kind, "-o", "ndjson").out.splitlines()
    as_yaml = yaml.safe_load(mobike("--socket", daemon.socket, "list", kind, "-o", "yaml").out)
    assert [json.loads(line) for line in as_lines] == as_json == as_yaml


def test_the_record_says_who_changed_what(mobike: Run, daemon: Running) -> None:
    some(daemon)
    assert mobike("--socket", daemon.socket, "move", "1", "--local", "198.51.100.20", "--wait", "0").code == 0
    assert mobike("--socket", daemon.socket, "down", "9").code == 1
    told = mobike("--socket", daemon.socket, "list", "audit", "-o", "wide").out.splitlines()
    assert [each.split()[:1] for each in told[:1]] == [["seq"]]
    assert "POST /api/v1/ike-sas/1/move" in told[-1]
    assert '"198.51.100.20"' in told[-1]
    (only,) = json.loads(
        mobike("--socket", daemon.socket, "list", "audit", "-n", "1", "--action", "move_ike_sa", "-o", "json").out
    )
    assert (only["action"], only["status"]) == ("move_ike_sa", 202)


def test_pages_that_go_back_are_followed_to_their_end(mobike: Run, daemon: Running) -> None:
    for number in range(1, 1001):
        daemon.house.tell("moved", f"{number}", sa="1")
    everything = mobike("--socket", daemon.socket, "list", "events", "-o", "ndjson").out.splitlines()
    assert [json.loads(line)["text"] for line in everything] == [f"{number}" for number in range(1000, 0, -1)]
    assert len(mobike("--socket", daemon.socket, "list", "events", "-n", "30").out.splitlines()) == 32


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        [{}],
        [[], [1, [2, "x"]]],
        {"a": {"b": [], "c": [{"d": None, "e": [True, 1.5]}]}, "odd key": "- # : \u202e\n", "no": "yes"},
        "~",
    ],
)
def test_yaml_says_what_was_said(value: object) -> None:
    assert yaml.safe_load("\n".join(lines_of_yaml(value))) == value


def test_filters_are_the_daemons(mobike: Run, daemon: Running) -> None:
    some(daemon)

    def ids(*options: str) -> list[str]:
        told = mobike("--socket", daemon.socket, "list", "ike-sas", *options, "-o", "ndjson")
        assert told.code == 0
        return [json.loads(line)["id"] for line in told.out.splitlines()]

    assert ids("--connection", "roadwarriors") == ["2", "3"]
    assert ids("--state", "waiting") == ["2"]
    assert ids("--transport", "tcp", "--role", "responder") == ["3"]
    assert ids("--local", "2001:db8::10") == ["3"]
    assert ids("-C", "nobody") == []
    told = mobike("--socket", daemon.socket, "list", "ike-sas", "--local", "not an address")
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("mobike: ")


def test_a_long_list_is_cut_for_people_and_whole_for_programs(mobike: Run, daemon: Running) -> None:
    daemon.house.sas = {f"{number:x}": a_sa(number) for number in range(1, 2501)}
    told = mobike("--socket", daemon.socket, "list", "ike-sas")
    assert len(told.out.splitlines()) == 102
    assert told.out.splitlines()[-1] == "... and more than these 100; --limit shows more, 0 all"
    assert len(mobike("--socket", daemon.socket, "list", "ike-sas", "-n", 0).out.splitlines()) == 2501
    assert len(mobike("--socket", daemon.socket, "list", "ike-sas", "-o", "ndjson").out.splitlines()) == 2500


def test_an_empty_list_says_so_to_people_and_is_empty_for_programs(mobike: Run, daemon: Running) -> None:
    daemon.house.sas = {}
    assert mobike("--socket", daemon.socket, "list", "ike-sas").out == "There is no such IKE SA.\n"
    assert json.loads(mobike("--socket", daemon.socket, "list", "ike-sas", "-o", "json").out) == []
    assert mobike("--socket", daemon.socket, "list", "ike-sas", "-o", "ndjson").out == ""


def test_what_a_peer_calls_itself_cannot_touch_the_terminal(mobike: Run, daemon: Running) -> None:
    daemon.house.sas = {"1": replace(a_sa(1), peer_id="\x1b]0;owned\x07[bold red]gw[/]")}
    for format_ in ("table", "wide", "json", "ndjson", "yaml"):
        told = mobike("--socket", daemon.socket, "list", "ike-sas", "-o", format_)
        assert not set("\x1b\x07") & set(told.out)
