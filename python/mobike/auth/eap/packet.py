"""One EAP packet (RFC 3748 section 4).

| Code | Identifier | Length (2) | Type | data ...      (type and data in requests and responses only)
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final


class Code(IntEnum):
    """What a packet is."""

    REQUEST = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4


IDENTITY: Final = 1
NOTIFICATION: Final = 2
NAK: Final = 3
"""Not this method: the data lists those that are wanted."""
TLS: Final = 13
MSCHAPV2: Final = 26

METHOD_NAMES: Final = {4: "md5", 6: "gtc", TLS: "tls", 21: "ttls", 25: "peap", MSCHAPV2: "mschapv2"}


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet whose length field tells the truth."""

    code: Code
    identifier: int
    method: int = 0
    """0 where there is none: success and failure."""
    data: bytes = field(default=b"", repr=False)

    @staticmethod
    def read(octets: bytes) -> "Packet":
        """Raises ValueError. The core has read it before, so this one is good or it is our own fault."""
        if len(octets) < 4 or int.from_bytes(octets[2:4], "big") != len(octets):
            raise ValueError("its length is wrong")
        code = Code(octets[0])
        if code in (Code.SUCCESS, Code.FAILURE):
            return Packet(code, octets[1])
        if len(octets) < 5:
            raise ValueError("it has no type")
        return Packet(code, octets[1], octets[4], octets[5:])

    def octets(self) -> bytes:
        """For the wire."""
        body = b"" if self.code in (Code.SUCCESS, Code.FAILURE) else bytes([self.method]) + self.data
        return bytes([self.code, self.identifier]) + (4 + len(body)).to_bytes(2, "big") + body


def method_name(number: int) -> str:
    """For people."""
    return METHOD_NAMES.get(number, f"type {number}")
