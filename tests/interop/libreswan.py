"""Tunnels between ours and libreswan, up and over uplink 1, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
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
    newest_tls: str = "",
    wait: bool = True,
    ours: Mapping[str, Toml | None] | None = None,
) -> Iterator[tuple[Mobike, Pluto]]:
    """Our client with a tunnel to a libreswan gateway; `keys` are its (see `p12`), `ours` changes our end.

    `newest_tls`: as in `Pluto`; `wait`: until the tunnel is up.
    """
    config = mobike_client(remote, links=UPLINK_1_FIRST, **{"esp": [ESP_WITH_PFS], **(ours or {})})
    with (
        Pluto(
            rig.gateway,
            folder / "gateway",
            {NAME: conn or responder()},
            secrets=secrets(),
            p12=keys,
            newest_tls=newest_tls,
        ) as pluto,
        Mobike(rig, rig.client, folder / "client", config) as client,
    ):
        if wait:
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


@dataclass(frozen=True, slots=True)
class Certified:
    """What both ends need to know each other by certificates of one authority."""

    ours: Mapping[str, Toml | None]
    """Keys of our connection."""
    theirs: tuple[Path, ...]
    """What libreswan has (see `p12`): its certificate is called `own`."""


def certified(folder: Path, our_name: str, their_name: str, kind: str, *, below: int = 0) -> Certified:
    """Certificates of this kind of key for both names, with so many authorities between the root and them."""
    root = issuer = Authority.new(kind=kind, at=datetime.now(UTC))
    for number in range(below):
        issuer = issuer.sub(f"Authority {number} below the root, with a name of some length", kind=kind)
    issuer.issue(our_name, kind=kind, subject="ours").write(folder, "own")
    root.write(folder / "ca.pem")
    theirs = p12(issuer.issue(their_name, kind=kind, subject="theirs"), root, folder / "theirs.p12")
    ours: dict[str, Toml | None] = {
        "psk": None,
        "local_auth": "cert",
        "remote_auth": "cert",
        "local_cert": str(folder / "own.pem"),
        "local_key": str(folder / "own.key"),
        "remote_ca": [str(folder / "ca.pem")],
    }
    return Certified(ours, (theirs,))


def p12(owner: Owner, authority: Authority, file: Path) -> Path:
    """Key, certificate and authorities as NSS takes them; the certificate is called `own`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    above = [*owner.chain, authority.certificate]
    password = BestAvailableEncryption(P12_PASSWORD.encode())
    file.write_bytes(serialize_key_and_certificates(b"own", owner.key, owner.certificate, above, password))
    return file
