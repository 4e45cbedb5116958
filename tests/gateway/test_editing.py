"""Connections made over the API, and configurations that come back: by order, or because nobody confirmed them."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mobike._core", reason="needs the core: these are real daemons")

from mobike.config import Loaded
from mobike.events import ConnectFailed, IkeSaDown, IkeSaUp
from mobike.facade.configuration import Author, Edit
from mobike.gateway.documents import Document
from mobike.gateway.editor import Desktop, Editor
from tests.cli.ends import restart, until
from tests.gateway.rig import CLIENT, GATEWAY_IP, Client, Gateway, check_log, client, gateway
from tests.gateway.test_opening import ANNEX as STORED
from tests.gateway.test_opening import House as OpeningHouse
from tests.gateway.test_steward import House as StewardHouse

SECRET = "a horse nobody knows"
ANNEX: dict[str, Any] = {
    "role": "responder",
    "local_id": "gw.example.net",
    "remote_id": "*@annex.example.org",
    "psk": SECRET,
    "local_ts": ["10.1.0.1/32"],
    "pool": ["10.97.0.0/24"],
}
GUEST = replace(CLIENT, name="guest", local_id="guest@annex.example.org", psk=SECRET.encode())


def order(house: Gateway, method: str, path: str, body: Any = None) -> Any:
    answer = house.api.request(method, f"/api/v1/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(house: Gateway, method: str, path: str, body: Any = None, *, status: int = 422) -> Any:
    answer = house.api.request(method, f"/api/v1/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert SECRET not in answer.text
    return answer.json()


def names(house: Gateway) -> list[str]:
    return [each["name"] for each in house.get("connections")["items"]]


def comes_up(one: Client, house: Gateway, token: int) -> IkeSaUp:
    one.order(GATEWAY_IP, (house.ike, house.natt), GUEST, token)
    return one.wait_for(IkeSaUp, lambda up: up.token == token)


def again(house: Gateway) -> None:
    """The daemon is restarted."""
    assert house.end.stop() == 0
    restart(house.end)


@contextmanager
def both(folder: Path, address: str) -> Iterator[tuple[Gateway, Client]]:
    with gateway(folder) as house, client(address) as one:
        yield house, one
    assert SECRET not in house.end.log.read_text()
    check_log(house.end)


# --- made over the API ---


def test_a_connection_is_made_changed_and_removed_over_the_api(tmp_path: Path) -> None:
    with both(tmp_path, "127.0.23.1") as (house, guest):
        done = order(house, "PUT", "connections/annex", ANNEX)
        assert [(step["connection"], step["what"]) for step in done["steps"]] == [("annex", "added")]
        up = comes_up(guest, house, 1)
        shown = order(house, "GET", "connections/annex")
        assert (shown["stored"], shown["place"], shown["secrets"]) == (True, "the store", ["psk"])
        assert shown["table"] == {key: value for key, value in ANNEX.items() if key != "psk"}
        # The same once more changes nothing, and makes no revision.
        assert order(house, "PUT", "connections/annex", ANNEX)["revision"] == done["revision"]
        # A patch leaves what it does not name, the secret among it.
        (step,) = order(house, "PATCH", "connections/annex", {"liveness": "9s"})["steps"]
        assert (step["touch"], [change["key"] for change in step["changes"]]) == (
            "nothing",
            ["connections.annex.liveness"],
        )
        assert len(house.sas()) == 1
        order(house, "PATCH", "connections/annex", {"liveness": None})
        assert "liveness" not in order(house, "GET", "connections/annex")["table"]
        (step,) = order(house, "DELETE", "connections/annex")["steps"]
        assert step["what"] == "removed"
        guest.wait_for(IkeSaDown, lambda down: down.sa == up.sa)
        assert names(house) == ["rw"]
        refused(house, "DELETE", "connections/annex", status=404)
        refused(house, "PATCH", "connections/annex", {}, status=404)
        refused(house, "GET", "connections/annex", status=404)


def test_it_lives_on_over_a_restart_sealed(tmp_path: Path) -> None:
    with both(tmp_path, "127.0.23.2") as (house, guest):
        order(house, "PUT", "connections/annex", ANNEX)
        revision = house.get("config")["revision"]
        again(house)
        assert house.get("config")["stored"] == ["annex"]
        assert house.get("config")["revision"] == revision, "a restart is no new one"
        comes_up(guest, house, 1)
        files = [*house.end.folder.glob("config.db*")]
        assert files
        for file in files:
            assert SECRET.encode() not in file.read_bytes()
            assert b"annex.example.org" not in file.read_bytes()
            assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({"role": "both"}, "#/role", "must be 'initiator' or 'responder'"),
        ({"rolle": "responder"}, "#/rolle", "did you mean role?"),
        ({"esp": ["rot13"]}, "#/esp/0", ""),
        ({"pool": ["10.99.3.0/24"]}, "#/pool", "overlaps the pool of rw"),
        ({"liveness": 30}, "#/liveness", ""),
        ({"on_up": ["/bin/true"]}, "#/on_up", "said in files alone"),
        ({"policy": "os:System"}, "#/policy", "said in files alone"),
        ({"authorise": "os:System"}, "#/authorise", "said in files alone"),
        ({"psk": None}, "#", "has no key"),
    ],
)
def test_what_is_wrong_with_it_is_pointed_at(tmp_path: Path, body: Any, pointer: str, words: str) -> None:
    with gateway(tmp_path) as house:
        before = house.get("config")
        problem = refused(house, "PUT", "connections/annex", ANNEX | body)
        assert pointer in [error.get("pointer") for error in problem["errors"]]
        assert words in problem["detail"]
        name = f"#/connections/annex{pointer.removeprefix('#')}"
        order_ = {"reload": False, "connections": {"annex": ANNEX | body}}
        for path in ("config/plan", "config/apply"):
            problem = refused(house, "POST", path, order_)
            assert name in [error.get("pointer") for error in problem["errors"]]
        assert house.get("config") == before
        assert names(house) == ["rw"]


def test_a_secret_that_became_another_is_another_tag_and_nobody_is_overwritten(tmp_path: Path) -> None:
    with both(tmp_path, "127.0.23.15") as (house, _):
        at, other = "/api/v1/connections/annex", "another horse of the annex"
        order(house, "PUT", "connections/annex", ANNEX)
        tag = house.api.get(at).headers["etag"]
        assert house.api.get(at).headers["etag"] == tag
        order(house, "PATCH", "connections/annex", {"psk": other})
        late = house.api.request("PUT", at, json=ANNEX, headers={"If-Match": tag})
        assert (late.status_code, late.json()["type"]) == (412, "urn:problem-type:mobike:changed")
        shown = order(house, "GET", "connections/annex")
        assert shown["mark"].startswith("hmac-sha256:")
        assert other not in str(shown)
        order(house, "PUT", "connections/annex", ANNEX)
        assert house.api.get(at).headers["etag"] == tag, "the first secret is back"
        assert order(house, "GET", f"connections/{names(house)[0]}")["mark"] is None, "of a file"


def test_a_file_elsewhere_cannot_be_named_over_the_api(tmp_path: Path) -> None:
    with both(tmp_path, "127.0.23.16") as (house, _):
        table = {key: value for key, value in ANNEX.items() if key != "psk"}
        problem = refused(house, "PUT", "connections/annex", table | {"psk_file": "/etc/hostname"})
        assert problem["pointer"] == "#/psk_file"
        assert "/etc/hostname is not in" in problem["detail"]
        assert "make it a credential (stored:NAME)" in problem["detail"]
        problem = refused(house, "PUT", "connections/annex", table | {"psk_env": "PATH"})
        assert problem["pointer"] == "#/psk_env"


def test_a_name_is_owned_by_a_file_or_by_the_store(tmp_path: Path) -> None:
    with gateway(tmp_path) as house:
        for method, body in (("PUT", ANNEX), ("PATCH", {}), ("DELETE", None)):
            problem = refused(house, method, "connections/rw", body)
            assert f"is in {house.end.config}:" in problem["detail"]
        order(house, "PUT", "connections/annex", ANNEX)
        text = house.end.config.read_text()
        house.end.config.write_text(
            text + f'[connections.annex]\nrole = "responder"\nremote_id = "*"\npsk = "{SECRET}"\n'
        )
        problem = refused(house, "POST", "config/apply", {})
        assert "connections.annex: was made over the API; delete it there first" in problem["detail"]
        order(house, "DELETE", "connections/annex")


def test_many_at_once_are_one_edit(tmp_path: Path) -> None:
    with gateway(tmp_path) as house:
        tables = {
            f"site{n}": ANNEX | {"pool": [f"10.96.{n}.0/24"], "remote_id": f"*@s{n}.example.org"} for n in range(20)
        }
        before = house.get("config")["revision"]
        wrong = tables | {"site7": ANNEX | {"role": "none"}}
        refused(house, "POST", "config/apply", {"reload": False, "connections": wrong})
        assert names(house) == ["rw"]
        done = order(house, "POST", "config/apply", {"reload": False, "connections": tables})
        assert (len(done["steps"]), done["revision"]) == (20, before + 1)
        done = order(house, "POST", "config/apply", {"reload": False, "connections": dict.fromkeys(tables)})
        assert {step["what"] for step in done["steps"]} == {"removed"}
        assert names(house) == ["rw"]


# --- revisions ---


def test_who_wanted_what_is_listed_and_comes_back(tmp_path: Path) -> None:
    with both(tmp_path, "127.0.23.3") as (house, guest):
        order(house, "PUT", "connections/annex", ANNEX)
        made = house.get("config")["revision"]
        order(house, "DELETE", "connections/annex")
        listed = house.get("config/revisions")["items"]
        assert [each["what"] for each in listed] == ["annex removed", "annex added", "what the files say"]
        assert [each["current"] for each in listed] == [True, False, False]
        assert house.get("config/revisions?limit=1")["before"] == listed[0]["number"]
        assert house.get(f"config/revisions?before={listed[0]['number']}")["items"] == listed[1:]
        done = order(house, "POST", "config/rollback", {"revision": made})
        assert [(step["connection"], step["what"]) for step in done["steps"]] == [("annex", "added")]
        comes_up(guest, house, 1)
        assert house.get("config/revisions")["items"][0]["what"] == f"back to revision {made}"
        refused(house, "POST", "config/rollback", {"revision": 999}, status=404)


def test_any_two_revisions_can_be_compared_and_a_way_back_is_known_before_it_is_taken(tmp_path: Path) -> None:
    def told(answer: Any) -> list[tuple[str, str, list[str]]]:
        assert answer["revision"] is None, "nothing is applied"
        return [(each["connection"], each["what"], [key["key"] for key in each["changes"]]) for each in answer["steps"]]

    with both(tmp_path, "127.0.23.9") as (house, guest):
        order(house, "PUT", "credentials/annex", {"kind": "psk", "content": SECRET})
        table = {key: value for key, value in ANNEX.items() if key != "psk"} | {"psk_file": "stored:annex"}
        made = order(house, "PUT", "connections/annex", table)["revision"]
        comes_up(guest, house, 1)
        slower = order(house, "PATCH", "connections/annex", {"liveness": "90s"})["revision"]
        order(house, "PUT", "credentials/annex", {"kind": "psk", "content": f"{SECRET}, or somebody"})
        now = house.get("config")["revision"]

        assert told(house.get(f"config/revisions/{slower}/changes")) == [
            ("annex", "changed", ["connections.annex.liveness"])
        ]
        assert told(house.get(f"config/revisions/{made}/changes?since={made}")) == []
        (first,) = house.get(f"config/revisions/{made - 1}/changes")["credentials"]
        assert first == {"name": "annex", "what": "added"}
        back = house.get(f"config/revisions/{made}/changes?since={now}")
        assert back["credentials"] == [{"name": "annex", "what": "changed"}]
        (step,) = back["steps"]
        assert step["touch"] == "close", "another secret, and the peer began it"
        assert {each["key"]: (each["old"], each["new"]) for each in step["changes"]} == {
            "connections.annex.liveness": ("1m30s", "30s"),
            "connections.annex.psk_file": ("what it said before", "what it says now"),
        }
        assert SECRET not in str(back)
        assert house.get("config")["revision"] == now
        done = order(house, "POST", "config/rollback", {"revision": made})
        assert told(done | {"revision": None}) == told(back)
        refused(house, "GET", "config/revisions/999/changes", status=404)
        refused(house, "GET", "config/revisions/1/changes", status=404)


async def test_who_compares_keeps_nobody_from_an_edit(tmp_path: Path) -> None:
    """Comparing takes two looks at all files; this one does not come back from its first."""
    opening = OpeningHouse(tmp_path).start()
    begun, go_on = threading.Event(), threading.Event()

    def assemble(document: Document) -> Loaded:
        if comparing and not begun.is_set():
            begun.set()
            go_on.wait(30)
        return opening.assemble(document)

    comparing = False
    desktop = Desktop(opening.read, assemble, opening.archive, dict, lambda *_: None)
    editor = Editor(StewardHouse().steward(opening.loaded), opening.document, opening.standing, desktop)
    try:
        await editor.apply(Edit(connections={"annex": STORED}), Author("ann", "api"))
        comparing = True
        compared = asyncio.create_task(editor.changes(2, since=1))
        await asyncio.to_thread(begun.wait, 30)
        async with asyncio.timeout(20):
            done = await editor.apply(Edit(patches={"annex": {"liveness": "9s"}}), Author("bob", "api"))
        assert done.revision == 3 and not compared.done()
        go_on.set()
        assert [step.what for step in (await compared).steps] == ["added"]
    finally:
        go_on.set()
        editor.close()


def test_pools_that_no_edit_could_swap_can_be_compared_all_the_same(tmp_path: Path) -> None:
    other = ANNEX | {"remote_id": "*@other.example.org", "pool": ["10.96.0.0/24"]}
    with gateway(tmp_path) as house:
        order(house, "PUT", "connections/annex", ANNEX)
        made = order(house, "PUT", "connections/other", other)["revision"]
        order(house, "DELETE", "connections/annex")
        later = order(house, "PATCH", "connections/other", {"pool": ["10.97.0.0/24"]})["revision"]
        told = house.get(f"config/revisions/{made}/changes?since={later}")
        assert [(each["connection"], each["what"]) for each in told["steps"]] == [
            ("annex", "added"),
            ("other", "changed"),
        ]


def test_files_that_were_taken_back_are_not_obeyed_at_a_restart_until_they_change(tmp_path: Path) -> None:
    with gateway(tmp_path) as house:
        first, text = house.get("config")["revision"], house.end.config.read_text()
        house.end.config.write_text(text + 'liveness = "7s"\n')
        order(house, "POST", "config/apply", {})
        assert order(house, "GET", "connections/rw")["table"]["liveness"] == "7s"
        order(house, "POST", "config/rollback", {"revision": first})
        for _ in range(2):
            assert "liveness" not in order(house, "GET", "connections/rw")["table"]
            assert house.get("config")["pinned"]
            again(house)
        # An order to read them, or another edit, ends that.
        house.end.config.write_text(text + 'liveness = "8s"\n')
        again(house)
        assert order(house, "GET", "connections/rw")["table"]["liveness"] == "8s"
        assert not house.get("config")["pinned"]


# --- confirmed ---


def test_what_nobody_confirms_is_taken_back(tmp_path: Path) -> None:
    with both(tmp_path, "127.0.23.4") as (house, guest):
        order(house, "PUT", "connections/annex", ANNEX)
        up, before = comes_up(guest, house, 1), time.time()
        done = order(house, "DELETE", "connections/annex?confirm_s=1")
        assert before + 1 <= done["confirm_by"] <= time.time() + 1
        guest.wait_for(IkeSaDown, lambda down: down.sa == up.sa)
        until(lambda: names(house) == ["rw", "annex"], "it is back")
        until(lambda: house.get("config")["confirm_by"] is None, "nothing waits any more")
        assert house.get("config/revisions")["items"][0]["who"] == "nobody confirmed it"
        comes_up(guest, house, 2)


def test_what_is_confirmed_stays(tmp_path: Path) -> None:
    with gateway(tmp_path) as house:
        refused(house, "POST", "config/confirm", status=409)
        order(house, "PUT", "connections/annex?confirm_s=3600", ANNEX)
        # Edits in between do not take the watch away.
        done = order(house, "PATCH", "connections/annex", {"liveness": "9s"})
        assert done["confirm_by"] is not None
        assert order(house, "POST", "config/confirm")["confirm_by"] is None
        assert names(house) == ["rw", "annex"]
        again(house)
        assert names(house) == ["rw", "annex"]


def test_the_watch_goes_on_over_a_restart(tmp_path: Path) -> None:
    with gateway(tmp_path) as house:
        order(house, "PUT", "connections/annex?confirm_s=6", ANNEX)
        by = house.get("config")["confirm_by"]
        again(house)
        assert house.get("config")["confirm_by"] in {by, None}
        until(lambda: names(house) == ["rw"], "it is taken back")


def test_what_was_not_confirmed_while_the_daemon_was_down_is_not_in_force_when_it_comes(tmp_path: Path) -> None:
    with gateway(tmp_path) as house:
        text = house.end.config.read_text()
        house.end.config.write_text(text + 'liveness = "7s"\n')
        order(house, "POST", "config/apply", {"confirm_s": 1})
        house.end.process.kill()
        house.end.process.wait()
        time.sleep(1.1)
        restart(house.end)
        assert "liveness" not in order(house, "GET", "connections/rw")["table"]
        assert house.get("config")["pinned"]


def test_the_api_says_who_asked(tmp_path: Path) -> None:
    with gateway(tmp_path) as house:
        order(house, "PUT", "connections/annex", ANNEX)
        assert house.get("config/revisions")["items"][0]["origin"] == "api"


def test_a_guest_of_one_that_is_gone_stays_out(tmp_path: Path) -> None:
    with both(tmp_path, "127.0.23.5") as (house, guest):
        order(house, "PUT", "connections/annex", ANNEX)
        order(house, "DELETE", "connections/annex")
        guest.order(GATEWAY_IP, (house.ike, house.natt), GUEST, 1)
        guest.wait_for(ConnectFailed)
