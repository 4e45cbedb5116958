"""ICMP echo over IPv4 (RFC 792), as whole inner packets. Pure."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Self

IPV4_HEADER = struct.Struct("!BBHHHBBH4s4s")
ICMP_HEADER = struct.Struct("!BBHHH")
PROTOCOL_ICMP = 1
ECHO_REQUEST = 8
ECHO_REPLY = 0
TTL = 64


@dataclass(frozen=True, slots=True)
class Echo:
    """An echo request or reply with its addresses."""

    source: IPv4Address
    destination: IPv4Address
    reply: bool
    identifier: int
    sequence: int
    data: bytes = b""

    @classmethod
    def parse(cls, packet: bytes) -> Self | None:
        """The echo in an IPv4 packet; None for anything else, and for a wrong ICMP checksum."""
        if len(packet) < IPV4_HEADER.size + ICMP_HEADER.size or packet[0] >> 4 != 4:
            return None
        header_length = (packet[0] & 0x0F) * 4
        total_length = int.from_bytes(packet[2:4], "big")
        body = packet[header_length:total_length]
        if packet[9] != PROTOCOL_ICMP or header_length < IPV4_HEADER.size or len(body) < ICMP_HEADER.size:
            return None
        kind, code, _, identifier, sequence = ICMP_HEADER.unpack_from(body)
        if kind not in (ECHO_REQUEST, ECHO_REPLY) or code != 0 or checksum(body) != 0:
            return None
        return cls(
            IPv4Address(packet[12:16]),
            IPv4Address(packet[16:20]),
            kind == ECHO_REPLY,
            identifier,
            sequence,
            body[ICMP_HEADER.size :],
        )

    def emit(self) -> bytes:
        """The whole IPv4 packet."""
        kind = ECHO_REPLY if self.reply else ECHO_REQUEST
        body = ICMP_HEADER.pack(kind, 0, 0, self.identifier, self.sequence) + self.data
        body = ICMP_HEADER.pack(kind, 0, checksum(body), self.identifier, self.sequence) + self.data
        addresses = (self.source.packed, self.destination.packed)
        fields = (0x45, 0, IPV4_HEADER.size + len(body), 0, 0, TTL, PROTOCOL_ICMP)
        header = IPV4_HEADER.pack(*fields, 0, *addresses)
        return IPV4_HEADER.pack(*fields, checksum(header), *addresses) + body

    def answer(self) -> "Echo":
        """The reply to this request."""
        return Echo(self.destination, self.source, True, self.identifier, self.sequence, self.data)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071); 0 over data that carries a right one."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
