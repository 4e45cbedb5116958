"""Two daemons and what happens to them: killed, frozen, restarted with another configuration, moved too often."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("mobike._core", reason="needs the core: these are real daemons")

from tests.cli.ends import KEY, End, Ends, restart, two_ends, until

IMPATIENT = 'liveness = "300ms"\nreconnect = { initial = "100ms", max = "500ms" }\n'
FIRST, OTHER = "127.0.12.1", "127.0.13.1"


def up(end: End) -> Any:
    """The one SA of this end, if it is established and has its Child SA."""
    sa = end.only_sa()
    return sa if sa and sa["sa"]["state"] == "established" and sa["children"] else None


def agree(ends: Ends) -> bool:
    """Both ends have the same one tunnel on the same path."""
    ours, theirs = up(ends.client), up(ends.gateway)
    return bool(
        ours
        and theirs
        and all(ours["sa"][name] == theirs["sa"][name] for name in ("spi_i", "spi_r", "virtual_ips"))
        and (ours["sa"]["local"], ours["sa"]["remote"]) == (theirs["sa"]["remote"], theirs["sa"]["local"])
    )


def order_move(api: httpx.Client, sa: str, to: str) -> int:
    return api.post(f"/api/v1/ike-sas/{sa}/move", json={"local": to}).status_code


def test_a_killed_gateway_comes_back_and_its_client_with_it(tmp_path: Path) -> None:
    with two_ends(tmp_path, more=IMPATIENT, give_up="2s") as ends:
        until(lambda: agree(ends), "both ends agree")
        before = ends.client.only_sa()["sa"]
        ends.gateway.process.kill()
        ends.gateway.process.wait()
        restart(ends.gateway)
        until(lambda: agree(ends), "both ends agree again")
        after = ends.client.only_sa()["sa"]
        assert after["spi_i"] != before["spi_i"]
        assert after["virtual_ips"] == before["virtual_ips"], "leases come back"


def test_a_killed_client_comes_back_and_replaces_its_old_sa(tmp_path: Path) -> None:
    with two_ends(tmp_path) as ends:
        until(lambda: agree(ends), "both ends agree")
        before = ends.client.only_sa()["sa"]
        ends.client.process.kill()
        ends.client.process.wait()
        restart(ends.client)
        until(lambda: agree(ends), "both ends agree again")
        assert ends.gateway.only_sa()["sa"]["spi_i"] != before["spi_i"]
        assert ends.gateway.get("counters")["counters"]["esp_children"] == 1


def test_a_client_that_flaps_ends_where_it_was_told_last(tmp_path: Path) -> None:
    with two_ends(tmp_path) as ends:
        until(lambda: agree(ends), "both ends agree")
        with ends.client.api() as api:
            sa = ends.client.only_sa()["sa"]["id"]
            for number in range(50):
                assert order_move(api, sa, (OTHER, FIRST)[number % 2]) == 202
            # And two within one round trip.
            assert order_move(api, sa, FIRST) == 202
            assert order_move(api, sa, OTHER) == 202
        until(lambda: agree(ends) and up(ends.client)["sa"]["local"].startswith(OTHER), "the last order holds")
        time.sleep(0.5)
        assert agree(ends)
        assert up(ends.client)["sa"]["local"].startswith(OTHER)
        assert up(ends.client)["sa"]["id"] == sa


def test_addresses_that_come_and_go_at_speed(tmp_path: Path) -> None:
    with two_ends(tmp_path) as ends, ends.client.api() as api:
        until(lambda: agree(ends), "both ends agree")
        for number in range(50):
            for ip in (FIRST, OTHER)[:: 1 if number % 2 else -1]:
                api.put(f"/api/v1/addresses/{ip}", json={"available": bool(number % 3)}).raise_for_status()
        api.put(f"/api/v1/addresses/{OTHER}", json={"available": True}).raise_for_status()
        api.put(f"/api/v1/addresses/{FIRST}", json={"available": False}).raise_for_status()
        until(lambda: agree(ends) and up(ends.client)["sa"]["local"].startswith(OTHER), "the last address is used")


def test_a_frozen_daemon_thaws_and_goes_on(tmp_path: Path) -> None:
    with two_ends(tmp_path, more='liveness = "300ms"\n') as ends:
        until(lambda: agree(ends), "both ends agree")
        sa = ends.client.only_sa()["sa"]
        for end in (ends.gateway, ends.client):
            os.kill(end.process.pid, signal.SIGSTOP)
            time.sleep(3)
            os.kill(end.process.pid, signal.SIGCONT)
            until(lambda: agree(ends), "both ends agree")
            assert ends.client.only_sa()["sa"]["spi_i"] == sa["spi_i"], "nobody gave up within three seconds"
            assert end.get("health")["ready"] is True


def test_a_daemon_ends_in_the_middle_of_its_moves(tmp_path: Path) -> None:
    with two_ends(tmp_path) as ends:
        until(lambda: agree(ends), "both ends agree")
        with ends.client.api() as api:
            sa = ends.client.only_sa()["sa"]["id"]
            for number in range(5):
                order_move(api, sa, (OTHER, FIRST)[number % 2])
            ends.client.process.terminate()
        assert ends.client.process.wait(10) == 0
        until(lambda: ends.gateway.only_sa() is None, "the gateway hears of the end")
        assert ends.gateway.stop() == 0


def test_a_gateway_that_comes_back_with_another_key_is_not_believed_until_it_has_the_old_one(tmp_path: Path) -> None:
    with two_ends(tmp_path, more=IMPATIENT, give_up="2s") as ends:
        until(lambda: agree(ends), "both ends agree")
        right = ends.gateway.config.read_text()
        assert ends.gateway.stop() == 0
        ends.gateway.config.write_text(right.replace(KEY, "the key of another house"))
        restart(ends.gateway)
        until(lambda: "uthent" in (ends.client.get("connections")["items"][0]["last_error"] or ""), "a reason")
        assert ends.client.only_sa() is None
        assert ends.gateway.stop() == 0
        ends.gateway.config.write_text(right)
        restart(ends.gateway)
        until(lambda: agree(ends), "both ends agree again")
        assert ends.client.get("connections")["items"][0]["last_error"] is None
        for end in (ends.client, ends.gateway):
            assert KEY not in end.log.read_text()
            assert "another house" not in end.log.read_text()
