"""EAP of a strongSwan client, passed through by our gateway to FreeRADIUS."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.auth.pki import Authority
from tests.interop.rig import (
    GATEWAY_ID,
    INNER,
    SECRET,
    Charon,
    FreeRadius,
    Mobike,
    ProgramError,
    Rig,
    Toml,
    mobike_gateway,
    requires_freeradius,
    requires_rig,
    requires_strongswan,
    until,
)
from tests.interop.test_eap import EAP_PLUGINS, PASSWORD, USER, changed, secrets, their_client

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan, requires_freeradius]


def _our_gateway(folder: Path, authority: Authority, *ports: int, **more: Toml) -> dict[str, Toml]:
    folder.mkdir(parents=True, exist_ok=True)
    authority.issue(GATEWAY_ID).write(folder, "own")
    servers: list[Toml] = [
        {"server": "127.0.0.1", "port": port, "accounting_port": port + 1, "secret": SECRET} for port in ports
    ]
    keys: dict[str, Toml] = {
        "local_auth": "cert",
        "local_cert": str(folder / "own.pem"),
        "local_key": str(folder / "own.key"),
        "remote_auth": "eap",
        "eap": ["radius"],
        "radius": servers,
    }
    return changed(mobike_gateway(**more), keys)


@contextmanager
def _ends(
    rig: Rig, folder: Path, *ports: int, password: str = PASSWORD, stored: bool = False, **more: Toml
) -> Iterator[tuple[Mobike, Charon]]:
    authority = Authority.new(at=datetime.now(UTC))
    theirs = their_client(folder / "client", authority)
    ours = _our_gateway(folder / "gateway", authority, *ports, **more)
    ours |= {"store": {"file": "sas.db", "every": "100ms"}} if stored else {}
    with (
        Mobike(rig, rig.gateway, folder / "gateway", ours) as gateway,
        Charon(rig.client, folder / "client", theirs, secrets=secrets(password), plugins=EAP_PLUGINS) as charon,
    ):
        yield gateway, charon


@contextmanager
def _server(rig: Rig, folder: Path, port: int = 1812, replies: Sequence[str] = ()) -> Iterator[FreeRadius]:
    with FreeRadius(rig, rig.gateway, folder / "radius", {USER: PASSWORD}, port=port, replies=replies) as radius:
        yield radius


def test_a_client_is_let_in_by_freeradius(tmp_path: Path) -> None:
    with Rig() as rig, _server(rig, tmp_path), _ends(rig, tmp_path, 1812) as (gateway, charon):
        charon.initiate()
        assert gateway.wait_up().sa.peer_id == USER
        assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0


def test_a_client_that_freeradius_refuses_is_told_so_and_our_log_says_who_refused_it(tmp_path: Path) -> None:
    with Rig() as rig, _server(rig, tmp_path), _ends(rig, tmp_path, 1812, password="guessed") as (gateway, charon):
        with pytest.raises(ProgramError):
            charon.initiate()
        assert gateway.ike_sas() == []


def test_the_next_server_is_asked_where_the_first_does_not_answer(tmp_path: Path) -> None:
    with Rig() as rig, _server(rig, tmp_path, 1912), _ends(rig, tmp_path, 1812, 1912) as (gateway, charon):
        charon.initiate()
        gateway.wait_up()


def test_without_any_server_nobody_is_let_in_and_the_log_says_why(tmp_path: Path) -> None:
    with Rig() as rig, _ends(rig, tmp_path, 1812) as (gateway, charon):
        with pytest.raises(ProgramError):
            charon.initiate()
        gateway.wait_log("no RADIUS server answers: 127.0.0.1 port 1812")
        assert gateway.ike_sas() == []


def test_freeradius_says_which_inner_address_a_client_gets_and_hears_what_it_used(tmp_path: Path) -> None:
    replies = ("Framed-IP-Address = 10.188.0.7", "Class = 0x676f6c64", "Acct-Interim-Interval = 600")
    with (
        Rig() as rig,
        _server(rig, tmp_path, replies=replies) as radius,
        _ends(rig, tmp_path, 1812, pool=[]) as (gateway, charon),
    ):
        charon.initiate()
        assert gateway.wait_up().sa.virtual_ips == ("10.188.0.7",)
        (start,) = until(radius.accounts, "freeradius hears of the session")
        assert (start["Acct-Status-Type"], start["User-Name"]) == ("Start", USER)
        assert (start["Framed-IP-Address"], start["Class"]) == ("10.188.0.7", "0x676f6c64")
        assert rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0
        charon.terminate()
        until(lambda: len(radius.accounts()) == 2, "freeradius hears of its end")
        stop = radius.accounts()[1]
        assert (stop["Acct-Status-Type"], stop["Acct-Session-Id"]) == ("Stop", start["Acct-Session-Id"])
        assert (stop["Acct-Input-Packets"], stop["Acct-Output-Packets"]) == ("10", "10")
        assert int(stop["Acct-Input-Octets"]) == int(stop["Acct-Output-Octets"]) == 840
        assert stop["Acct-Terminate-Cause"] == "User-Request"
        assert gateway.counters()["accounting_told"] == 2


def test_a_session_whose_time_is_over_is_closed(tmp_path: Path) -> None:
    with (
        Rig() as rig,
        _server(rig, tmp_path, replies=("Session-Timeout = 2",)) as radius,
        _ends(rig, tmp_path, 1812) as (gateway, charon),
    ):
        charon.initiate()
        gateway.wait_event("sa-down")
        until(lambda: len(radius.accounts()) == 2, "freeradius hears of its end")
        assert radius.accounts()[1]["Acct-Terminate-Cause"] == "Session-Timeout"


def test_a_gateway_that_ends_tells_its_server_of_every_session_it_ends(tmp_path: Path) -> None:
    with Rig() as rig, _server(rig, tmp_path) as radius, _ends(rig, tmp_path, 1812) as (gateway, charon):
        charon.initiate()
        gateway.wait_up()
        assert rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0
        assert gateway.program.stop() == 0
        start, stop = radius.accounts()
        assert (stop["Acct-Status-Type"], stop["Acct-Session-Id"]) == ("Stop", start["Acct-Session-Id"])
        assert (stop["Acct-Input-Packets"], stop["Acct-Terminate-Cause"]) == ("10", "NAS-Request")
        assert "without a RADIUS server's answer" not in gateway.log()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_a_session_over_two_processes_has_one_account_with_all_that_it_used(
    tmp_path: Path, sign: signal.Signals
) -> None:
    with (
        Rig() as rig,
        _server(rig, tmp_path, replies=("Class = 0x676f6c64",)) as radius,
        _ends(rig, tmp_path, 1812, stored=True) as (gateway, charon),
    ):
        charon.initiate()
        before = gateway.wait_up()
        assert rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0
        until(lambda: _is_written(tmp_path / "gateway" / "sas.db"), "both are written down")
        gateway.restart(sign)
        assert gateway.wait_up().sa.id == before.sa.id
        until(lambda: rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0, "pings go on")
        charon.terminate()
        until(lambda: len(radius.accounts()) == 2, "freeradius hears of the end")
        start, stop = radius.accounts()
        assert [each["Acct-Status-Type"] for each in (start, stop)] == ["Start", "Stop"]
        assert (stop["Acct-Session-Id"], stop["Class"]) == (start["Acct-Session-Id"], start["Class"])
        # What was used since the IKE SA was written down last dies with a process that is killed.
        assert int(stop["Acct-Input-Packets"]) >= 10
        assert sign is signal.SIGKILL or stop["Acct-Input-Packets"] == "20"


def test_the_time_of_a_session_goes_on_while_our_gateway_begins_again(tmp_path: Path) -> None:
    with (
        Rig() as rig,
        _server(rig, tmp_path, replies=("Session-Timeout = 6",)) as radius,
        _ends(rig, tmp_path, 1812, stored=True) as (gateway, charon),
    ):
        charon.initiate()
        gateway.wait_up()
        gateway.restart()
        gateway.wait_event("sa-resumed")
        gateway.wait_event("sa-down")
        until(lambda: len(radius.accounts()) == 2, "freeradius hears of its end")
        assert radius.accounts()[1]["Acct-Terminate-Cause"] == "Session-Timeout"


@pytest.mark.thorough
def test_a_server_hears_of_a_session_every_minute_if_it_wants_to(tmp_path: Path) -> None:
    with (
        Rig() as rig,
        _server(rig, tmp_path, replies=("Acct-Interim-Interval = 60",)) as radius,
        _ends(rig, tmp_path, 1812) as (gateway, charon),
    ):
        charon.initiate()
        gateway.wait_up()
        assert rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0
        until(lambda: len(radius.accounts()) == 2, "an update comes", timeout=75)
        start, update = radius.accounts()
        assert (update["Acct-Status-Type"], update["Acct-Session-Id"]) == ("Interim-Update", start["Acct-Session-Id"])
        assert (update["Acct-Input-Packets"], update["Acct-Output-Packets"]) == ("10", "10")
        assert 60 <= int(update["Acct-Session-Time"]) <= 62


def _is_written(file: Path) -> bool:
    """Are there an IKE SA and its account on the disk?"""
    with closing(sqlite3.connect(file)) as base:
        counted = base.execute("SELECT (SELECT count(*) FROM sas), (SELECT count(*) FROM accounts)").fetchone()
    return bool(counted == (1, 1))
