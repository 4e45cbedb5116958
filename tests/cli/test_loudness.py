"""`mobike log`: a peer is told of more for a while, shown, and told of like all others again."""

import json

from tests.cli.conftest import Run, Running


def test_a_level_is_set_shown_and_reset(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "log", "set", "198.51.100.7", "--for", "2h")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("198.51.100.7: debug until ")
    (rule,) = daemon.house.log_levels.rules()
    assert (rule.level, rule.until - rule.made, rule.by[:5]) == ("debug", 7200, "user ")
    listed = mobike("--socket", daemon.socket, "log", "list").out.splitlines()
    assert listed[1].startswith("198.51.100.7")
    assert listed[2].startswith("everybody else")
    as_json = json.loads(mobike("--socket", daemon.socket, "log", "list", "-o", "json").out)
    assert [each["peer"] for each in as_json["items"]] == ["198.51.100.7"]
    assert mobike("--socket", daemon.socket, "log", "reset", "198.51.100.7").code == 0
    assert daemon.house.log_levels.rules() == ()


def test_what_makes_no_sense_is_refused(mobike: Run, daemon: Running) -> None:
    told = mobike("--socket", daemon.socket, "log", "set", "office", "--for", "soon")
    assert (told.code, "--for" in told.err) == (2, True)
    assert mobike("--socket", daemon.socket, "log", "set", "office", "--level", "loud").code == 1
    told = mobike("--socket", daemon.socket, "log", "reset", "office")
    assert (told.code, "has no level of its own" in told.err) == (1, True)
    assert daemon.house.log_levels.rules() == ()
