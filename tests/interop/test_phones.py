"""What phones and laptops propose as they come, against the road warrior's gateway of docs/examples.

strongSwan speaks for them, with their proposals in their order, as gateways in the field log them and, of Android, as
its sources have it. Each comes in, carries traffic, and replaces its Child SA in its own way: that is where gateways
fail that know the first proposal and no more.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.auth.pki import Authority
from tests.interop.rig import Charon, Mobike, ProgramError, Rig, requires_rig, requires_strongswan, until
from tests.interop.test_examples import BEHIND_GATEWAY, EXAMPLES, PLACES, PLUGINS, adapted, behind, put_certificates

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]


class Device(NamedTuple):
    """What it proposes for IKE, and for ESP: in IKE_AUTH without the key exchanges that it wants later."""

    ike: str
    esp: str


_HASHES = "sha1", "sha256", "sha384"
_WINDOWS_ESP = "aes256-sha1, aes128-sha1, 3des-sha1"

DEVICES = {
    "iPhone, iPad, Mac": Device(
        "aes256gcm16-prfsha256-ecp256, aes256gcm16-prfsha256-modp2048, aes256-sha256-ecp256, aes256-sha256-modp2048",
        "aes256gcm16-ecp256, aes256gcm16-modp2048, aes256-sha256-ecp256, aes256-sha256-modp2048",
    ),
    "iPhone until iOS 14": Device(
        "aes256-sha256-modp2048, aes256-sha256-ecp256, aes256-sha256-modp1536, aes128-sha1-modp1024, "
        "3des-sha1-modp1024",
        "aes256-sha256, aes128-sha1, 3des-sha1",
    ),
    "Android from 11 on": Device(
        "aes256ctr-aes256-aes192ctr-aes192-aes128ctr-aes128-sha512-sha384-sha256-aesxcbc-aescmac-"
        "prfsha512-prfsha384-prfsha256-prfaesxcbc-prfaescmac-prfsha1-modp4096-x25519-modp3072-modp2048, "
        "chacha20poly1305-aes256gcm16-aes256gcm12-aes256gcm8-aes192gcm16-aes192gcm12-aes192gcm8-aes128gcm16-"
        "aes128gcm12-aes128gcm8-prfsha512-prfsha384-prfsha256-prfaesxcbc-prfaescmac-prfsha1-modp4096-x25519-"
        "modp3072-modp2048",
        "aes256ctr-aes256-aes192ctr-aes192-aes128ctr-aes128-sha512-sha384-sha256-aesxcbc-aescmac, "
        "chacha20poly1305-aes256gcm16-aes256gcm12-aes256gcm8-aes192gcm16-aes192gcm12-aes192gcm8-aes128gcm16-"
        "aes128gcm12-aes128gcm8",
    ),
    "Windows, told what to use": Device("aes256-sha384-ecp384", "aes256gcm16-ecp384"),
}
WINDOWS_AS_IT_COMES = Device(
    ", ".join(f"{cipher}-{one}-modp1024" for cipher in ("3des", "aes128", "aes192", "aes256") for one in _HASHES)
    + ", "
    + ", ".join(f"{cipher}-prf{one}-modp1024" for cipher in ("aes128gcm16", "aes256gcm16") for one in _HASHES),
    _WINDOWS_ESP,
)
WINDOWS_WITH_ITS_REGISTRY_CHANGED = Device(", ".join(f"aes256-{one}-modp2048" for one in _HASHES), _WINDOWS_ESP)


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_as_it_comes_is_served_by_the_gateway_of_the_example(tmp_path: Path, name: str) -> None:
    with Rig() as rig, _gateway(rig, tmp_path) as gateway, _device(rig, tmp_path, DEVICES[name]) as charon:
        _is_served(rig, gateway, charon)


def test_windows_with_its_registry_changed_is_served_if_esp_with_sha1_is_named(tmp_path: Path) -> None:
    device = WINDOWS_WITH_ITS_REGISTRY_CHANGED
    with Rig() as rig, _gateway(rig, tmp_path, esp="aes256-sha1") as gateway, _device(rig, tmp_path, device) as charon:
        _is_served(rig, gateway, charon)


@pytest.mark.parametrize("named", [False, True])
def test_windows_as_it_comes_is_served_only_where_its_weak_group_is_named(tmp_path: Path, named: bool) -> None:
    more = {"ike": "aes256-sha256-modp1024", "esp": "aes256-sha1"} if named else {}
    with (
        Rig() as rig,
        _gateway(rig, tmp_path, **more) as gateway,
        _device(rig, tmp_path, WINDOWS_AS_IT_COMES, start=False) as charon,
    ):
        if named:
            charon.initiate("phones")
            _is_served(rig, gateway, charon)
            return
        with pytest.raises(ProgramError, match="NO_PROP"):
            charon.initiate("phones")
        assert gateway.ike_sas() == []


def _is_served(rig: Rig, gateway: Mobike, charon: Charon) -> None:
    before = gateway.wait_up()
    assert before.sa.peer_id == "ann"
    until(lambda: rig.ping(rig.client, BEHIND_GATEWAY, count=5, interval=0.02).lost == 0, "pings are answered")
    charon.rekey_child("phones")
    gateway.wait_sa(
        lambda sa: len(sa.children) == 1 and sa.children[0].id != before.children[0].id, "the new Child SA alone"
    )
    until(lambda: rig.ping(rig.client, BEHIND_GATEWAY, count=5, interval=0.02).lost == 0, "pings are answered again")
    assert gateway.wait_up().sa.id == before.sa.id


def _gateway(rig: Rig, folder: Path, **more: str) -> Mobike:
    """The gateway of the example, with these proposals more."""
    put_certificates(folder, Authority.new(at=datetime.now(UTC)))
    behind(rig, rig.gateway, BEHIND_GATEWAY)
    users = folder / "gateway" / "users.toml"
    users.touch(mode=0o600)
    users.write_text((EXAMPLES / "road-warrior" / "users.toml").read_text())
    text = adapted(EXAMPLES / "road-warrior" / "gateway.mobike.toml", PLACES)
    for key, proposal in more.items():
        text, found = re.subn(rf"^{key} = \[\n", f'{key} = [\n    "{proposal}",\n', text, flags=re.MULTILINE)
        assert found == 1
    return Mobike(rig, rig.gateway, folder / "gateway", text)


def _device(rig: Rig, folder: Path, device: Device, *, start: bool = True) -> Charon:
    """The client of the example, with the proposals of a device."""
    text = adapted(EXAMPLES / "road-warrior" / "client.swanctl.conf", PLACES)
    for key, value in (("proposals", device.ike), ("esp_proposals", device.esp)):
        text, found = re.subn(rf"^( +{key} = ).*", rf"\g<1>{value}", text, flags=re.MULTILINE)
        assert found == 1
    if not start:
        text = re.sub(r" +(start_action|dpd_action) = .*\n| +keyingtries = 0\n", "", text)
    return Charon(rig.client, folder / "client", text, plugins=(*OLD, *PLUGINS))


OLD = ("des", "ctr", "xcbc", "cmac", "chapoly", "gmp")
"""Plugins for what only such devices know."""
