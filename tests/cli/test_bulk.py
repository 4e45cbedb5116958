"""`mobike order`: many at once, followed to the end; what it selects, what it says, how it ends."""

import json
from collections.abc import Callable

import httpx
import pytest

from mobike.cli.api import Api
from tests.cli.conftest import Run, Running


def test_all_are_moved_and_counted(mobike: Run, many: Running) -> None:
    told = mobike("--socket", many.socket, "order", "move", "--all", "--local", "198.51.100.20")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("move: 12 of 12 done in ")
    assert len(many.house.orders) == 12


def test_those_that_refuse_are_named_and_the_command_fails(mobike: Run, many: Running) -> None:
    mobike("--socket", many.socket, "order", "move", "--id", "3", "--id", "4", "--local", "198.51.100.20")
    assert many.house.orders == ["move 3 198.51.100.20 None", "move 4 198.51.100.20 None"]
    told = mobike("--socket", many.socket, "order", "unpin", "--all")
    assert told.code == 1
    lines = told.out.splitlines()
    assert lines[0].startswith("unpin: 2 of 12 done, 10 failed in ")
    assert len(lines) == 2 + 10
    assert "no order to move holds for it" in lines[2]
    as_json = json.loads(mobike("--socket", many.socket, "order", "unpin", "--all", "--json").out)
    assert (as_json["done"], as_json["failed"], len(as_json["failures"])) == (2, 10, 10)


def test_who_is_meant_must_be_said(mobike: Run, many: Running) -> None:
    for wrong, why in (
        (("terminate",), "say of whom"),
        (("terminate", "--all", "--state", "waiting"), "say of whom"),
        (("explode", "--all"), "'explode' is no order"),
        (("up", "--state", "waiting"), "up is of connections"),
        (("drain-link", "--all", "--link", "wwan0"), "drain-link is of all"),
        (("away", "--connection", "office", "--for", "soon"), "'soon' is no time"),
    ):
        told = mobike("--socket", many.socket, "order", *wrong)
        assert (told.code, told.out) == (2, ""), wrong
        assert why in told.err
    assert many.house.orders == []


def test_an_order_goes_on_by_itself_and_can_be_looked_at_and_cancelled(mobike: Run, many: Running) -> None:
    # This house does not tell of new keys of Child SAs; it tells nothing of rekeys at all: the order waits.
    detached = mobike("--socket", many.socket, "order", "rekey", "--connection", "office", "-d")
    assert detached.code == 0
    operation = detached.out.strip()
    shown = json.loads(mobike("--socket", many.socket, "operation", "show", operation).out)
    assert (shown["order"], shown["phase"]) == ("rekey", "running")
    assert operation in mobike("--socket", many.socket, "list", "operations").out
    told = mobike("--socket", many.socket, "operation", "cancel", operation)
    assert (told.code, told.out.startswith(f"{operation}: cancelled after ")) == (0, True)
    followed = mobike("--socket", many.socket, "operation", "follow", operation)
    assert followed.code == 1
    assert "cancelled" in followed.out
    assert mobike("--socket", many.socket, "operation", "show", "nobody").code == 1


def test_ctrl_c_cancels_what_is_left(mobike: Run, many: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    ask: Callable[..., object] = Api.get
    asked: list[str] = []

    def interrupted(self: Api, path: str, query: object = None) -> object:
        asked.append(path)
        if path.startswith("operations/") and len(asked) > 2:
            raise KeyboardInterrupt
        return ask(self, path, query)

    monkeypatch.setattr(Api, "get", interrupted)
    told = mobike("--socket", many.socket, "order", "rekey", "--all")
    assert told.code == 130
    assert "is cancelled; what was ordered goes on" in told.err
    monkeypatch.undo()
    transport = httpx.HTTPTransport(uds=str(many.socket))
    with httpx.Client(transport=transport, base_url="http://mobike") as api:
        assert [each["phase"] for each in api.get("/api/v1/operations").json()["items"]] == ["cancelled"]


def test_a_link_is_drained(mobike: Run, many: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    avoid = many.house.avoid

    def leave(link: str, *, avoid_it: bool) -> None:
        avoid(link, avoid=avoid_it)
        for each in [*many.house.sas]:
            many.house.move(each, local="198.51.100.20", remote=None)

    monkeypatch.setattr(many.house, "avoid", lambda link, *, avoid: leave(link, avoid_it=avoid))
    told = mobike("--socket", many.socket, "order", "drain-link", "--link", "wlan0")
    assert told.code == 0, told.err
    assert told.out.startswith("drain-link: 12 of 12 done in ")
    assert many.house.orders[0] == "avoid wlan0"
