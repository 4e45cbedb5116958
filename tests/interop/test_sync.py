"""Message ids agreed upon after a crash of ours (RFC 6311), with a strongSwan client; its gateway takes no part."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.interop.rig import (
    GW1,
    INNER,
    Charon,
    Mobike,
    Rig,
    initiator,
    mobike_gateway,
    psk,
    requires_rig,
    requires_strongswan,
)
from tests.interop.rig.waiting import until

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

STORE = {"store": {"file": "sas.db", "every": "10s"}}
"""Written down seldom: what is asked in between is forgotten in a crash."""


def _forgets_and_asks(rig: Rig, ours: Mobike, strongswan: Charon) -> None:
    before = ours.wait_up()
    # The SA is written down when it is new; four exchanges later it is not.
    time.sleep(11)
    for _ in range(2):
        ours.post(f"ike-sas/{before.sa.id}/rekey", {"children": True})
        time.sleep(0.5)
    ours.restart(signal.SIGKILL)
    again = ours.wait_up()
    assert again.sa.id == before.sa.id
    until(lambda: ours.counters()["ike_ids_synced"] == 1, "the ids are agreed upon")
    assert rig.ping(rig.client, INNER, count=20, interval=0.05).lost <= 20
    assert "MSG_ID_SYN" in strongswan.log()
    (theirs,) = strongswan.list_sas()
    assert (theirs.initiator_spi, theirs.responder_spi) == (again.sa.spi_i, again.sa.spi_r)


def test_our_gateway_asks_a_strongswan_client(tmp_path: Path) -> None:
    """Without AEAD: charon 5.9.8 cannot seal two messages with one id by a mode that counts, and ends its IKE SA."""
    suite = "aes256-sha256-x25519"
    with (
        Rig() as rig,
        Mobike(
            rig, rig.gateway, tmp_path / "gateway", mobike_gateway(ike=[suite], message_id_sync=True) | STORE
        ) as gateway,
        Charon(rig.client, tmp_path / "client", initiator(GW1.address, ike=suite), secrets=psk()) as charon,
    ):
        charon.initiate()
        _forgets_and_asks(rig, gateway, charon)
