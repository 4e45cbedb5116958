"""libreswan 4.10 at the other end: EAP-TLS alone, chains of certificates in many pieces, a move after new keys.

It runs where the kernel has ESP, else in one that is booted for it (tests/lab); by `make interop`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.libreswan import (
    NAME,
    certified,
    client_of_libreswan,
    gateway_of_libreswan,
    initiator,
    responder,
)
from tests.interop.rig import CLIENT_ID, GATEWAY_ID, INNER, UP1, UP2, Rig, Toml, requires_libreswan, requires_rig, until
from tests.interop.tunnels import told

pytestmark = [
    pytest.mark.interop,
    pytest.mark.kernel_ipsec,
    pytest.mark.thorough,
    requires_rig,
    requires_libreswan,
]

ROLES = {"client": client_of_libreswan, "gateway": gateway_of_libreswan}


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_our_client_and_a_libreswan_gateway_prove_themselves_by_eap_tls_alone(tmp_path: Path, tls: str) -> None:
    """libreswan knows EAP as a gateway, and EAP-TLS only; with TLS 1.3 it ends without the word of RFC 9190."""
    both = certified(tmp_path, CLIENT_ID, GATEWAY_ID, "rsa2048")
    conn = dict(responder(leftcert="own", leftsendcert="always", rightca="%same"))
    del conn["authby"]
    conn |= {"leftauth": "eaponly", "rightauth": "eaponly", "leftautheap": "tls", "rightautheap": "tls"}
    ours: dict[str, Toml | None] = {
        **both.ours,
        "local_auth": "eap",
        "remote_auth": "eap",
        "eap": ["tls"],
        "eap_identity": CLIENT_ID,
    }
    tunnel = client_of_libreswan(
        rig := Rig(), tmp_path, conn, keys=both.theirs, ours=ours, newest_tls=f"tls{tls}", wait=tls == "1.2"
    )
    with rig, tunnel as (client, pluto):
        if tls == "1.2":
            assert client.wait_up().sa.peer_id == GATEWAY_ID
            assert rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0
            return
        failed = client.wait_event("connect-failed")
        assert "ended EAP before its method came to an end" in failed.text
        pluto.wait_log("responding with EAP termination code 3")


@pytest.mark.parametrize("role", ROLES)
def test_long_chains_go_in_pieces(tmp_path: Path, role: str) -> None:
    our_name, their_name = (CLIENT_ID, GATEWAY_ID) if role == "client" else (GATEWAY_ID, CLIENT_ID)
    both = certified(tmp_path, our_name, their_name, "rsa2048", below=3)
    # Unasked it sends its own certificate alone.
    conn = (responder if role == "client" else initiator)(
        authby="rsa-sha2", leftcert="own", leftsendcert="always", sendca="all", rightca="%any"
    )
    with Rig() as rig, ROLES[role](rig, tmp_path, conn, keys=both.theirs, ours=both.ours) as (mobike, _):
        assert mobike.wait_up().sa.peer_id == their_name
        assert rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0
        counters = mobike.counters()
        assert counters["ike_fragments_sent"] >= 3
        assert counters["ike_fragments_kept"] >= 2, "all but the last one of a message wait for it"


@pytest.mark.parametrize("by", ["mobike", "libreswan"])
def test_a_libreswan_gateway_forgets_mobike_with_new_keys_and_our_client_comes_back_at_once(
    tmp_path: Path, by: str
) -> None:
    """It answers the update as if it were empty. An answer without COOKIE2 ends the IKE SA (RFC 4555 section 3.7)."""
    conn = responder(encapsulation="auto")
    with Rig(nat=(UP1, UP2)) as rig, client_of_libreswan(rig, tmp_path, conn) as (client, pluto):
        before = client.wait_up()
        if by == "mobike":
            client.post(f"ike-sas/{before.sa.id}/rekey", {})
        else:
            pluto.rekey_ike(NAME)
        client.wait_sa(lambda one: one.sa.spi_i != before.sa.spi_i, "our end has new keys")
        pluto.wait_states(lambda states: sum(one.is_ike for one in states) == 1, "libreswan has one IKE SA")
        with rig.pinger(rig.client, INNER, interval=0.02) as pinger:
            pinger.wait_replies(10)
            rig.link_down(rig.client, UP1.device)
            down = client.wait_event("sa-down", lambda event: event.sa == before.sa.id)
            after = client.wait_sa(lambda one: one.sa.id != before.sa.id and bool(one.children), "another IKE SA")
            pinger.wait_replies(20)
            result = pinger.stop()
        told(f"our client leaves a gateway that forgot MOBIKE when {by} replaced the keys", result)
        assert "failed the return routability check" in down.text
        assert after.sa.local.startswith(f"{UP2.address}:")
        until(lambda: rig.ping(rig.client, INNER, count=10, interval=0.02).lost == 0, "all pings are answered")
