"""`mobike`, without the second that Python takes to read it: one process has read it all, and forks for each command.

    python -m tests.docs.forks FOLDER     serves, and puts the program `mobike` into FOLDER

What `mobike` in that folder is started with (words, folder, environment, network, three descriptors) a fork of the
server takes over; signals are passed on to it, and it ends as that does.
"""

import array
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PROGRAM: Final = """#!{python} -SE
import array, json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect({place!r})
    started = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    given = [0, 1, 2, os.open("/proc/self/ns/net", os.O_RDONLY)]
    server.sendmsg([started], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", given))])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda which, _: server.send(str(which).encode()))
    sys.exit(int(server.recv(8) or 1))
"""
_MOST: Final = 1 << 17
"""Octets of words and environment."""


def put(folder: Path) -> socket.socket:
    """Put the program there; where it calls."""
    place = folder / "forks.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(place))
    listener.listen(16)
    program = folder / "mobike"
    program.write_text(_PROGRAM.format(python=sys.executable, place=str(place)))
    program.chmod(0o755)
    return listener


def serve(listener: socket.socket) -> None:
    """Until somebody ends it."""
    while True:
        caller, _ = listener.accept()
        # One process waits for the command and tells how it ended; nobody waits for that one: it is nobody's child.
        if (child := os.fork()) == 0:
            if os.fork() == 0:
                listener.close()
                _attend(caller)
            os._exit(0)
        os.waitpid(child, 0)
        caller.close()


def _attend(caller: socket.socket) -> None:
    size = array.array("i").itemsize
    started, ancillary, _, _ = caller.recvmsg(_MOST, socket.CMSG_LEN(4 * size))
    numbers = array.array("i")
    numbers.frombytes(ancillary[0][2])
    words, folder, environ = json.loads(started)
    child = os.fork()
    if child == 0:
        caller.close()
        *streams, network = numbers
        if os.fstat(network).st_ino != Path("/proc/self/ns/net").stat().st_ino:
            ctypes.CDLL(None).setns(network, 0)
        for at, number in enumerate(streams):
            os.dup2(number, at)
        os.closerange(3, 256)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environ)
        _run(words)
    for number in numbers:
        os.close(number)
    _pass_signals_on(caller, child)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    with suppress(OSError):
        caller.send(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def _pass_signals_on(caller: socket.socket, child: int) -> None:
    """Until it has ended. Who called and is gone wants it no more."""
    ended, poll = os.pidfd_open(child), select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(caller, select.POLLIN)
    while all(number != ended for number, _ in poll.poll()):
        said = caller.recv(8)
        os.kill(child, int(said) if said else signal.SIGKILL)
        if not said:
            break


def _run(words: list[str]) -> None:
    from mobike.cli import main  # noqa: PLC0415 - read before, in the process that this one is a fork of

    sys.stdin, sys.stdout, sys.stderr = (open(at, mode, closefd=False) for at, mode in enumerate("rww"))  # noqa: SIM115
    sys.argv = ["mobike", *words]
    code: object = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    sys.stdout.flush()
    sys.stderr.flush()
    # What threads of a daemon are left ends as with a process of its own.
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


@contextmanager
def program(folder: Path) -> Iterator[Path]:
    """While the block lasts there is a `mobike` in this folder."""
    server = subprocess.Popen([sys.executable, "-m", "tests.docs.forks", str(folder)], cwd=Path(__file__).parents[2])
    try:
        while not (folder / "mobike").exists():
            assert server.poll() is None, "it ended"
            time.sleep(0.02)
        yield folder
    finally:
        server.kill()
        server.wait()


def main() -> None:
    listener = put(Path(sys.argv[1]))
    for name in (
        "mobike.cli.app",
        "mobike.cli.start",
        "mobike.gateway.run",
        "mobike.gateway.opening",
        "mobike_api",
        "mobike._core",
    ):
        __import__(name)
    serve(listener)


if __name__ == "__main__":
    main()
