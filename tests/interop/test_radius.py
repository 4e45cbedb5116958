"""EAP of a strongSwan client, passed through by our gateway to FreeRADIUS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
)
from tests.interop.test_eap import EAP_PLUGINS, PASSWORD, USER, changed, secrets, their_client

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan, requires_freeradius]


def _our_gateway(folder: Path, authority: Authority, *ports: int) -> dict[str, Toml]:
    folder.mkdir(parents=True, exist_ok=True)
    authority.issue(GATEWAY_ID).write(folder, "own")
    servers: list[Toml] = [{"server": "127.0.0.1", "port": port, "secret": SECRET} for port in ports]
    keys: dict[str, Toml] = {
        "local_auth": "cert",
        "local_cert": str(folder / "own.pem"),
        "local_key": str(folder / "own.key"),
        "remote_auth": "eap",
        "eap": ["radius"],
        "radius": servers,
    }
    return changed(mobike_gateway(), keys)


@contextmanager
def _ends(rig: Rig, folder: Path, *ports: int, password: str = PASSWORD) -> Iterator[tuple[Mobike, Charon]]:
    authority = Authority.new(at=datetime.now(UTC))
    theirs = their_client(folder / "client", authority)
    with (
        Mobike(rig, rig.gateway, folder / "gateway", _our_gateway(folder / "gateway", authority, *ports)) as gateway,
        Charon(rig.client, folder / "client", theirs, secrets=secrets(password), plugins=EAP_PLUGINS) as charon,
    ):
        yield gateway, charon


@contextmanager
def _server(rig: Rig, folder: Path, port: int = 1812) -> Iterator[FreeRadius]:
    with FreeRadius(rig, rig.gateway, folder / "radius", {USER: PASSWORD}, port=port) as radius:
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
