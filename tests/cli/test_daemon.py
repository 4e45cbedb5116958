"""`mobike run` for real: two daemons, their sockets, their API, and the commands that drive them."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from tests.api.cases import sent_once
from tests.cli.conftest import Run
from tests.cli.ends import two_ends, until

pytest.importorskip("mobike._core", reason="needs the core: these are real daemons")


def test_a_tunnel_comes_up_moves_by_order_and_by_unplugging_and_both_ends_agree(mobike: Run, tmp_path: Path) -> None:
    with two_ends(tmp_path) as ends:
        client, gateway = ends.client, ends.gateway
        ours = until(client.only_sa, "the client's IKE SA")
        theirs = until(gateway.only_sa, "the gateway's IKE SA")
        for name in ("spi_i", "spi_r", "suite", "virtual_ips"):
            assert ours["sa"][name] == theirs["sa"][name]
        assert (ours["sa"]["role"], theirs["sa"]["role"]) == ("initiator", "responder")
        assert ours["sa"]["local"] == theirs["sa"]["remote"]
        assert [pair["link"] for pair in ours["pairs"]] == ["wifi", "lte"]
        child, mirror = ours["children"][0], theirs["children"][0]
        assert (child["spi_in"], child["spi_out"]) == (mirror["spi_out"], mirror["spi_in"])

        # An order: the initiator sends UPDATE_SA_ADDRESSES from 127.0.13.1 -->
        told = mobike("--socket", client.socket, "move", "home", "--local", "127.0.13.1")
        assert told.code == 0, told.err
        assert "moved to 127.0.13.1:" in told.out
        here = client.only_sa()["sa"]["local"]
        until(lambda: gateway.only_sa()["sa"]["remote"] == here, "the gateway follows")

        # The cable is pulled: the same again, from 127.0.12.1 -->
        with client.api() as api:
            unplugged = api.put("/api/v1/addresses/127.0.13.1", json={"available": False})
            assert unplugged.status_code == 202
        until(lambda: client.only_sa()["sa"]["local"].startswith("127.0.12.1:"), "the client leaves a dead address")
        until(lambda: gateway.only_sa()["sa"]["remote"].startswith("127.0.12.1:"), "the gateway follows again")
        assert client.only_sa()["sa"]["id"] == ours["sa"]["id"]
        assert client.get("counters")["counters"]
        # Both moves are in the journal, told from its beginning.
        told_of = _past_events(client.socket)
        assert told_of[0]["seq"] == 1
        assert [event["seq"] for event in told_of] == list(range(1, len(told_of) + 1))
        assert len([event for event in told_of if event["kind"] == "moved"]) == 2

        assert mobike("--socket", client.socket, "down", "home").out == "home: down\n"
        until(lambda: gateway.only_sa() is None, "the gateway hears of the end")
        assert mobike("--socket", client.socket, "up", "home").out.startswith("home: up, 127.0.12.1:")
        assert (client.stop(), gateway.stop()) == (0, 0)
        assert not client.socket.exists()


def _past_events(socket: Path) -> list[dict[str, Any]]:
    """All events until now; then the stream is left."""
    events: list[dict[str, Any]] = []
    with (
        httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), timeout=0.5) as api,
        api.stream("GET", "http://mobike/api/v1/events", params={"after": 0}) as stream,
        pytest.raises(httpx.ReadTimeout),
    ):
        events.extend(json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))
    return events


def test_without_an_address_the_daemon_is_not_ready_and_says_so(tmp_path: Path) -> None:
    with two_ends(tmp_path, start="manual") as ends, ends.client.api() as api:
        assert api.get("/readyz").status_code == 200
        for ip in ("127.0.12.1", "127.0.13.1"):
            api.put(f"/api/v1/addresses/{ip}", json={"available": False}).raise_for_status()
        until(lambda: api.get("/readyz").status_code == 503, "not ready")
        assert api.get("/readyz").json()["reasons"] == ["no local address can be used"]
        assert api.put("/api/v1/addresses/192.0.2.1", json={"available": False}).status_code == 404


def test_a_wrong_key_is_a_reason_and_no_tunnel(mobike: Run, tmp_path: Path) -> None:
    with two_ends(tmp_path, client_key="wrong key, but long enough", start="manual") as ends:
        told = mobike("--socket", ends.client.socket, "up", "home")
        assert told.code == 1
        assert "home did not come up" in told.err
        assert ends.client.only_sa() is None
        assert ends.gateway.only_sa() is None
        told = mobike("--socket", ends.client.socket, "status")
        assert "AUTHENTICATION_FAILED" in told.out or "uthent" in told.out
        for end in (ends.client, ends.gateway):
            assert "correct horse" not in end.log.read_text()
            assert "wrong key" not in end.log.read_text()


def test_a_second_daemon_in_the_same_place_is_refused_in_one_line(tmp_path: Path) -> None:
    with two_ends(tmp_path, start="manual") as ends:
        command = [sys.executable, "-m", "mobike.cli", "run", "--config", str(ends.gateway.config)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert ran.returncode == 1
        assert ran.stderr.splitlines()[-1].startswith("mobike: cannot start: ")
        assert "Traceback" not in ran.stderr
        assert ends.gateway.get("health")["live"] is True


def test_the_real_gateway_keeps_to_the_description_of_its_api(tmp_path: Path) -> None:
    with two_ends(tmp_path) as ends:
        until(ends.client.only_sa, "the client's IKE SA")
        headers = {"Authorization": f"Bearer {ends.client.token_file.read_text().strip()}"}
        schema = schemathesis.openapi.from_url(f"{ends.client.url}/api/v1/openapi.json", headers=headers)
        for found in schema.exclude(path="/api/v1/events").get_all_operations():  # that one does not end
            assert isinstance(found, Ok)
            for mode in schemathesis.GenerationMode:
                _try_operation(found.ok(), mode, headers)
        assert ends.client.get("health")["live"] is True


def _try_operation(operation: Any, mode: schemathesis.GenerationMode, headers: dict[str, str]) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=10, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def keeps_to_it(case: schemathesis.Case[Any]) -> None:
        # Wrong tokens are soon answered with 429 (tests/api/test_access.py tries them on every operation), and what was
        # wrong with a header is mended by ours.
        excluded = [ignored_auth, negative_data_rejection]
        if operation.path.startswith(("/api/v1/config/", "/api/v1/connections/", "/api/v1/credentials/")):
            # Which keys there are and which there must be, the description says; the forms of values (a certificate is
            # PEM) and what contradicts what it does not: 422 with a pointer into the body.
            excluded.append(positive_data_acceptance)
        sent_once(case)
        case.call_and_validate(headers=headers, excluded_checks=excluded)

    with suppress(Unsatisfiable):  # an operation without parameters cannot be asked wrongly
        keeps_to_it()
