"""Every order about many, between two real daemons: each is done when its end says so, and what cannot be is said."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

pytest.importorskip("mobike._core", reason="needs the core: these are real daemons")

from mobike_api.operations import Kind
from tests.cli.ends import End, Ends, two_ends, until

WIFI, LTE, NOBODY = "127.0.12.1", "127.0.13.1", "127.0.11.99"
WITHIN_S: Final = 30.0


def ordered(end: End, order: str, **more: Any) -> dict[str, Any]:
    """What came of it, when it has ended."""
    select: dict[str, Any] = {} if order in {"drain", "drain-link"} else {"select": {}}
    with end.api() as api:
        answer = api.post("/api/v1/operations", json={"order": order, **select, **more})
        assert answer.status_code == 202, answer.text
        begun = time.monotonic()
        while (told := api.get(answer.headers["location"]).json())["phase"] == "running":
            assert time.monotonic() - begun < WITHIN_S, told
            time.sleep(0.02)
    counts = {"total": told["total"], "done": told["done"], "failed": told["failed"]}
    assert counts["total"] == counts["done"] + counts["failed"] == 1, told
    return dict(told)


def test_every_order_comes_to_its_end(tmp_path: Path) -> None:
    with two_ends(tmp_path) as ends:
        until(lambda: (sa := ends.client.only_sa()) and sa["children"], "a tunnel")
        tried = set()

        def does(end: End, order: str, seen: Callable[[], object], **more: Any) -> None:
            told = ordered(end, order, **more)
            assert (told["done"], told["failures"]) == (1, []), told
            assert seen(), f"{order}: {ends.client.only_sa()}"
            tried.add(order)

        def refuses(end: End, order: str, why: str, **more: Any) -> None:
            (failure,) = ordered(end, order, **more)["failures"]
            assert why in failure["why"]

        client, gateway = ends.client, ends.gateway
        for end in (client, gateway):
            before = end.only_sa()
            does(end, "probe", lambda: True)
            does(end, "rekey", lambda: True)
            # That is done when it was taken.
            does(end, "rekey-children", lambda: True)
            after = other_keys(end, before)
            assert after["sa"]["spi_i"] != before["sa"]["spi_i"]
            assert after["sa"]["id"] == before["sa"]["id"], "and it is the same one"
        does(client, "move", lambda: local(ends) == LTE, local=LTE)
        does(client, "unpin", lambda: until(lambda: local(ends) == WIFI, "policy chooses"))
        does(client, "pin", lambda: client.only_sa()["pin"] is not None)
        refuses(client, "move", "is no pair of this SA", local="127.0.99.1")
        ordered(client, "unpin")
        does(client, "drain-link", lambda: local(ends) == LTE, link="wifi")
        refuses(gateway, "pin", "Only the initiator")
        refuses(gateway, "unpin", "No order to move holds")
        refuses(gateway, "reauthenticate", "only the initiator")
        was = client.only_sa()["sa"]["id"]
        does(client, "reauthenticate", lambda: client.only_sa()["sa"]["id"] != was)
        does(client, "away", lambda: client.only_sa()["sa"]["state"] == "away", span_s=60)
        does(client, "back", lambda: client.only_sa()["sa"]["state"] != "away")
        does(client, "down", lambda: client.only_sa() is None)
        does(client, "up", lambda: client.only_sa() is not None)
        until(gateway.only_sa, "both know of it")
        was = gateway.only_sa()["sa"]["id"]
        does(gateway, "terminate", lambda: gateway.only_sa() is None or gateway.only_sa()["sa"]["id"] != was)
        until(lambda: client.only_sa() and gateway.only_sa(), "it comes back by itself")
        # Its peer stays where no other gateway answers; tests/interop/test_redirect has two.
        with gateway.api() as api:
            drain = api.post("/api/v1/operations", json={"order": "drain", "to": [NOBODY]}).headers["location"]
            until(lambda: "peers are sent on to" in str(gateway.get("health")["reasons"]), "it is drained")
            assert api.delete(drain).json()["phase"] == "cancelled"
            assert not gateway.get("health")["ready"], "it holds until it is taken back"
            api.delete("/api/v1/drain").raise_for_status()
            until(lambda: gateway.get("health")["ready"], "it serves again")
        assert tried == {kind.value for kind in Kind} - {"drain"}


def other_keys(end: End, was: dict[str, Any]) -> dict[str, Any]:
    """As it is when its Child SA has other SPIs."""
    spis = {child["spi_in"] for child in was["children"]}
    until(lambda: spis.isdisjoint(child["spi_in"] for child in end.only_sa()["children"]), "other keys")
    return dict(end.only_sa())


def local(ends: Ends) -> str:
    return str(ends.client.only_sa()["sa"]["local"]).rpartition(":")[0]
