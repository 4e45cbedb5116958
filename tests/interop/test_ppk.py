"""Keys besides (RFC 8784) and public keys without an authority, between ours and strongSwan in both roles."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.auth.pki import Authority, Owner
from tests.interop.rig import (
    CLIENT_ID,
    GATEWAY_ID,
    GW1,
    INNER,
    PSK,
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
from tests.interop.test_eap import EAP_PLUGINS, changed, our_client, our_gateway, secrets, their_client, their_gateway
from tests.interop.tunnels import UPLINK_1_FIRST

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

KEY = "0x" + "5a" * 32
OTHER = "0x" + "a5" * 32


def _secrets(key: str = KEY) -> Settings:
    return {"ike-any": {"secret": PSK}, "ppk-one": {"id": "one", "secret": key}}


def _theirs(config: Settings, *, required: bool) -> Settings:
    ends: Settings = {"connections": {"gw": {"ppk_id": "one", "ppk_required": "yes" if required else "no"}}}
    return merge(config, ends)


def _ours(*, required: bool) -> dict[str, Toml]:
    return {"ppk_id": "one", "ppk": KEY, "ppk_required": required}


@pytest.mark.parametrize("required", [True, False])
def test_a_strongswan_client_and_our_gateway_use_a_ppk(tmp_path: Path, required: bool) -> None:
    theirs = _theirs(initiator(GW1.address), required=required)
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", mobike_gateway(**_ours(required=True))) as gateway,
        Charon(rig.client, tmp_path / "client", theirs, secrets=_secrets()) as charon,
    ):
        charon.initiate()
        gateway.wait_up()
        charon.wait_log("using PPK for PPK_ID 'one'")
        assert rig.ping(rig.client, INNER, count=5, interval=0.2).lost == 0


@pytest.mark.parametrize("required", [True, False])
def test_our_client_and_a_strongswan_gateway_use_a_ppk(tmp_path: Path, required: bool) -> None:
    config = mobike_client(GW1.address, links=UPLINK_1_FIRST, **_ours(required=required))
    theirs = _theirs(responder(), required=True)
    with (
        Rig() as rig,
        Charon(rig.gateway, tmp_path / "gateway", theirs, secrets=_secrets()) as charon,
        Mobike(rig, rig.client, tmp_path / "client", config) as client,
    ):
        client.wait_up()
        charon.wait_log("using PPK for PPK_ID 'one'")
        assert rig.ping(rig.client, INNER, count=5, interval=0.2).lost == 0


def test_a_strongswan_client_with_another_ppk_is_refused(tmp_path: Path) -> None:
    theirs = _theirs(initiator(GW1.address), required=False)
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", mobike_gateway(**_ours(required=True))) as gateway,
        Charon(rig.client, tmp_path / "client", theirs, secrets=_secrets(OTHER)) as charon,
    ):
        with pytest.raises(ProgramError):
            charon.initiate()
        charon.wait_log("AUTH_FAILED")
        assert gateway.ike_sas() == []


@pytest.mark.parametrize("required", [True, False])
def test_a_strongswan_client_with_a_password_and_our_gateway_use_a_ppk(tmp_path: Path, required: bool) -> None:
    authority = Authority.new(at=datetime.now(UTC))
    ours = our_gateway(tmp_path / "gateway", authority, **_ours(required=True))
    theirs = _theirs(their_client(tmp_path / "client", authority), required=required)
    known: Settings = {**secrets(), "ppk-one": {"id": "one", "secret": KEY}}
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", ours) as gateway,
        Charon(rig.client, tmp_path / "client", theirs, plugins=EAP_PLUGINS, secrets=known) as charon,
    ):
        charon.initiate()
        gateway.wait_up()
        charon.wait_log("using PPK for PPK_ID 'one'")
        assert rig.ping(rig.client, INNER, count=5, interval=0.2).lost == 0


@pytest.mark.parametrize("required", [True, False])
def test_our_client_with_a_password_and_a_strongswan_gateway_use_a_ppk(tmp_path: Path, required: bool) -> None:
    authority = Authority.new(at=datetime.now(UTC))
    ours = changed(our_client(tmp_path / "client", authority), _ours(required=required))
    theirs = _theirs(their_gateway(tmp_path / "gateway", authority), required=True)
    known: Settings = {**secrets(), "ppk-one": {"id": "one", "secret": KEY}}
    with (
        Rig() as rig,
        Charon(rig.gateway, tmp_path / "gateway", theirs, plugins=EAP_PLUGINS, secrets=known) as charon,
        Mobike(rig, rig.client, tmp_path / "client", ours) as client,
    ):
        client.wait_up()
        charon.wait_log("using PPK for PPK_ID 'one'")
        assert rig.ping(rig.client, INNER, count=5, interval=0.2).lost == 0


def test_a_strongswan_client_with_a_password_and_another_ppk_is_refused(tmp_path: Path) -> None:
    authority = Authority.new(at=datetime.now(UTC))
    ours = our_gateway(tmp_path / "gateway", authority, **_ours(required=True))
    theirs = _theirs(their_client(tmp_path / "client", authority), required=True)
    known: Settings = {**secrets(), "ppk-one": {"id": "one", "secret": OTHER}}
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", ours) as gateway,
        Charon(rig.client, tmp_path / "client", theirs, plugins=EAP_PLUGINS, secrets=known) as charon,
    ):
        with pytest.raises(ProgramError):
            charon.initiate()
        assert gateway.ike_sas() == []


def _public(owner: Owner) -> bytes:
    return owner.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("bare", [False, True])
def test_a_strongswan_client_proves_itself_by_a_key_that_we_know(tmp_path: Path, bare: bool) -> None:
    authority = Authority.new(at=datetime.now(UTC))
    gateway_owner, client_owner = authority.issue(GATEWAY_ID), authority.issue(CLIENT_ID)
    ours, theirs = tmp_path / "gateway", tmp_path / "client"
    for folder in (ours, theirs / "private", theirs / "pubkey"):
        folder.mkdir(parents=True)
    gateway_owner.write(ours, "own")
    (ours / "peer.pub").write_bytes(_public(client_owner))
    client_owner.write(theirs / "private", "own")
    (theirs / "private" / "own.pem").unlink()
    (theirs / "pubkey" / "own.pub").write_bytes(_public(client_owner))
    (theirs / "pubkey" / "gateway.pub").write_bytes(_public(gateway_owner))
    # By a certificate, or by our key alone: strongSwan knows that too.
    shown: dict[str, Toml] = {"local_auth": "key", "local_id": GATEWAY_ID}
    if not bare:
        shown = {"local_auth": "cert", "local_cert": str(ours / "own.pem")}
    keys: dict[str, Toml] = {
        **shown,
        "local_key": str(ours / "own.key"),
        "remote_auth": "key",
        "remote_keys": [str(ours / "peer.pub")],
    }
    ends: Settings = {
        "connections": {
            "gw": {
                "local": {"auth": "pubkey", "pubkeys": "own.pub"},
                "remote": {"auth": "pubkey", "pubkeys": "gateway.pub"},
            }
        }
    }
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, ours, changed(mobike_gateway(), keys)) as gateway,
        Charon(rig.client, theirs, merge(initiator(GW1.address), ends), plugins=X509_PLUGINS) as charon,
    ):
        charon.initiate()
        assert gateway.wait_up().sa.peer_id == CLIENT_ID
        assert rig.ping(rig.client, INNER, count=5, interval=0.2).lost == 0
