"""Ready configurations of strongSwan for the two roles of most tests. Change details with `settings.merge`."""

from __future__ import annotations

from collections.abc import Sequence

from .network import INNER_NET
from .settings import Settings

GATEWAY_ID = "gateway.test.example"
CLIENT_ID = "client.test.example"
PSK = "a secret of tests only"
IKE = "aes128gcm16-prfsha256-x25519"
ESP = "aes128gcm16"
POOL = "10.177.0.0/24"


def psk(secret: str = PSK) -> Settings:
    """One pre-shared key for whoever asks."""
    return {"ike-any": {"secret": secret}}


def responder(
    *, pool: str | None = POOL, inner: Sequence[str] = (INNER_NET,), ike: str = IKE, esp: str = ESP
) -> Settings:
    """A gateway: connection `gw` with child `net`, virtual addresses from `pool`, any peer that knows the key."""
    connection: Settings = {
        "version": "2",
        "mobike": "yes",
        "proposals": ike,
        "unique": "never",
        "rekey_time": "0s",
        **({} if pool is None else {"pools": "vips"}),
        "local": {"auth": "psk", "id": GATEWAY_ID},
        "remote": {"auth": "psk"},
        "children": {"net": {"local_ts": ",".join(inner), "esp_proposals": esp, "rekey_time": "0s"}},
    }
    return {"connections": {"gw": connection}, **({} if pool is None else {"pools": {"vips": {"addrs": pool}}})}


def initiator(
    remote: str,
    *,
    vips: Sequence[str] = ("0.0.0.0",),
    inner: Sequence[str] = (INNER_NET,),
    ike: str = IKE,
    esp: str = ESP,
) -> Settings:
    """A client of the gateway at `remote`: connection `gw` with child `net`, brought up by `Charon.initiate()`."""
    connection: Settings = {
        "version": "2",
        "mobike": "yes",
        "remote_addrs": remote,
        "proposals": ike,
        "rekey_time": "0s",
        **({"vips": ",".join(vips)} if vips else {}),
        "local": {"auth": "psk", "id": CLIENT_ID},
        "remote": {"auth": "psk", "id": GATEWAY_ID},
        "children": {"net": {"remote_ts": ",".join(inner), "esp_proposals": esp, "rekey_time": "0s"}},
    }
    return {"connections": {"gw": connection}}
