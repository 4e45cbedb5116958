"""What a client's tunnel is for never leaves in the clear: one story for every data plane."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.interop.rig import GW1, INNER, INNER_NET, UP1, UP2, Mobike, Rig, Toml, mobike_client, mobike_gateway, until
from tests.interop.rig.capture import dissect

Plane = Callable[[Mapping[str, Toml]], Mapping[str, Toml]]
KNOCKS = 20
KNOCK = f"""
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range({KNOCKS}):
    try: s.sendto(b"knock", ({INNER!r}, 9))
    except OSError: pass  # as a host says that there is no way
    time.sleep(0.01)
"""


@contextmanager
def watched(rig: Rig, folder: Path) -> Iterator[Callable[[], int]]:
    """How many packets have left the client for the net behind its gateway, as anybody on the way could read them."""
    files = [folder / f"{cable.device}.pcap" for cable in (UP1, UP2)]
    for_the_net = ("udp", "port", "9", "and", "dst", "net", INNER_NET)
    with (
        rig.capture(rig.client, UP1.device, files[0], *for_the_net),
        rig.capture(rig.client, UP2.device, files[1], *for_the_net),
    ):
        yield lambda: sum(len(dissect(file, ["ip.dst"])) for file in files)


def knock(rig: Rig) -> None:
    """Send what only the net behind the gateway should see."""
    rig.run(rig.client, ["python3", "-c", KNOCK])


def works(rig: Rig) -> None:
    """Wait for an answer through the tunnel."""
    answered = ["ping", "-n", "-c", "1", "-W", "1", INNER]
    until(lambda: rig.run(rig.client, answered, check=False).returncode == 0, "a ping is answered")


def nothing_leaves_in_the_clear(rig: Rig, folder: Path, plane: Plane, *, store: bool) -> None:
    """Of a connection that does not say otherwise: before the first attempt, without a gateway, while it is up, over
    restarts and crashes of both."""
    keep: dict[str, Toml] = {"store": {"file": "sas.db", "every": "200ms"}} if store else {}
    client_config = mobike_client(GW1.address, while_down=None, reconnect={"initial": "200ms", "max": "500ms"})
    config = {**plane(client_config), **keep}
    client = Mobike(rig, rig.client, folder / "client", config)
    gateway = Mobike(rig, rig.gateway, folder / "gateway", plane(mobike_gateway()))
    with watched(rig, folder) as seen:
        with client:
            client.wait_log("shield.up")
            knock(rig)
            with gateway:
                client.wait_up()
                works(rig)
                for sign in (signal.SIGTERM, signal.SIGKILL):
                    assert client.program.stop(sign) in (0, -sign)
                    if sign is signal.SIGKILL or store:
                        knock(rig)
                        assert seen() == 0, f"after {sign.name}"
                    client.restart(sign)
                    client.wait_up()
                    works(rig)
            until(lambda: client.ike_sas() == [], "the gateway has ended the tunnel", 90)
            knock(rig)
            assert seen() == 0
            client.post("connections/net/down")
            client.wait_log("shield.down")
            knock(rig)
            until(lambda: seen() == KNOCKS, "nobody wants it any more; and the capture would have seen others")
            client.post("connections/net/up")
            until(lambda: client.log().count("shield.up") >= 2, "the shield stands again")
            knock(rig)
            assert seen() == KNOCKS
        if not store:
            knock(rig)
            until(lambda: seen() == 2 * KNOCKS, "with the daemon, its shields have gone")
