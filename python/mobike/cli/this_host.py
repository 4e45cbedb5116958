"""The host that `mobike doctor` runs on."""

import ctypes
import os
import resource
import socket
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mobike.address import Ip

_UNSYNCHRONISED: Final = 5
"""TIME_ERROR of adjtimex(2)."""
_TIMEX: Final = 256
"""Octets: more than `struct timex` has anywhere. With no mode set it is only read."""


class ThisHost:
    """Implements `mobike.cli.checkup.Host`."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def is_synchronised(self) -> bool | None:
        try:
            state = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX)))
        except (OSError, AttributeError):
            return None
        return None if state < 0 else state != _UNSYNCHRONISED

    def may_bind(self, ip: Ip, port: int, *, stream: bool) -> int | None:
        family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
        try:
            with closing(socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                if stream:
                    # A port whose last connection is a minute old is free.
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((str(ip), port))
        except OSError as problem:
            return problem.errno
        return None

    def open_files(self) -> tuple[int, int]:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return soft, hard

    def mode(self, path: Path) -> int | None:
        try:
            return path.stat().st_mode & 0o777
        except OSError:
            return None

    def may_write(self, folder: Path) -> bool:
        """Or make, where it is not there yet."""
        there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
        return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
