"""`mobike ladder`, and what shows one thing: for people in two widths and in full, for programs in three formats."""

import json
import time

import pytest
import yaml  # type: ignore[import-untyped]  # schemathesis brings it

from mobike.facade.exchanges import ExchangeView
from tests.api.house import BORN
from tests.cli import golden
from tests.cli.conftest import Run, Running

REFUSED = "NO_PROPOSAL_CHOSEN"
SAID = [
    ExchangeView(BORN - 9, BORN - 9, "us", "IKE_SA_INIT", "init", 0, 1, 1, False, True, 3.5, "COOKIE"),
    ExchangeView(BORN - 8, BORN - 8, "us", "IKE_SA_INIT", "init-with-cookie", 0, 1, 2, True, True, 511.5, None),
    ExchangeView(BORN - 7, BORN - 6, "us", "IKE_AUTH", "auth", 5, 5, 1, False, True, 4.5, None),
    ExchangeView(BORN, BORN, "us", "INFORMATIONAL", "update-addresses", 7, 1, 3, True, True, 512.25, None),
    ExchangeView(BORN + 1, BORN + 1, "peer", "CREATE_CHILD_SA", "child-sa", 4, 1, 2, False, True, None, REFUSED),
    ExchangeView(BORN + 9, BORN + 999, "us", "INFORMATIONAL", "liveness", 40, 34, 1, False, True, 11.0, None),
    ExchangeView(BORN + 1020, BORN + 1020, "us", "INFORMATIONAL", "probe", 41, 1, 4, False, False, None, None),
]  # fmt: skip
ONE = (("status",), ("status", "office"), ("explain", "office"), ("why", "lab"), ("why",), ("doctor",), ("ladder", "1"))


@pytest.fixture(autouse=True)
def in_greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.localtime", time.gmtime)


def test_the_exchanges_of_an_sa_are_a_table(mobike: Run, daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.house.said["1"] = SAID
    golden.in_widths("ladder", mobike, monkeypatch, "--socket", daemon.socket, "ladder", "office")
    golden.check("ladder.wide", mobike("--socket", daemon.socket, "ladder", "1", "-o", "wide").out)


def test_where_nothing_was_asked_that_is_what_is_said(mobike: Run, daemon: Running) -> None:
    assert mobike("--socket", daemon.socket, "ladder", "1").out.startswith("Nothing was asked since the daemon began")


@pytest.mark.parametrize("words", ONE)
def test_programs_get_the_same_in_each_of_their_formats(mobike: Run, daemon: Running, words: tuple[str, ...]) -> None:
    daemon.house.said["1"] = SAID
    told = {each: mobike("--socket", daemon.socket, *words, "-o", each) for each in ("json", "ndjson", "yaml")}
    assert {each.err for each in told.values()} == {""}
    known = json.loads(told["json"].out)
    assert yaml.safe_load(told["yaml"].out) == known
    lines = [json.loads(line) for line in told["ndjson"].out.splitlines()]
    assert lines == (known if isinstance(known, list) else [known])


@pytest.mark.parametrize("words", [("status", "office"), ("explain", "office")])
def test_wide_shows_what_is_measured_and_what_ranks_on_one_line_a_pair(
    mobike: Run, daemon: Running, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    told = mobike("--socket", daemon.socket, *words, "-o", "wide").out
    (first,) = (line for line in told.splitlines() if "verified, rank 1" in line)
    assert "192.0.2.10" in first and "203.0.113.1" in first
    assert "RTT ms" in told and max(map(len, told.splitlines())) < 250


def test_wide_status_shows_the_pairs_of_every_sa(mobike: Run, daemon: Running) -> None:
    assert "verified, rank 1" in mobike("--socket", daemon.socket, "status", "-o", "wide").out
