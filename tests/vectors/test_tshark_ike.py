"""tshark judges a whole story of ours: it decrypts every message, finds every ICV correct, and reads what we meant.

The Rust side is the example `capture_handshake`: two engines and their ESP, with the keys written beside the capture.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.vectors.example import built

pytestmark = [
    pytest.mark.skipif(shutil.which("cargo") is None, reason="no cargo to build the example with"),
    pytest.mark.skipif(shutil.which("tshark") is None, reason="not installed: tshark (see .ci/system-packages.txt)"),
    # The first run may have to build the crypto library.
    pytest.mark.timeout(900),
]

NAT_DETECTION = ("NAT_DETECTION_SOURCE_IP", "NAT_DETECTION_DESTINATION_IP")


@dataclass(frozen=True)
class Ike:
    """A message, and the payloads and notifications that it must carry."""

    exchange: str
    sender: str
    kind: str
    payloads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Esp:
    """A packet, and what is inside."""

    inner: str


STORY: tuple[Ike | Esp, ...] = (
    Ike("IKE_SA_INIT", "Initiator", "Request", ("Security Association", "Key Exchange", "Nonce", *NAT_DETECTION)),
    Ike("IKE_SA_INIT", "Responder", "Response", ("Security Association", "Key Exchange", "Nonce", *NAT_DETECTION)),
    Ike(
        "IKE_AUTH",
        "Initiator",
        "Request",
        (
            "Identification - Initiator",
            "INITIAL_CONTACT",
            "Authentication",
            "Configuration",
            "Security Association",
            "Traffic Selector - Initiator",
            "Traffic Selector - Responder",
            "MOBIKE_SUPPORTED",
        ),
    ),
    Ike(
        "IKE_AUTH",
        "Responder",
        "Response",
        (
            "Identification - Responder",
            "Authentication",
            "Configuration",
            "Security Association",
            "Traffic Selector - Initiator",
            "Traffic Selector - Responder",
            "MOBIKE_SUPPORTED",
        ),
    ),
    Esp("Echo (ping) request"),
    Esp("Echo (ping) reply"),
    Ike(
        "INFORMATIONAL",
        "Initiator",
        "Request",
        ("UPDATE_SA_ADDRESSES", *NAT_DETECTION, "ADDITIONAL_IP4_ADDRESS"),
    ),
    Ike("INFORMATIONAL", "Responder", "Response", NAT_DETECTION),
    Ike("INFORMATIONAL", "Responder", "Request", ("COOKIE2",)),
    Ike("INFORMATIONAL", "Initiator", "Response", ("COOKIE2",)),
    Esp("Echo (ping) request"),
    Esp("Echo (ping) reply"),
    Ike("INFORMATIONAL", "Initiator", "Request", ("Delete",)),
    Ike("INFORMATIONAL", "Responder", "Response"),
)


@dataclass(frozen=True)
class Seen:
    """One packet in tshark's words."""

    text: str

    def says(self, pattern: str) -> bool:
        return re.search(pattern, self.text, re.MULTILINE) is not None

    def holds(self, payload: str) -> bool:
        """A payload by its name, or a notification by its type."""
        name = re.escape(payload)
        return self.says(rf"Payload: (Notify \(41\) - )?{name}( \(\d+\)|$)")

    @property
    def is_malformed(self) -> bool:
        return self.says(r"Malformed|Expert Info \(Error|Expert Info \(Warn")


@pytest.fixture(scope="module")
def example() -> Path:
    return built("capture_handshake")


@pytest.mark.parametrize(
    ("ike", "esp"),
    [
        ("aes128gcm16-prfsha256-x25519", "aes128gcm16"),
        ("aes256gcm16-prfsha384-x25519", "aes256gcm16"),
        ("aes256gcm16-prfsha512-ecp256", "aes128gcm16"),
        ("aes128gcm12-prfsha256-ecp384", "aes192gcm12"),
        ("aes256gcm8-prfsha256-ecp521", "aes128gcm8"),
        ("aes128-sha256-modp2048", "aes256-sha256"),
        ("aes192-sha384-modp3072", "aes128-sha384"),
        ("aes256-sha512-modp4096", "aes192-sha512"),
        ("aes128ctr-sha256-x25519", "aes256ctr-sha256"),
        ("aes128-sha1-prfsha1-modp1024", "aes128-sha1"),
    ],
)
def test_tshark_decrypts_the_whole_story_and_finds_every_icv_correct(
    example: Path, tmp_path: Path, ike: str, esp: str
) -> None:
    subprocess.run([example, tmp_path, ike, esp], check=True)
    packets = read(tmp_path)
    assert len(packets) == len(STORY)
    for number, (packet, told) in enumerate(zip(packets, STORY, strict=True), start=1):
        where = f"packet {number}, {told}\n{packet.text}"
        assert not packet.is_malformed, where
        assert not packet.says(r"\[incorrect"), where
        match told:
            case Esp(inner):
                assert packet.says(r"ESP ICV: .*\[correct\]"), where
                assert packet.says(rf"Type: \d \({re.escape(inner)}\)"), where
            case Ike(exchange, sender, kind, payloads):
                assert packet.says(rf"Exchange type: {exchange} "), where
                assert packet.says(rf"Flags: 0x\w\w \({sender}, No higher version, {kind}\)"), where
                sealed = packet.says(r"Integrity Checksum Data: .*\[correct\]")
                assert sealed == (exchange != "IKE_SA_INIT"), where
                assert [payload for payload in payloads if not packet.holds(payload)] == [], where


def test_a_wrong_key_is_noticed(example: Path, tmp_path: Path) -> None:
    """So that the test above can fail."""
    subprocess.run([example, tmp_path, "aes128gcm16-prfsha256-x25519", "aes128gcm16"], check=True)
    table = tmp_path / "ikev2_decryption_table"
    words = table.read_text().split(",")
    words[2] = f"{int(words[2], 16) ^ 1 << 64:0{len(words[2])}x}"
    table.write_text(",".join(words))
    packets = read(tmp_path)
    assert packets[2].says(r"\[incorrect")
    assert packets[3].says(r"Integrity Checksum Data: .*\[correct\]"), "the other direction has the right key"


def read(folder: Path) -> list[Seen]:
    """Every packet of the story."""
    argv = ["tshark", "-n", "-V", "-r", str(folder / "capture.pcap")]
    argv += ["-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE"]
    for table in ("ikev2_decryption_table", "esp_sa"):
        for line in (folder / table).read_text().splitlines():
            argv += ["-o", f"uat:{table}:{line}"]
    shown = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
    return [Seen(text) for text in re.split(r"^(?=Frame \d+: )", shown, flags=re.MULTILINE) if text.strip()]
