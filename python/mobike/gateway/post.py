"""Datagrams to RADIUS servers and back. Decides nothing: what is sent where, and why, `auth.radius` knows."""

import asyncio
import socket
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Final

import structlog

from mobike.address import Ip
from mobike.auth.radius import Letter

log = structlog.get_logger()

LONGEST: Final = 4096

Heard = Callable[[Ip, int, bytes], None]


class Post:
    """One socket for each family, made when there is something to send. `heard` gets what comes in."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._sockets: dict[int, socket.socket] = {}

    def send(self, letters: Iterable[Letter]) -> None:
        """Send all; one that cannot leave is as good as lost."""
        for letter in letters:
            try:
                self._socket(letter.ip.version).sendto(letter.octets, (str(letter.ip), letter.port))
            except OSError as problem:
                log.warning("radius.unsent", text=f"RADIUS server {letter.ip} cannot be asked: {problem.strerror}")

    def close(self) -> None:
        """No more of it."""
        for each in self._sockets.values():
            asyncio.get_running_loop().remove_reader(each)
            each.close()
        self._sockets.clear()

    def _socket(self, version: int) -> socket.socket:
        known = self._sockets.get(version)
        if known is None:
            known = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
            known.setblocking(False)
            self._sockets[version] = known
            asyncio.get_running_loop().add_reader(known, self._read, known)
        return known

    def _read(self, readable: socket.socket) -> None:
        while True:
            try:
                octets, source = readable.recvfrom(LONGEST)
            except BlockingIOError:
                return
            except OSError:
                # A server that is not there (ICMP); asking it again, and the next one, goes by the clock.
                continue
            self._heard(ip_address(source[0]), source[1], octets)
