"""EAP between ours and strongSwan, in both roles: who knows the password, who does not, and who says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.auth.pki import Authority, Owner
from tests.interop.rig import (
    CLIENT_ID,
    GATEWAY_ID,
    GW1,
    INNER,
    X509_PLUGINS,
    Charon,
    Mobike,
    ProgramError,
    Rig,
    Settings,
    Toml,
    initiator,
    merge,
    mobike_client,
    mobike_gateway,
    requires_rig,
    requires_strongswan,
    responder,
)
from tests.interop.tunnels import UPLINK_1_FIRST

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

EAP_PLUGINS = (*X509_PLUGINS[:-3], "eap-identity", "eap-mschapv2", "eap-tls", *X509_PLUGINS[-3:])
USER = "ann@test.example"
PASSWORD = "her password"


def secrets(password: str = PASSWORD) -> Settings:
    """The one user, as strongSwan knows her."""
    return {"eap-ann": {"id": USER, "secret": password}}


def changed(config: dict[str, Toml], keys: Mapping[str, Toml], *without: str) -> dict[str, Toml]:
    """The same connection without a shared key and those named, and with these keys."""
    connections = config["connections"]
    assert isinstance(connections, Mapping)
    table = connections["net"]
    assert isinstance(table, Mapping)
    return config | {
        "connections": {"net": {**{key: each for key, each in table.items() if key not in ("psk", *without)}, **keys}}
    }


def our_gateway(folder: Path, authority: Authority, **more: Toml) -> dict[str, Toml]:
    """Our gateway has a certificate and knows one user."""
    folder.mkdir(parents=True, exist_ok=True)
    authority.issue(GATEWAY_ID).write(folder, "own")
    users = folder / "users.toml"
    users.touch(mode=0o600)
    users.write_text(f'"{USER}" = "{PASSWORD}"\n')
    keys: dict[str, Toml] = {
        "local_auth": "cert",
        "local_cert": str(folder / "own.pem"),
        "local_key": str(folder / "own.key"),
        "remote_auth": "eap",
        "eap_users": str(users),
    }
    return changed(mobike_gateway(), keys | more)


def our_client(folder: Path, authority: Authority, password: str = PASSWORD, **more: Toml) -> dict[str, Toml]:
    """Our client has a password and knows the gateway's authority."""
    folder.mkdir(parents=True, exist_ok=True)
    authority.write(folder / "ca.pem")
    keys: dict[str, Toml] = {
        "local_auth": "eap",
        "eap_identity": USER,
        "eap_password": password,
        "remote_auth": "cert",
        "remote_ca": [str(folder / "ca.pem")],
        "reconnect": {"initial": "30s", "max": "1m"},
    }
    return changed(mobike_client(GW1.address, links=UPLINK_1_FIRST), keys | more)


def their_client(folder: Path, authority: Authority, auth: str = "eap-mschapv2") -> Settings:
    """A strongSwan client with a password."""
    (folder / "x509ca").mkdir(parents=True, exist_ok=True)
    authority.write(folder / "x509ca" / "ca.pem")
    ends: Settings = {
        "connections": {
            "gw": {"local": {"auth": auth, "id": CLIENT_ID, "eap_id": USER}, "remote": {"auth": "pubkey"}},
        }
    }
    return merge(initiator(GW1.address), ends)


