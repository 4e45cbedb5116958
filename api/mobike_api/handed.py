"""Sockets that a service manager holds for us (sd_listen_fds(3)): they are there before we are, and stay while we are
started anew, so that who calls meanwhile waits and is not refused."""

import os
import socket
from collections.abc import MutableMapping
from typing import Final

FIRST: Final = 3
"""The first descriptor behind those that every process has."""
MOST: Final = 16
"""More is no list of ours."""
_COUNT, _WHO, _NAMES = "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"


class HandedError(Exception):
    """What was handed to us is nothing that the API could listen on; one line says what it is."""


def take_handed(environ: MutableMapping[str, str]) -> tuple[socket.socket, ...]:
    """The listeners that were meant for this process. Takes the variables out of the environment: what we start in
    turn gets neither them nor the sockets."""
    count, who, _ = (environ.pop(name, "") for name in (_COUNT, _WHO, _NAMES))
    if who != str(os.getpid()) or not count.isdecimal():
        return ()
    if int(count) > MOST:
        raise HandedError(f"{count} sockets were handed to us; at most {MOST} are taken")
    return tuple(map(_listener, range(FIRST, FIRST + int(count))))


def _listener(number: int) -> socket.socket:
    try:
        os.set_inheritable(number, False)
        taken = socket.socket(fileno=number)
    except OSError as problem:
        raise HandedError(f"descriptor {number} was handed to us and is no socket: {problem.strerror}") from None
    listens = taken.type == socket.SOCK_STREAM and taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not listens or taken.family not in {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6}:
        taken.close()
        raise HandedError(
            f"descriptor {number} was handed to us, and nobody can connect to it: ListenStream= makes one"
        )
    return taken
