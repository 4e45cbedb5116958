"""Peers that know nothing of RFC 7427: strongSwan with `signature_authentication = no`, in both roles."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    initiator,
    mobike_client,
    mobike_gateway,
    requires_rig,
    requires_strongswan,
    responder,
)
from tests.interop.test_certificates import Pki, _ours, _theirs
from tests.interop.test_eap import changed
from tests.interop.tunnels import UPLINK_1_FIRST

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

SCHEMES = {"p256": "ECDSA-256", "p384": "ECDSA-384", "p521": "ECDSA-521"}
OLD = {"charon": {"signature_authentication": "no"}}
KINDS = ("p256", "p384", "p521")


@pytest.mark.parametrize("kind", KINDS)
def test_an_old_strongswan_client_and_our_gateway_sign_by_rfc_4754(tmp_path: Path, kind: str) -> None:
    pki = Pki.new(kind)
    ours = _ours(tmp_path / "gateway", pki.gateway, pki.authority, mobike_gateway())
    theirs = _theirs(tmp_path / "client", pki.client, pki.authority, initiator(GW1.address))
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", ours) as gateway,
        Charon(rig.client, tmp_path / "client", theirs, plugins=X509_PLUGINS, settings=OLD) as charon,
    ):
        charon.initiate()
        assert gateway.wait_up().sa.peer_id == CLIENT_ID
        charon.wait_log(f"with {SCHEMES[kind]}")
        assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0


@pytest.mark.parametrize("kind", KINDS)
def test_our_client_and_an_old_strongswan_gateway_sign_by_rfc_4754(tmp_path: Path, kind: str) -> None:
    pki = Pki.new(kind)
    ours = _ours(tmp_path / "client", pki.client, pki.authority, mobike_client(GW1.address, links=UPLINK_1_FIRST))
    theirs = _theirs(tmp_path / "gateway", pki.gateway, pki.authority, responder())
    with (
        Rig() as rig,
        Charon(rig.gateway, tmp_path / "gateway", theirs, plugins=X509_PLUGINS, settings=OLD),
        Mobike(rig, rig.client, tmp_path / "client", ours) as client,
    ):
        assert client.wait_up().sa.peer_id == GATEWAY_ID
        assert rig.ping(rig.client, INNER, count=5, interval=0.02).lost == 0


@pytest.mark.parametrize("believed", [True, False])
def test_rsa_with_sha_1_is_believed_only_where_the_operator_says_so(tmp_path: Path, believed: bool) -> None:
    """The gateway has ECDSA, the client RSA: we make no signature with SHA-1."""
    pki = Pki.new("p256")
    client = pki.authority.issue(CLIENT_ID, kind="rsa2048", subject="client")
    ours = _ours(tmp_path / "gateway", pki.gateway, pki.authority, mobike_gateway())
    ours = changed(ours, {"remote_rsa_sha1": believed})
    theirs = _theirs(tmp_path / "client", client, pki.authority, initiator(GW1.address))
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", ours) as gateway,
        Charon(rig.client, tmp_path / "client", theirs, plugins=X509_PLUGINS, settings=OLD) as charon,
    ):
        if believed:
            charon.initiate()
            assert gateway.wait_up().sa.peer_id == CLIENT_ID
        else:
            with pytest.raises(ProgramError):
                charon.initiate()
            gateway.wait_log("peer proves who it is in another way than the profile wants")
            assert gateway.ike_sas() == []