def their_gateway(folder: Path, authority: Authority, auth: str = "eap-mschapv2") -> Settings:
    """A strongSwan gateway with a certificate."""
    for name in ("private", "x509", "x509ca"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    authority.issue(GATEWAY_ID).write(folder / "private", "own")
    (folder / "private" / "own.pem").rename(folder / "x509" / "own.pem")
    authority.write(folder / "x509ca" / "ca.pem")
    ends: Settings = {
        "connections": {
            "gw": {"local": {"auth": "pubkey", "certs": "own.pem"}, "remote": {"auth": auth, "eap_id": "%any"}},
        }
    }
    return merge(responder(), ends)


def tls_gateway(folder: Path, authority: Authority, **more: Toml) -> dict[str, Toml]:
    """Our gateway asks for a certificate inside of EAP."""
    authority.write(folder.parent / "ca.pem")
    config = our_gateway(folder, authority, eap=["tls"], remote_ca=[str(folder.parent / "ca.pem")], **more)
    return changed(config, {}, "eap_users")


def tls_client(folder: Path, authority: Authority, **more: Toml) -> dict[str, Toml]:
    """Our client shows a certificate inside of EAP."""
    folder.mkdir(parents=True, exist_ok=True)
    authority.issue(USER, CLIENT_ID).write(folder, "own")
    keys: dict[str, Toml] = {
        "eap": ["tls"],
        "local_cert": str(folder / "own.pem"),
        "local_key": str(folder / "own.key"),
    }
    return changed(our_client(folder, authority), keys | more, "eap_password")


def with_certificate(folder: Path, owner: Owner, config: Settings, remote: str = "pubkey") -> Settings:
    """The same strongSwan client with a certificate to show."""
    for name in ("private", "x509"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    owner.write(folder / "private", "own")
    (folder / "private" / "own.pem").rename(folder / "x509" / "own.pem")
    more: Settings = {"connections": {"gw": {"local": {"certs": "own.pem"}, "remote": {"auth": remote}}}}
    return merge(config, more)


@contextmanager
def _their_client(rig: Rig, folder: Path, password: str = PASSWORD) -> Iterator[tuple[Mobike, Charon]]:
    authority = Authority.new(at=datetime.now(UTC))
    config = our_gateway(folder / "gateway", authority)
    theirs = their_client(folder / "client", authority)
    with (
        Mobike(rig, rig.gateway, folder / "gateway", config) as gateway,
        Charon(rig.client, folder / "client", theirs, secrets=secrets(password), plugins=EAP_PLUGINS) as charon,
    ):
        yield gateway, charon


@contextmanager
def _our_client(rig: Rig, folder: Path, password: str = PASSWORD) -> Iterator[tuple[Mobike, Charon]]:
    authority = Authority.new(at=datetime.now(UTC))
    config = our_client(folder / "client", authority, password)
    theirs = their_gateway(folder / "gateway", authority)
    with (
        Charon(rig.gateway, folder / "gateway", theirs, secrets=secrets(), plugins=EAP_PLUGINS) as charon,
        Mobike(rig, rig.client, folder / "client", config) as client,
    ):
        yield client, charon


def test_a_strongswan_client_proves_itself_to_our_gateway_by_a_password(tmp_path: Path) -> None:
    with Rig() as rig, _their_client(rig, tmp_path) as (gateway, charon):
        charon.initiate()
        up = gateway.wait_up().sa
        assert up.peer_id == USER
        assert up.mobike
        assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0


def test_our_client_proves_itself_to_a_strongswan_gateway_by_a_password(tmp_path: Path) -> None:
    with Rig() as rig, _our_client(rig, tmp_path) as (client, charon):
        assert client.wait_up().sa.peer_id == GATEWAY_ID
        charon.wait_log("EAP method EAP_MSCHAPV2 succeeded")
        assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0


def test_a_strongswan_client_with_a_wrong_password_is_told_so_and_our_log_says_who_it_was(tmp_path: Path) -> None:
    with Rig() as rig, _their_client(rig, tmp_path, "guessed") as (gateway, charon):
        with pytest.raises(ProgramError):
            charon.initiate()
        charon.wait_log("ERROR_AUTHENTICATION_FAILURE")
        gateway.wait_log(f"wrong password: EAP-MSCHAPv2 as '{USER}'")
        assert gateway.ike_sas() == []


def test_our_client_with_a_wrong_password_says_so_in_one_line(tmp_path: Path) -> None:
    with Rig() as rig, _our_client(rig, tmp_path, "guessed") as (client, _):
        failed = client.wait_connection(lambda one: one.last_error is not None, "it failed")
        assert failed.last_error == "the gateway refuses our EAP-MSCHAPv2: wrong user or password"
        assert client.ike_sas() == []


@pytest.mark.parametrize("alone", [False, True])
def test_a_strongswan_client_proves_itself_to_our_gateway_by_eap_tls(tmp_path: Path, alone: bool) -> None:
    authority = Authority.new(at=datetime.now(UTC))
    more: dict[str, Toml] = {"local_auth": "eap"} if alone else {}
    config = tls_gateway(tmp_path / "gateway", authority, **more)
    theirs = with_certificate(
        tmp_path / "client",
        authority.issue(USER, CLIENT_ID, subject="client"),
        their_client(tmp_path / "client", authority, "eap-tls"),
        "eap-tls" if alone else "pubkey",
    )
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", config) as gateway,
        Charon(rig.client, tmp_path / "client", theirs, plugins=EAP_PLUGINS) as charon,
    ):
        charon.initiate()
        assert gateway.wait_up().sa.peer_id == USER
        assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0


@pytest.mark.parametrize("alone", [False, True])
def test_our_client_proves_itself_to_a_strongswan_gateway_by_eap_tls(tmp_path: Path, alone: bool) -> None:
    authority = Authority.new(at=datetime.now(UTC))
    config = tls_client(tmp_path / "client", authority, **({"remote_auth": "eap"} if alone else {}))
    theirs = their_gateway(tmp_path / "gateway", authority, "eap-tls")
    if alone:
        ends: Settings = {"connections": {"gw": {"local": {"auth": "eap-tls"}}}}
        theirs = merge(theirs, ends)
    with (
        Rig() as rig,
        Charon(rig.gateway, tmp_path / "gateway", theirs, plugins=EAP_PLUGINS) as charon,
        Mobike(rig, rig.client, tmp_path / "client", config) as client,
    ):
        assert client.wait_up().sa.peer_id == GATEWAY_ID
        charon.wait_log("EAP method EAP_TLS succeeded")
        assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0


def test_a_strongswan_client_with_a_certificate_of_another_authority_is_refused(tmp_path: Path) -> None:
    authority, other = (Authority.new(at=datetime.now(UTC)) for _ in range(2))
    config = tls_gateway(tmp_path / "gateway", authority)
    theirs = with_certificate(
        tmp_path / "client",
        other.issue(USER, CLIENT_ID, subject="client"),
        their_client(tmp_path / "client", authority, "eap-tls"),
    )
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", config) as gateway,
        Charon(rig.client, tmp_path / "client", theirs, plugins=EAP_PLUGINS) as charon,
    ):
        with pytest.raises(ProgramError):
            charon.initiate()
        gateway.wait_log("was not signed by|no authority that we trust")
        assert gateway.ike_sas() == []
