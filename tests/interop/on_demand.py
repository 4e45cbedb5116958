"""A tunnel that the first packet brings up: one story for every data plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.interop.rig import GW1, Mobike, Rig, Toml, mobike_client, mobike_gateway, until
from tests.interop.shielded import knock, watched, works

Plane = Callable[[Mapping[str, Toml]], Mapping[str, Toml]]
WAITS = "waiting-for-traffic"


def _wait(client: Mobike, state: str) -> None:
    client.wait_connection(lambda one: one.state == state, f"it is {state}", 60)


def traffic_brings_it_up(rig: Rig, folder: Path, plane: Plane) -> None:
    """It waits, comes with a packet, waits again when it is gone, and tries in vain without a gateway; and nothing of
    what it is for leaves in the clear."""
    config = plane(
        mobike_client(
            GW1.address,
            start="traffic",
            while_down=None,
            reconnect={"initial": "200ms", "max": "500ms"},
            retransmit={"give_up_initiator": "5s"},
        )
    )
    with Mobike(rig, rig.client, folder / "client", config) as client, watched(rig, folder) as seen:
        _wait(client, WAITS)
        knock(rig)
        until(lambda: "connect-failed" in client.log(), "there is no gateway yet", 60)
        with Mobike(rig, rig.gateway, folder / "gateway", plane(mobike_gateway())) as gateway:
            for _ in range(3):
                _wait(client, WAITS)
                assert gateway.ike_sas() == []
                works(rig)
                _wait(client, "up")
                (sa,) = client.ike_sas()
                client.delete(f"ike-sas/{sa.sa.id}")
                until(lambda: gateway.ike_sas() == [], "it is gone")
        assert seen() == 0
        client.post("connections/net/down")
        _wait(client, "down")
        knock(rig)
        until(lambda: seen() > 0, "and the capture would have seen others")
