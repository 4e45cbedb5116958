"""Scapy builds and reads IKEv2 messages by itself: it and we must agree on every octet.

Scapy takes malformed messages, so it judges the valid ones only; what is wrong is judged by offsets.
"""

from __future__ import annotations

import re
import subprocess
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    # What scapy imports is deprecated in places; none of it is used here.
    warnings.simplefilter("ignore")
    from scapy.contrib import ikev2
    from scapy.packet import Packet, raw

from tests.vectors.example import built

# The first run may have to build the crypto library.
pytestmark = pytest.mark.timeout(900)

ERROR = re.compile(r"error: (?P<what>.+) \((?P<source>RFC \d+ section [\d.]+)\)")
OFFSET = re.compile(r"at offset (\d+)")


@pytest.fixture(scope="module")
def wire_echo() -> Path:
    """Our reader and writer."""
    return built("wire_echo")


def echo(wire_echo: Path, messages: Iterable[bytes]) -> list[str]:
    lines = "".join(f"{message.hex()}\n" for message in messages)
    done = subprocess.run([wire_echo], input=lines, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def message(*payloads: Packet, exchange: str = "IKE_SA_INIT", flags: str = "Initiator") -> Packet:
    packet = ikev2.IKEv2(init_SPI=b"\x01" * 8, resp_SPI=b"\x02" * 8, exch_type=exchange, flags=flags, id=7)
    for payload in payloads:
        packet /= payload
    return packet


def transform(kind: int, number: int, key_length: int | None = None) -> Packet:
    if key_length is None:
        return ikev2.IKEv2_Transform(transform_type=kind, transform_id=number)
    return ikev2.IKEv2_Transform(length=12, transform_type=kind, transform_id=number, key_length=key_length)


def chain(packets: list[Packet]) -> Packet:
    first, *rest = packets
    for packet in rest:
        first /= packet
    return first


def proposal(number: int, protocol: int, spi: bytes, transforms: list[Packet]) -> Packet:
    return ikev2.IKEv2_Proposal(
        proposal=number, proto=protocol, SPI=spi, trans_nb=len(transforms), trans=chain(transforms)
    )


GCM_256 = (1, 20, 256)
IKE_OFFER = proposal(1, 1, b"", [transform(*GCM_256), transform(2, 5), transform(4, 31), transform(4, 19)])
CBC_OFFER = proposal(2, 1, b"", [transform(1, 12, 128), transform(2, 5), transform(3, 12), transform(4, 14)])
REKEY_OFFER = proposal(1, 1, b"\x07" * 8, [transform(*GCM_256), transform(2, 7), transform(4, 31)])
ESP_OFFER = proposal(1, 3, b"\xca\xfe\xba\xbe", [transform(*GCM_256), transform(5, 0)])

IPV4 = ikev2.IPv4TrafficSelector(
    IP_protocol_ID=6,
    start_port=80,
    end_port=443,
    starting_address_v4="10.0.0.0",
    ending_address_v4="10.0.0.255",
)
IPV6 = ikev2.IPv6TrafficSelector(
    IP_protocol_ID=0, length=40, starting_address_v6="2001:db8::", ending_address_v6="2001:db8::ffff"
)
LABEL = ikev2.RawTrafficSelector(TS_type=10, IP_protocol_ID=0, load=b"a security label")


def attribute(kind: int, value: bytes | str = b"") -> Packet:
    # Scapy looks at the length before it knows how to write an address.
    if isinstance(value, str):
        return ikev2.ConfigurationAttribute(type=kind, length=16 if ":" in value else 4, value=value)
    return ikev2.ConfigurationAttribute(type=kind, length=len(value), value=value)


def notify(kind: int, data: bytes = b"", protocol: int = 0, spi: bytes = b"") -> Packet:
    return ikev2.IKEv2_Notify(type=kind, proto=protocol, SPI=spi, notify=data)


PREFIX = bytes.fromhex("20010db8000000000000000000000001") + b"\x40"

VALID: dict[str, Packet] = {
    "nothing": message(),
    "sa": message(ikev2.IKEv2_SA(prop=IKE_OFFER)),
    "sa with two proposals": message(ikev2.IKEv2_SA(prop=IKE_OFFER / CBC_OFFER)),
    "sa that rekeys": message(ikev2.IKEv2_SA(prop=REKEY_OFFER)),
    "sa for esp": message(ikev2.IKEv2_SA(prop=ESP_OFFER)),
    "ke": message(ikev2.IKEv2_KE(group=31, ke=b"\x31" * 32)),
    "nonce": message(ikev2.IKEv2_Nonce(nonce=b"\x40" * 32)),
    "idi fqdn": message(ikev2.IKEv2_IDi(IDtype=2, ID=b"phone.example")),
    "idr ipv4": message(ikev2.IKEv2_IDr(IDtype=1, ID="192.0.2.1")),
    "idr ipv6": message(ikev2.IKEv2_IDr(IDtype=5, ID="2001:db8::1")),
    "idi key id": message(ikev2.IKEv2_IDi(IDtype=11, ID=b"\x00\xffkey")),
    "cert by url": message(ikev2.IKEv2_CERT(cert_encoding=12, cert_data=b"\x05" * 20 + b"http://certs.example/1")),
    "certreq": message(ikev2.IKEv2_CERTREQ(cert_encoding=4, cert_authority=b"\x11" * 40)),
    "auth": message(ikev2.IKEv2_AUTH(auth_type=2, load=b"\x39" * 32)),
    "notify": message(notify(16388, b"\x20" * 20), notify(16389, b"\x21" * 20)),
    "notify about a child": message(notify(16393, protocol=3, spi=b"\xca\xfe\xba\xbe")),
    "notify unknown": message(notify(65000, b"who knows")),
    "delete ike": message(ikev2.IKEv2_Delete(proto=1, SPIsize=0, SPInum=0)),
    "delete esp": message(
        ikev2.IKEv2_Delete(proto=3, SPIsize=4, SPInum=2, SPI=[b"\x01\x02\x03\x04", b"\x05\x06\x07\x08"])
    ),
    "vendor": message(ikev2.IKEv2_VendorID(vendorID=b"somebody")),
    "ts": message(
        ikev2.IKEv2_TSi(number_of_TSs=1, traffic_selector=[IPV4]),
        ikev2.IKEv2_TSr(number_of_TSs=3, traffic_selector=[IPV4, IPV6, LABEL]),
    ),
    "sk": message(ikev2.IKEv2_Encrypted(next_payload=35, load=b"\x46" * 80), exchange="IKE_AUTH"),
    "skf": message(
        ikev2.IKEv2_Encrypted_Fragment(next_payload=35, frag_number=1, frag_total=3, load=b"\x53" * 80),
        exchange="IKE_AUTH",
    ),
    "cp request": message(ikev2.IKEv2_CP(CFGType=1, attributes=[attribute(1), attribute(3), attribute(8)])),
    "cp reply": message(
        ikev2.IKEv2_CP(
            CFGType=2,
            attributes=[
                attribute(1, "10.9.0.1"),
                attribute(2, "255.255.255.0"),
                attribute(3, "10.9.0.53"),
                attribute(7, b"gateway 1"),
                attribute(8, PREFIX),
                attribute(10, "2001:db8::53"),
                attribute(13, bytes([10, 9, 0, 0, 255, 255, 0, 0])),
                attribute(15, PREFIX),
                attribute(25, b"corp.example"),
            ],
        )
    ),
    "eap request": message(ikev2.IKEv2_EAP(load=b"\x01\x07\x00\x09\x01name")),
    "eap success": message(ikev2.IKEv2_EAP(load=b"\x03\x07\x00\x04")),
    "an unknown payload": message(ikev2.IKEv2_GSPM(load=b"skip me"), ikev2.IKEv2_VendorID(vendorID=b"read me")),
    "a response": message(notify(7), flags="Response"),
    "ike_sa_init": message(
        ikev2.IKEv2_SA(prop=IKE_OFFER / CBC_OFFER),
        ikev2.IKEv2_KE(group=31, ke=b"\x31" * 32),
        ikev2.IKEv2_Nonce(nonce=b"\x40" * 32),
        notify(16388, b"\x20" * 20),
        notify(16389, b"\x21" * 20),
        notify(16430),
        notify(16431, b"\x00\x02\x00\x03\x00\x04"),
    ),
    "mobike update": message(
        notify(16400),
        notify(16388, b"\x20" * 20),
        notify(16389, b"\x21" * 20),
        notify(16401, b"\x09" * 16),
        exchange="INFORMATIONAL",
    ),
    "mobike addresses": message(
        notify(16396), notify(16397, b"\xc0\x00\x02\x01"), notify(16398, PREFIX[:16]), exchange="IKE_AUTH"
    ),
    "mobike without more addresses": message(notify(16399), exchange="INFORMATIONAL"),
    "mobike without nats": message(notify(16402, bytes(range(12))), notify(16402, bytes(range(36)))),
    "mobike refusals": message(notify(40), notify(41), exchange="INFORMATIONAL", flags="Response"),
}


@pytest.mark.req("M4-1")
def test_every_payload_scapy_builds_comes_back_in_the_same_octets(wire_echo: Path) -> None:
    built = {name: raw(packet) for name, packet in VALID.items()}
    answers = dict(zip(built, echo(wire_echo, built.values()), strict=True))
    assert answers == {name: octets.hex() for name, octets in built.items()}


def fields(packet: Packet) -> list[tuple[str, dict[str, Any]]]:
    """Every layer with its fields, those of nested packets too."""
    layers = []
    while packet.name not in ("NoPayload", "Padding"):
        layers.append((packet.name, {name: flat(value) for name, value in packet.fields.items()}))
        packet = packet.payload
    return layers


def flat(value: Any) -> Any:
    if isinstance(value, Packet):
        return fields(value)
    return [flat(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", VALID)
def test_scapy_reads_what_we_write_as_what_it_meant(wire_echo: Path, name: str) -> None:
    (answer,) = echo(wire_echo, [raw(VALID[name])])
    read = ikev2.IKEv2(bytes.fromhex(answer))
    assert fields(read) == fields(ikev2.IKEv2(raw(VALID[name])))
    meant = [type(layer) for layer in layers(VALID[name])]
    assert [type(layer) for layer in layers(read)] == meant


def layers(packet: Packet) -> list[Packet]:
    found = []
    while packet.name != "NoPayload":
        found.append(packet)
        packet = packet.payload
    return found


def test_scapy_finds_the_fields_of_an_ike_sa_init_that_we_wrote(wire_echo: Path) -> None:
    (answer,) = echo(wire_echo, [raw(VALID["ike_sa_init"])])
    read = ikev2.IKEv2(bytes.fromhex(answer))
    assert (read.init_SPI, read.resp_SPI, read.exch_type, read.id) == (b"\x01" * 8, b"\x02" * 8, 34, 7)
    first = read[ikev2.IKEv2_SA].prop
    assert (first.proposal, first.proto, first.trans_nb) == (1, 1, 4)
    assert (first.trans.transform_type, first.trans.transform_id, first.trans.key_length) == GCM_256
    assert first.payload.proposal == 2
    assert read[ikev2.IKEv2_KE].group == 31
    assert read[ikev2.IKEv2_Nonce].nonce == b"\x40" * 32
    assert [layer.type for layer in layers(read) if isinstance(layer, ikev2.IKEv2_Notify)] == [
        16388,
        16389,
        16430,
        16431,
    ]


def test_a_critical_payload_that_nobody_knows_is_refused(wire_echo: Path) -> None:
    packet = message(notify(16396), ikev2.IKEv2_GSPM(flags="critical", load=b"listen"))
    (answer,) = echo(wire_echo, [raw(packet)])
    assert answer == "error: payload type 49 at offset 36 is critical and unknown (RFC 7296 section 2.5)"


def with_true_length(octets: bytes) -> bytes:
    return octets[:24] + len(octets).to_bytes(4, "big") + octets[28:]


@pytest.mark.parametrize("name", VALID)
def test_every_truncation_is_an_error_with_an_offset(wire_echo: Path, name: str) -> None:
    whole = raw(VALID[name])
    short = [whole[:length] for length in range(len(whole))]
    # Once as the network cuts it, once as someone who adjusted the header to it.
    adjusted = [with_true_length(cut) for cut in short if len(cut) >= 28]
    cuts = [*short, *adjusted]
    for cut, answer in zip(cuts, echo(wire_echo, cuts), strict=True):
        error = ERROR.fullmatch(answer)
        assert error, (cut.hex(), answer)
        offset = OFFSET.search(error["what"])
        assert offset, answer
        assert int(offset[1]) <= max(len(cut), 24), answer
