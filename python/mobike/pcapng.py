"""Datagrams as a file that Wireshark opens: pcapng, with IP and UDP in front of what was taken down.

```
section header | interface (raw IP, nanoseconds) | packet | packet | ..
each block:  type (4) | length (4) | body, padded to 4 | length (4)
```
"""

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Final

from mobike.address import Endpoint
from mobike.tape import Frame

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_PACKET: Final = 6
_BYTE_ORDER: Final = 0x1A2B3C4D
_RAW_IP: Final = 101
"""LINKTYPE_RAW: IPv4 or IPv6, as its first half octet says."""
_TSRESOL: Final = 9
_NANOSECONDS: Final = 9
_APPLICATION: Final = 4
_FLAGS: Final = 2
_INBOUND: Final = 1
_OUTBOUND: Final = 2
_UDP: Final = 17
_HOPS: Final = 64


def written(frames: Iterable[Frame], began: int) -> bytes:
    """A whole file. `began` is added to the clock of the frames, in nanoseconds, to make time since the epoch."""
    return b"".join((_section(), _interface(), *(_packet(frame, began) for frame in frames)))


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _section() -> bytes:
    whole_length_unknown = b"\xff" * 8
    body = struct.pack("<IHH", _BYTE_ORDER, 1, 0) + whole_length_unknown
    return _block(_SECTION, body + _option(_APPLICATION, b"mobike") + _option(0, b""))


def _interface() -> bytes:
    everything = 0
    body = struct.pack("<HHI", _RAW_IP, 0, everything)
    return _block(_INTERFACE, body + _option(_TSRESOL, bytes([_NANOSECONDS])) + _option(0, b""))


def _packet(frame: Frame, began: int) -> bytes:
    local, remote = frame.path.local, frame.path.remote
    data = _ip(local, remote, frame.data) if frame.sent else _ip(remote, local, frame.data)
    at = frame.at + began
    head = struct.pack("<IIIII", 0, at >> 32, at & 0xFFFFFFFF, len(data), len(data))
    way = struct.pack("<I", _OUTBOUND if frame.sent else _INBOUND)
    return _block(_PACKET, head + data + bytes(-len(data) % 4) + _option(_FLAGS, way) + _option(0, b""))


def _ip(source: Endpoint, target: Endpoint, payload: bytes) -> bytes:
    length = 8 + len(payload)
    addresses = source.ip.packed + target.ip.packed
    udp = struct.pack(">HHHH", source.port, target.port, length, 0) + payload
    pseudo = addresses + struct.pack(">II", length, _UDP)
    checksum = _checksum(pseudo + udp) or 0xFFFF
    udp = udp[:6] + struct.pack(">H", checksum) + udp[8:]
    if isinstance(source.ip, IPv4Address):
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, _HOPS, _UDP, 0) + addresses
        head = head[:10] + struct.pack(">H", _checksum(head)) + head[12:]
        return head + udp
    return struct.pack(">IHBB", 6 << 28, length, _UDP, _HOPS) + addresses + udp


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
