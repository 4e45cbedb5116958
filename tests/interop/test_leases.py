"""A pool that remembers: a strongSwan client gets the address that it had, and is told when none is left."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.interop.rig import (
    CLIENT_ID,
    GW1,
    INNER,
    Charon,
    Mobike,
    ProgramError,
    Rig,
    Settings,
    Toml,
    initiator,
    merge,
    mobike_gateway,
    psk,
    requires_rig,
    requires_strongswan,
)

OTHER = "other.test.example"
BEAT_S = 1.0
"""Longer than the daemon takes to write down what changed."""

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]


def _gateway(ranges: str, sticky: str = "1h") -> dict[str, Toml]:
    pool: Toml = {"warriors": {"ranges": [ranges], "sticky": sticky}}
    config = mobike_gateway(pool=[], pool_from="warriors")
    return config | {"pools": pool, "store": {"file": "sas.db", "every": "200ms"}}


def _client(name: str) -> Settings:
    return merge(initiator(GW1.address), {"connections": {"gw": {"local": {"id": name}}}})


def _visit(rig: Rig, folder: Path, gateway: Mobike, name: str) -> str:
    """Which address somebody gets who comes, and leaves."""
    with Charon(rig.client, folder / name, _client(name), secrets=psk()) as charon:
        charon.initiate()
        (address,) = gateway.wait_up().sa.virtual_ips
        assert charon.list_sas()[0].local_vips == (address,)
        assert rig.ping(rig.client, INNER, count=3, interval=0.02).lost == 0
    gateway.wait_connection(lambda one: one.ike_sas == 0, "the client is gone")
    return address


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_a_strongswan_client_gets_the_address_that_it_had_also_after_a_restart(
    tmp_path: Path, sign: signal.Signals
) -> None:
    with Rig() as rig, Mobike(rig, rig.gateway, tmp_path / "gateway", _gateway("10.177.0.1-10.177.0.9")) as gateway:
        first = _visit(rig, tmp_path, gateway, CLIENT_ID)
        second = _visit(rig, tmp_path, gateway, OTHER)
        assert first == "10.177.0.1"
        assert second == "10.177.0.2"
        assert _visit(rig, tmp_path, gateway, CLIENT_ID) == first
        time.sleep(BEAT_S)
        gateway.restart(sign)
        assert _visit(rig, tmp_path, gateway, "third.test.example") == "10.177.0.3"
        assert _visit(rig, tmp_path, gateway, OTHER) == second
        assert _visit(rig, tmp_path, gateway, CLIENT_ID) == first


def test_a_strongswan_client_is_told_that_no_address_is_left(tmp_path: Path) -> None:
    first, other = (_client(name)["connections"]["gw"] for name in (CLIENT_ID, OTHER))  # type: ignore[index]
    children: Settings = {"net2": other["children"]["net"]}  # type: ignore[index]
    both: Settings = {"connections": {"gw": first, "other": {**other, "children": children}}}  # type: ignore[dict-item]
    with (
        Rig() as rig,
        Mobike(rig, rig.gateway, tmp_path / "gateway", _gateway("10.177.0.1-10.177.0.1")) as gateway,
        Charon(rig.client, tmp_path / "client", both, secrets=psk()) as charon,
    ):
        charon.initiate()
        with pytest.raises(ProgramError, match="INTERNAL_ADDRESS_FAILURE"):
            charon.initiate("net2")
        gateway.wait_log(f"no inner address is free for {OTHER} in pool")
        assert rig.ping(rig.client, INNER, count=3, interval=0.02).lost == 0
