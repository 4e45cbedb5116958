"""Daemons whose ESP is the kernel's, and what the kernel holds for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mobike_api.schemas import IkeSaDetail
from tests.interop.rig import (
    DEVICE,
    GW1,
    UP1,
    Charon,
    Mobike,
    Namespace,
    PingResult,
    Rig,
    Settings,
    Toml,
    initiator,
    mobike_client,
    mobike_gateway,
    psk,
    responder,
    until,
)
from tests.interop.rig.charon import CRYPTO
from tests.interop.tunnels import UPLINK_1_FIRST, host

INTERVAL_S = 0.01
PLUGINS = (*CRYPTO, "kernel-netlink", "socket-default", "updown", "vici")
"""Of a strongSwan whose ESP is the kernel's, too."""

KERNEL: Mapping[str, Toml] = {"kind": "kernel", "inner": "tun", "tun": DEVICE}


STORE: dict[str, Toml] = {"store": {"file": "sas.db", "every": "200ms"}}
"""SAs outlive the process."""


def in_kernel(config: Mapping[str, Toml], moves: str = "auto") -> dict[str, Toml]:
    """The same daemon, its ESP in the kernel."""
    return {**config, "dataplane": {**KERNEL, "moves": moves}}


def bare(config: Mapping[str, Toml]) -> dict[str, Toml]:
    """The same, and nothing but policies leads into its tunnels."""
    return {**config, "dataplane": {"kind": "kernel", "inner": "none"}}


@contextmanager
def tunnel(
    rig: Rig, folder: Path, *, store: bool = False, client_store: bool = False
) -> Iterator[tuple[Mobike, Mobike]]:
    """Our client with a tunnel to our gateway, up over uplink 1. `store`: the gateway's SAs survive it."""
    client = in_kernel(mobike_client(GW1.address, links=UPLINK_1_FIRST)) | (STORE if client_store else {})
    with (
        Mobike(rig, rig.gateway, folder / "gateway", _gateway(store)) as answers,
        Mobike(rig, rig.client, folder / "client", client) as calls,
    ):
        answers.wait_up()
        assert host(calls.wait_up().sa.local) == UP1.address
        yield calls, answers


def _gateway(store: bool) -> dict[str, Toml]:
    return in_kernel(mobike_gateway()) | (STORE if store else {})


def states(rig: Rig, ns: Namespace) -> list[str]:
    """SAs in the kernel, a text each."""
    shown = rig.run(ns, ["ip", "-s", "xfrm", "state"]).stdout
    return [f"src{each}" for each in f"\n{shown}".split("\nsrc")[1:]]


def policies(rig: Rig, ns: Namespace) -> list[str]:
    """Policies in the kernel but those of sockets."""
    shown = rig.run(ns, ["ip", "xfrm", "policy", "list", "nosock"]).stdout
    return [f"src{each}" for each in f"\n{shown}".split("\nsrc")[1:]]


def wait_states(rig: Rig, count: int) -> None:
    """Wait until each end has so many SAs."""
    for ns in (rig.client, rig.gateway):
        until(lambda ns=ns: len(states(rig, ns)) == count, f"{count} SAs in {ns}")  # type: ignore[misc]


def nothing_lost(result: PingResult) -> None:
    """Every ping was answered, once."""
    assert (result.lost, result.duplicates) == (0, 0)


@contextmanager
def with_strongswan(rig: Rig, folder: Path, role: str, *, store: bool = False) -> Iterator[tuple[Mobike, Charon]]:
    """Ours in this role, and strongSwan in the other. `store`: SAs of our gateway survive it."""
    if role == "client":
        theirs = Charon(rig.gateway, folder / "gateway", responder(), secrets=psk(), plugins=PLUGINS)
        config = in_kernel(mobike_client(GW1.address, links=UPLINK_1_FIRST))
        with theirs, Mobike(rig, rig.client, folder / "client", config) as ours:
            ours.wait_up()
            yield ours, theirs
        return
    client: Settings = initiator(GW1.address)
    theirs = Charon(rig.client, folder / "client", client, secrets=psk(), plugins=PLUGINS)
    with Mobike(rig, rig.gateway, folder / "gateway", _gateway(store)) as ours, theirs:
        theirs.initiate()
        ours.wait_up()
        yield ours, theirs


def child_replaced(ours: Mobike, by: Mobike | Charon) -> None:
    """A Child SA gets new keys, as `by` wants it."""
    old = ours.wait_up().children[0].id
    if isinstance(by, Mobike):
        by.post(f"ike-sas/{by.wait_up().sa.id}/rekey", {"children": True})
    else:
        by.rekey_child()
    ours.wait_sa(lambda one: len(one.children) == 1 and one.children[0].id != old, "a new Child SA alone is left")


def keys_replaced(ours: Mobike, by: Mobike | Charon) -> None:
    """The IKE SA gets new keys, as `by` wants it."""
    old = ours.wait_up().sa.spi_i
    if isinstance(by, Mobike):
        by.post(f"ike-sas/{by.wait_up().sa.id}/rekey", {})
    else:
        by.rekey_ike()
    ours.wait_sa(lambda one: one.sa.spi_i != old, "the IKE SA has new keys")


def wait_at(gateway: Mobike, address: str) -> IkeSaDetail:
    """Wait until the client of this gateway is there."""
    there = f"the client is at {address}"
    return gateway.wait_sa(lambda one: host(one.sa.remote) == address and one.sa.state == "established", there)
