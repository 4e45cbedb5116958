"""Credentials over the API of a running gateway: they work, they are replaced, and nobody hears what they say."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mobike._core", reason="needs the core: these are real daemons")

from mobike.events import ConnectFailed, IkeSaDown, IkeSaUp
from tests.cli.ends import until
from tests.gateway.rig import CLIENT, GATEWAY_IP, Client, Gateway, check_log, client, gateway
from tests.gateway.test_editing import ANNEX, again, names, order, refused

FIRST = "a horse nobody knows yet"
SECOND = "another horse nobody knows"
TABLE: dict[str, Any] = {key: value for key, value in ANNEX.items() if key != "psk"} | {"psk_file": "stored:annex"}
GUEST = replace(CLIENT, name="guest", local_id="guest@annex.example.org")


def psk(text: str) -> dict[str, str]:
    return {"kind": "psk", "content": text}


@contextmanager
def both(folder: Path, address: str) -> Iterator[tuple[Gateway, Client]]:
    """A gateway and a client; at the end nothing that the gateway has written down holds a secret."""
    with gateway(folder) as house, client(address) as one:
        yield house, one
        nobody_is_told(house)
    for file in house.end.folder.parent.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert FIRST.encode() not in content, file
            assert SECOND.encode() not in content, file
    check_log(house.end)


def nobody_is_told(house: Gateway) -> None:
    """Everything that the API tells."""
    paths = [
        *(
            "audit",
            "config",
            "config/revisions",
            "connections",
            "credentials",
            "events/past",
            "certificates",
            "policies",
        ),
        *("attempts", "ike-sas", "operations", "tokens", "counters"),
    ]
    paths += [f"connections/{name}" for name in names(house)]
    paths += [f"credentials/{each['name']}" for each in house.get("credentials")["items"]]
    told = [json.dumps(house.get(path)) for path in paths] + [house.api.get("/metrics").text]
    for secret in (FIRST, SECOND):
        assert not [text for text in told if secret in text]


def comes(one: Client, house: Gateway, token: int, text: str) -> IkeSaUp:
    """The guest, who knows this."""
    one.order(GATEWAY_IP, (house.ike, house.natt), replace(GUEST, psk=text.encode()), token)
    return one.wait_for(IkeSaUp, lambda up: up.token == token)


def stays_out(one: Client, house: Gateway, token: int, text: str) -> None:
    one.order(GATEWAY_IP, (house.ike, house.natt), replace(GUEST, psk=text.encode()), token)
    one.wait_for(ConnectFailed, lambda failed: failed.token == token)


def test_a_connection_proves_itself_by_what_was_put(tmp_path: Path) -> None:
    with both(tmp_path, "127.0.24.1") as (house, guest):
        problem = refused(house, "PUT", "connections/annex", TABLE)
        assert problem["pointer"] == "#/psk_file"
        assert "there is no credential 'annex'" in problem["detail"]
        done = order(house, "PUT", "credentials/annex", psk(FIRST))
        assert done["credentials"] == [{"name": "annex", "what": "added"}]
        assert done["steps"] == []
        order(house, "PUT", "connections/annex", TABLE)
        comes(guest, house, 1, FIRST)
        shown = order(house, "GET", "credentials/annex")
        assert (shown["kind"], shown["used_by"], shown["ends"]) == ("psk", ["annex"], None)
        assert shown["fingerprints"][0].startswith("hmac-sha256:")
        assert order(house, "GET", "connections/annex")["table"]["psk_file"] == "stored:annex"
        listed = house.get("config/revisions")["items"]
        assert [each["what"] for each in listed[:2]] == ["annex added", "credential annex added"]


def test_another_one_is_obeyed_at_once_and_comes_back_by_a_rollback(tmp_path: Path) -> None:
    with both(tmp_path, "127.0.24.2") as (house, guest):
        whole = {"reload": False, "connections": {"annex": TABLE}, "credentials": {"annex": psk(FIRST)}}
        made = order(house, "POST", "config/apply", whole)["revision"]
        # The same once more changes nothing, and makes no revision.
        assert order(house, "PUT", "credentials/annex", psk(FIRST))["revision"] == made
        before = order(house, "GET", "credentials/annex")
        up = comes(guest, house, 1, FIRST)
        planned = order(house, "POST", "config/plan", {"reload": False, "credentials": {"annex": psk(SECOND)}})
        done = order(house, "PUT", "credentials/annex", psk(SECOND))
        for told in (planned, done):
            assert told["credentials"] == [{"name": "annex", "what": "changed"}]
            (step,) = told["steps"]
            assert (step["connection"], step["touch"]) == ("annex", "close")
            assert [(each["key"], each["new"]) for each in step["changes"]] == [
                ("connections.annex.psk_file", "what it says now")
            ]
        guest.wait_for(IkeSaDown, lambda down: down.sa == up.sa)
        stays_out(guest, house, 2, FIRST)
        comes(guest, house, 3, SECOND)
        after = order(house, "GET", "credentials/annex")
        assert after["fingerprints"] != before["fingerprints"]
        assert (after["made"], after["changed"] > before["changed"]) == (before["made"], True)
        order(house, "POST", "config/rollback", {"revision": made})
        comes(guest, house, 4, FIRST)
        assert order(house, "GET", "credentials/annex") == before


def test_it_lives_on_over_a_restart(tmp_path: Path) -> None:
    with both(tmp_path, "127.0.24.3") as (house, guest):
        order(house, "PUT", "credentials/annex", psk(FIRST))
        order(house, "PUT", "connections/annex", TABLE)
        before, revision = house.get("credentials"), house.get("config")["revision"]
        again(house)
        assert house.get("credentials") == before
        assert house.get("config")["revision"] == revision
        comes(guest, house, 1, FIRST)


def test_what_nobody_confirms_is_taken_back(tmp_path: Path) -> None:
    with both(tmp_path, "127.0.24.4") as (house, guest):
        order(house, "PUT", "credentials/annex", psk(FIRST))
        order(house, "PUT", "connections/annex", TABLE)
        order(house, "PUT", "credentials/annex?confirm_s=1", psk(SECOND))
        until(lambda: house.get("config")["confirm_by"] is None, "it was taken back")
        comes(guest, house, 1, FIRST)


def test_one_that_is_in_use_does_not_go_and_who_uses_it_is_told(tmp_path: Path) -> None:
    with both(tmp_path, "127.0.24.5") as (house, _):
        order(house, "PUT", "credentials/annex", psk(FIRST))
        order(house, "PUT", "connections/annex", TABLE)
        before = house.get("config")["revision"]
        problem = refused(house, "DELETE", "credentials/annex", status=409)
        assert problem["detail"] == "credential 'annex' is in use: annex"
        problem = refused(house, "PUT", "credentials/annex", {"kind": "password", "content": FIRST}, status=409)
        assert problem["detail"] == "credential 'annex' cannot become another kind (psk now): annex"
        assert house.get("config")["revision"] == before
        # Both at once are one edit.
        gone = {"reload": False, "connections": {"annex": None}, "credentials": {"annex": None}}
        done = order(house, "POST", "config/apply", gone)
        assert done["credentials"] == [{"name": "annex", "what": "removed"}]
        assert house.get("credentials") == {"items": []}
        refused(house, "DELETE", "credentials/annex", status=404)


def test_one_that_was_deleted_is_in_no_revision_and_a_rollback_says_so_with_the_fix(tmp_path: Path) -> None:
    with both(tmp_path, "127.0.24.8") as (house, guest):
        whole = {"reload": False, "connections": {"annex": TABLE}, "credentials": {"annex": psk(FIRST)}}
        made = order(house, "POST", "config/apply", whole)["revision"]
        gone = {"reload": False, "connections": {"annex": None}, "credentials": {"annex": None}}
        # What may still come back is not gone yet.
        order(house, "POST", "config/apply", gone | {"confirm_s": 600})
        order(house, "POST", "config/rollback", {"revision": made})
        comes(guest, house, 1, FIRST)
        order(house, "POST", "config/apply", gone)
        problem = refused(house, "POST", "config/rollback", {"revision": made}, status=409)
        assert problem["detail"] == "it names credential 'annex', which was deleted since, from all revisions"
        assert "set 'annex' anew (mobike credential set annex" in problem["hint"]
        again(house)
        refused(house, "POST", "config/rollback", {"revision": made}, status=409)
        order(house, "PUT", "credentials/annex", psk(SECOND))
        order(house, "POST", "config/rollback", {"revision": made})
        (newest, *_) = house.get("config/revisions")["items"]
        assert newest["what"] == f"back to revision {made}, with annex as of now"
        comes(guest, house, 2, SECOND)


def test_what_is_of_no_use_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with both(tmp_path, "127.0.24.6") as (house, _):
        before = house.get("config")["revision"]
        key = {"kind": "private-key", "content": FIRST}
        problem = refused(house, "PUT", "credentials/annex", key)
        assert problem["pointer"] == "#/content"
        problem = refused(house, "POST", "config/apply", {"reload": False, "credentials": {"annex": key}})
        assert problem["pointer"] == "#/credentials/annex/content"
        for wrong in ({"kind": FIRST, "content": SECOND}, {"kind": "psk", "content": [FIRST]}, {"secret": FIRST}):
            answer = house.api.request("PUT", "/api/v1/credentials/annex", json=wrong)
            assert answer.status_code == 422
            assert FIRST not in answer.text
            assert SECOND not in answer.text
        assert house.get("config")["revision"] == before


def test_without_a_place_to_keep_it_that_is_said_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir(parents=True)
    (tmp_path / "conf.d/key.toml").write_text('[daemon]\nconfig_key_file = "/dev/null/key"\n')
    with gateway(tmp_path) as house:
        problem = refused(house, "PUT", "credentials/annex", psk(FIRST), status=409)
        assert problem["detail"] == "there is nowhere to keep what is in no file"
        assert "let the daemon write into its state_dir" in problem["hint"]
