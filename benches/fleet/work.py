"""What is measured, and the papers that both ends of it need: an authority, certificates, a password."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mobike.commands import Credential
from tests.auth.pki import Authority

IDENTITY = "gateway.bench.example"
PSK = "bench-psk"
USER = "bench"
PASSWORD = "a password of benches only"
ESP = "aes128gcm16"
INSIDE = "10.0.0.0/8"
"""Inner addresses of clients that have one each without asking."""
_CLASSIC = "aes128gcm16-prfsha256-x25519"

Auth = Literal["psk", "cert", "eap"]
Rekey = Literal["", "ike", "child"]


@dataclass(frozen=True, slots=True)
class Work:
    """One thing to do, many times: a set-up, or new keys for what was set up."""

    name: str
    what: str
    auth: Auth = "psk"
    ike: str = _CLASSIC
    rekey: Rekey = ""
    strongswan: bool = True
    """Does the strongSwan of this machine know it?"""


WORKS = {
    work.name: work
    for work in (
        Work("psk", "set-ups with a shared key"),
        Work("cert", "set-ups with ECDSA certificates on P-256 at both ends", auth="cert"),
        Work("eap", "set-ups by EAP-MSCHAPv2, the gateway with an ECDSA certificate", auth="eap"),
        Work("hybrid", "set-ups with ML-KEM-768 beside X25519", ike=f"{_CLASSIC}-ke1_mlkem768", strongswan=False),
        Work("rekey-ike", "new keys for IKE SAs, asked for by the peer", rekey="ike"),
        Work("rekey-child", "new Child SAs in place of old ones, asked for by the peer, without PFS", rekey="child"),
    )
}


def client_id(number: int) -> str:
    """Each SA has an identity of its own, so that a responder cannot fold them into one."""
    return f"u{number}@bench.example"


def write_papers(folder: Path, count: int) -> None:
    """Keys and certificates: `ca.pem`, `gateway.pem`, `gateway.key`, `users.toml`, and `clients.json` for the load."""
    authority = Authority.new(at=datetime.now(UTC))
    authority.write(folder / "ca.pem")
    authority.issue(IDENTITY).write(folder, "gateway")
    users = folder / "users.toml"
    users.touch(mode=0o600)
    users.write_text(f'"{USER}" = "{PASSWORD}"\n')
    clients = []
    for number in range(count):
        owner = authority.issue(client_id(number), subject=f"u{number}")
        key = owner.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        clients.append([base64.b64encode(each).decode() for each in (key, *owner.der)])
    (folder / "clients.json").write_text(json.dumps(clients))


def read_clients(folder: Path) -> Iterator[Credential]:
    """What the clients sign with, in order."""
    for key, *certificates in json.loads((folder / "clients.json").read_text()):
        yield Credential(base64.b64decode(key), tuple(map(base64.b64decode, certificates)))
