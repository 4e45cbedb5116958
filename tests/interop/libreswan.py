"""Tunnels between ours and libreswan, up and over uplink 1, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from tests.auth.pki import Authority, Owner
from tests.interop.rig import (
    CLIENT_ID,
    ESP,
    GATEWAY_ID,
    GW1,
    INNER_NET,
    P12_PASSWORD,
    PSK,
    Mobike,
    Pluto,
    Rig,
    Toml,
    mobike_client,
    mobike_gateway,
)
from tests.interop.tunnels import UPLINK_1_FIRST

NAME = "gw"
"""What the connections of libreswan are called here."""

POOL = "10.177.0.2-10.177.0.200"

ESP_WITH_PFS = f"{ESP}-x25519"

Conn = Mapping[str, str]

_BOTH: Conn = {
    "ikev2": "insist",
    "authby": "secret",
    "mobike": "yes",
    # Ours carries ESP in UDP only.
    "encapsulation": "yes",
    "ike": "aes_gcm128-sha2_256;dh31",
    # New keys by a key exchange of their own: libreswan's way unless it is told otherwise.
    "esp": "aes_gcm128;dh31",
    "narrowing": "yes",
    "dpddelay": "0",
    "rekey": "no",
}


def responder(address: str = GW1.address, **changes: str) -> Conn:
    """libreswan as a gateway that leases addresses."""
    usual = {
        "left": address,
        "leftid": f"@{GATEWAY_ID}",
        "leftsubnet": INNER_NET,
        "right": "%any",
        "rightid": f"@{CLIENT_ID}",
        "rightaddresspool": POOL,
        "auto": "add",
    }
    return {**_BOTH, **usual, **changes}


def initiator(address: str = GW1.address, **changes: str) -> Conn:
    """libreswan as a client that asks for an address."""
    usual = {
        "left": "%defaultroute",
        "leftid": f"@{CLIENT_ID}",
        "leftmodecfgclient": "yes",
        "leftsubnet": "0.0.0.0/0",
        "right": address,
        "rightid": f"@{GATEWAY_ID}",
        "rightsubnet": INNER_NET,
        "auto": "add",
    }
    return {**_BOTH, **usual, **changes}


def secrets(key: str = PSK) -> str:
    """One key for whoever asks."""
    return f'%any %any : PSK "{key}"\n: PSK "{key}"\n'


@contextmanager
def client_of_libreswan(
    rig: Rig,
    folder: Path,
    conn: Conn | None = None,
    /,
    *,
    remote: str = GW1.address,
    keys: tuple[Path, ...] = (),
    ours: Mapping[str, Toml | None] | None = None,
) -> Iterator[tuple[Mobike, Pluto]]:
    """Our client with a tunnel to a libreswan gateway; `keys` are its (see `p12`), `ours` changes our end."""
    config = mobike_client(remote, links=UPLINK_1_FIRST, **{"esp": [ESP_WITH_PFS], **(ours or {})})
    with (
        Pluto(rig.gateway, folder / "gateway", {NAME: conn or responder()}, secrets=secrets(), p12=keys) as pluto,
        Mobike(rig, rig.client, folder / "client", config) as client,
    ):
        client.wait_up()
        yield client, pluto


@contextmanager
def gateway_of_libreswan(
    rig: Rig,
    folder: Path,
    conn: Conn | None = None,
    /,
    *,
    keys: tuple[Path, ...] = (),
    ours: Mapping[str, Toml | None] | None = None,
) -> Iterator[tuple[Mobike, Pluto]]:
    """Our gateway with a libreswan client; `keys` are its (see `p12`), `ours` changes our end."""
    with (
        Mobike(
            rig, rig.gateway, folder / "gateway", mobike_gateway(**{"esp": [ESP_WITH_PFS], **(ours or {})})
        ) as gateway,
        Pluto(rig.client, folder / "client", {NAME: conn or initiator()}, secrets=secrets(), p12=keys) as pluto,
    ):
        pluto.initiate(NAME)
        gateway.wait_up()
        yield gateway, pluto


def p12(owner: Owner, authority: Authority, file: Path) -> Path:
    """Key, certificate and authorities as NSS takes them; the certificate is called `own`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    above = [*owner.chain, authority.certificate]
    password = BestAvailableEncryption(P12_PASSWORD.encode())
    file.write_bytes(serialize_key_and_certificates(b"own", owner.key, owner.certificate, above, password))
    return file
