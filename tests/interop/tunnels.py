"""Tunnels between ours and strongSwan, up and over uplink 1, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.interop.rig import (
    GW1,
    UP1,
    UP2,
    Charon,
    Mobike,
    PingResult,
    Rig,
    Settings,
    Toml,
    initiator,
    mobike_client,
    mobike_gateway,
    psk,
    responder,
)

MOST_LOST = 50
"""Pings, 20 ms apart: a second, which a busy machine keeps too. How long a move takes is for the benches to tell."""

UPLINK_1_FIRST: tuple[dict[str, Toml], ...] = ({"match": UP1.device, "rank": 1}, {"match": UP2.device, "rank": 2})


@contextmanager
def client_of_strongswan(
    rig: Rig,
    folder: Path,
    gateway: Settings | None = None,
    /,
    *,
    remote: str | Sequence[str] = GW1.address,
    **connection: Toml,
) -> Iterator[tuple[Mobike, Charon]]:
    """Our client with a tunnel to a strongSwan gateway."""
    remotes = (remote,) if isinstance(remote, str) else remote
    config = mobike_client(*remotes, links=UPLINK_1_FIRST, **connection)
    with (
        Charon(rig.gateway, folder / "gateway", gateway or responder(), secrets=psk()) as charon,
        Mobike(rig, rig.client, folder / "client", config) as client,
    ):
        up = client.wait_up()
        assert host(up.sa.local) in (UP1.address, UP1.address6)
        yield client, charon


@contextmanager
def gateway_of_strongswan(
    rig: Rig,
    folder: Path,
    *,
    client: Settings | None = None,
    settings: Settings | None = None,
    **connection: Toml,
) -> Iterator[tuple[Mobike, Charon]]:
    """Our gateway with a strongSwan client; `settings` are of its strongswan.conf."""
    config = mobike_gateway(**connection)
    theirs = client or initiator(GW1.address)
    with (
        Mobike(rig, rig.gateway, folder / "gateway", config) as gateway,
        Charon(rig.client, folder / "client", theirs, secrets=psk(), settings=settings) as charon,
    ):
        charon.initiate()
        charon.wait_sa(
            lambda sa: sa.state == "ESTABLISHED" and sa.local_host in (UP1.address, UP1.address6),
            "the client uses uplink 1",
        )
        yield gateway, charon


def host(endpoint: str) -> str:
    """The address in `10.1.1.2:4500` or `[fd00::1]:4500`."""
    return endpoint.rpartition(":")[0].strip("[]")


def told(what: str, result: PingResult) -> None:
    """One line for whoever runs this with -s."""
    print(f"{what}: {result.lost} of {result.sent} lost, silence {result.longest_silence:.3f} s")
