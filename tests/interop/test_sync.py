"""Message ids agreed upon after a crash of ours (RFC 6311), with a strongSwan client; its gateway takes no part."""

from __future__ import annotations

import signal
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

STORE = {"store": {"file": "sas.db", "every": "6s"}}
"""Written down seldom: what is asked in between is forgotten in a crash."""


def _forgets_and_asks(rig: Rig, ours: Mobike, strongswan: Charon) -> None:
    empty = ours.written()
    strongswan.initiate()
    before = ours.wait_up()
    # The SA is written down when it is new; four exchanges later it is not.
    until(lambda: ours.written() != empty, "the SA is written down")
    for number in range(1, 3):
        ours.post(f"ike-sas/{before.sa.id}/rekey", {"children": True})
        until(lambda number=number: ours.counters()["ike_children_rekeyed"] == number, "new keys")  # type: ignore[misc]
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
        _forgets_and_asks(rig, gateway, charon)
