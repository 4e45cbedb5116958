"""Make the kernel of the namespace this runs in forget every tracked connection. Run as a program.

The `conntrack` tool does the same; one netlink message is not worth another package.
"""

from __future__ import annotations

import os
import socket
import struct

NETLINK_NETFILTER = 12
CTNETLINK_DELETE = (1 << 8) | 2  # subsystem conntrack, IPCTNL_MSG_CT_DELETE; without a tuple it means all
REQUEST_AND_ACK = 0x1 | 0x4
NLMSG_ERROR = 2


def forget() -> None:
    """Send the message and insist on a good answer."""
    body = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)
    header = struct.pack("=IHHII", 16 + len(body), CTNETLINK_DELETE, REQUEST_AND_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
        netlink.sendto(header + body, (0, 0))
        answer = netlink.recv(4096)
    (kind,) = struct.unpack_from("=H", answer, 4)
    (error,) = struct.unpack_from("=i", answer, 16)
    if kind != NLMSG_ERROR or error != 0:
        raise OSError(-error, os.strerror(-error))


if __name__ == "__main__":
    forget()
