"""tshark judges a real exchange with strongSwan: with the keys that strongSwan logs it opens all that both ends sent.

So three programs that share no code agree about keys, IVs, padding and ICVs; none of ours shows its keys.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.interop.rig import (
    GW1,
    INNER,
    Charon,
    ChildSa,
    IkeSa,
    Mobike,
    Rig,
    Settings,
    dissect,
    initiator,
    mobike_client,
    mobike_gateway,
    psk,
    requires_rig,
    requires_strongswan,
    responder,
)
from tests.interop.rig.program import run
from tests.interop.test_algorithms import KNOWING_MORE, Suite

pytestmark = [pytest.mark.interop, requires_rig, requires_strongswan]

TELLS_KEYS: Settings = {"charon": {"filelog": {"stderr": {"ike": "4", "chd": "4"}}}}
"""A level for tests alone."""

IKE_NAMES = {
    "aes128gcm16-prfsha256-x25519": ("AES-GCM-128 with 16 octet ICV [RFC5282]", "NONE [RFC4306]"),
    "aes256gcm8-prfsha512-ecp384": ("AES-GCM-256 with 8 octet ICV [RFC5282]", "NONE [RFC4306]"),
    "aes256-sha256-modp2048": ("AES-CBC-256 [RFC3602]", "HMAC_SHA2_256_128 [RFC4868]"),
    "aes192-sha384-modp3072": ("AES-CBC-192 [RFC3602]", "HMAC_SHA2_384_192 [RFC4868]"),
    "aes256-sha512-modp4096": ("AES-CBC-256 [RFC3602]", "HMAC_SHA2_512_256 [RFC4868]"),
    "aes128ctr-sha256-x25519": ("AES-CTR-128 [RFC5930]", "HMAC_SHA2_256_128 [RFC4868]"),
    "aes128gcm12-prfsha256-ecp256": ("AES-GCM-128 with 12 octet ICV [RFC5282]", "NONE [RFC4306]"),
    "chacha20poly1305-prfsha256-x25519": ("ChaCha20-Poly1305 [RFC7634]", "NONE [RFC4306]"),
}
ESP_NAMES = {
    "aes128gcm16": ("AES-GCM with 16 octet ICV [RFC4106]", "NULL"),
    "aes256gcm8": ("AES-GCM with 8 octet ICV [RFC4106]", "NULL"),
    "aes256-sha256": ("AES-CBC [RFC3602]", "HMAC-SHA-256-128 [RFC4868]"),
    "aes192-sha384": ("AES-CBC [RFC3602]", "HMAC-SHA-384-192 [RFC4868]"),
    "aes256-sha512": ("AES-CBC [RFC3602]", "HMAC-SHA-512-256 [RFC4868]"),
    "aes128ctr-sha256": ("AES-CTR [RFC3686]", "HMAC-SHA-256-128 [RFC4868]"),
    "aes128gcm12": ("AES-GCM with 12 octet ICV [RFC4106]", "NULL"),
    "chacha20poly1305": ("ChaCha20 with Poly1305 [RFC7634]", "NULL"),
}
"""What Wireshark calls ciphers and integrity algorithms; 4.0 knows ChaCha20 in neither."""
SHORT = ("aes128gcm16-prfsha256-x25519", "aes256-sha256-modp2048")
SUITES = [
    pytest.param(Suite(ike, esp), marks=() if ike in SHORT else pytest.mark.thorough, id=ike)
    for ike, esp in zip(IKE_NAMES, ESP_NAMES, strict=True)
]
PINGS = 5


@pytest.mark.parametrize("role", ["client", "gateway"])
@pytest.mark.parametrize("suite", SUITES)
def test_tshark_finds_every_icv_of_a_real_exchange_correct(tmp_path: Path, role: str, suite: Suite) -> None:
    _skip_what_it_does_not_know(suite)
    pcap = tmp_path / "gw1.pcap"
    with Rig() as rig, rig.capture(rig.gateway, GW1.device, pcap, "udp"):
        ours, theirs = _ends(rig, tmp_path, role, suite)
        with ours, theirs:
            if role == "gateway":
                theirs.initiate()
            ours.wait_up()
            (sa,) = theirs.list_sas()
            assert rig.ping(rig.client, INNER, count=PINGS, interval=0.02).lost == 0
            # A request and an answer more, sealed with the same keys.
            theirs.terminate_child()
            log = theirs.log()
    options = _options(log, sa, sa.children[0], suite, role)
    seen = dissect(pcap, ["isakmp.exchangetype", "isakmp.typepayload"], "isakmp", options)
    assert len([exchange for exchange, _ in seen if exchange == "35"]) >= 2
    # 46 is the payload that holds all others: where it could be opened, those in it follow.
    for exchange, payloads in seen:
        if exchange in {"35", "37"} and payloads:
            assert payloads.split(",")[0] == "46"
    text = _shown(pcap, options)
    sealed = re.findall(r"Integrity Checksum Data: .*(\[\w+\])", text)
    assert sealed
    assert set(sealed) == {"[correct]"}
    assert len(sealed) == len([exchange for exchange, _ in seen if exchange in {"35", "37"}])
    icvs = re.findall(r"ESP ICV: .*(\[\w+\])", text)
    assert len(icvs) >= 2 * PINGS
    assert set(icvs) == {"[correct]"}
    # Where a reply comes late, ping sends one more.
    assert text.count("(Echo (ping) request)") >= text.count("(Echo (ping) reply)") >= PINGS
    assert "Malformed" not in text


def _skip_what_it_does_not_know(suite: Suite) -> None:
    """Which ciphers there are is told by what it says to one that it does not know."""
    cipher, integ = IKE_NAMES[suite.ike]
    row = f'0000000000000001,0000000000000001,,,"{cipher}",,,"{integ}"'
    said = run(["tshark", "-r", "/dev/null", "-o", f"uat:ikev2_decryption_table:{row}"], check=False).stderr
    if f"invalid value: {cipher}" in said:
        pytest.skip(f"this tshark knows no {cipher}")


def _ends(rig: Rig, folder: Path, role: str, suite: Suite) -> tuple[Mobike, Charon]:
    """Our end in this role, strongSwan in the other, which tells its keys; not started."""
    ike, esp = [suite.ike], [suite.esp]
    theirs = {"ike": suite.ike, "esp": suite.esp}
    if role == "client":
        mobike = Mobike(rig, rig.client, folder / "mobike", mobike_client(GW1.address, ike=ike, esp=esp))
        ns, config = rig.gateway, responder(**theirs)
    else:
        mobike = Mobike(rig, rig.gateway, folder / "mobike", mobike_gateway(ike=ike, esp=esp))
        ns, config = rig.client, initiator(GW1.address, **theirs)
    charon = Charon(ns, folder / "charon", config, secrets=psk(), plugins=KNOWING_MORE, settings=TELLS_KEYS)
    return mobike, charon


def _options(log: str, sa: IkeSa, child: ChildSa, suite: Suite, role: str) -> list[str]:
    """The keys of one IKE SA and its Child SA, as tshark takes them."""
    cipher, integ = IKE_NAMES[suite.ike]
    words = [sa.initiator_spi, sa.responder_spi, _key(log, "Sk_ei"), _key(log, "Sk_er"), f'"{cipher}"']
    words += [_key(log, "Sk_ai"), _key(log, "Sk_ar"), f'"{integ}"']
    lines = {"ikev2_decryption_table": [",".join(words)]}
    cipher, integ = ESP_NAMES[suite.esp]
    # The SPI of a packet is that of who receives it.
    to_initiator, to_responder = (child.spi_in, child.spi_out) if role == "gateway" else (child.spi_out, child.spi_in)
    lines["esp_sa"] = [
        f'"IPv4","*","*","0x{spi}","{cipher}","0x{_key(log, f"encryption {sender} key")}","{integ}",'
        + (f'"0x{key}"' if (key := _key(log, f"integrity {sender} key")) else '""')
        for spi, sender in ((to_responder, "initiator"), (to_initiator, "responder"))
    ]
    options = ["-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE"]
    for table, rows in lines.items():
        options += [word for row in rows for word in ("-o", f"uat:{table}:{row}")]
    return options


def _key(log: str, name: str) -> str:
    """What the log shows below `name`, in hexadecimal; nothing if it has none."""
    found = re.search(rf"{re.escape(name)}(?: secret)? => \d+ bytes @ \S+\n((?:\d+\[\w+\] +\d+: .*\n)+)", log)
    if found is None:
        return ""
    rows = re.findall(r"^\d+\[\w+\] +\d+: ((?:[0-9A-F]{2} )+)", found[1], re.MULTILINE)
    return "".join(rows).replace(" ", "").lower()


def _shown(pcap: Path, options: list[str]) -> str:
    """All of it, as tshark shows it to people."""
    return run(["tshark", "-n", "-V", "-r", str(pcap), *options], timeout=60).stdout
