"""Run by itself inside a namespace: numbered datagrams out or in, each noted in a ledger that others read meanwhile.

python3 numbers.py send LEDGER HERE THERE RATE      so many a second, until it is ended
python3 numbers.py receive LEDGER HERE

A ledger is a file of 64-bit numbers. The first one counts: datagrams sent, or those that came more than once. Behind it
stands a time for each number, in nanoseconds of the monotonic clock, or 0.
"""

import mmap
import os
import socket
import sys
import time
from contextlib import suppress

PORT = 7
MOST = 1 << 20
"""Numbers in a ledger: a thousand a second for a quarter of an hour."""
WIDTH = 8
SIZE = WIDTH * (MOST + 1)
SO_RCVBUFFORCE = 33
ROOM = 16 << 20
"""Octets that may wait at the receiver while others compute."""
BURST = 4
"""Datagrams that leave together: who wakes a thousand times a second is half of the load in a kernel in user mode."""
LATE_NS = 20_000_000
"""Who is later than this goes on from where it is: a busy machine gets fewer, and no flood."""


def ledger(path: str) -> memoryview:
    """The numbers of that file, which is made if need be."""
    made = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(made).st_size < SIZE:
            os.ftruncate(made, SIZE)
        return memoryview(mmap.mmap(made, SIZE)).cast("Q")
    finally:
        os.close(made)


def send(notes: memoryview, here: str, there: str, rate: float) -> None:
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.bind((here, 0))
    gap = int(BURST * 1e9 / rate)
    due = time.monotonic_ns()
    for first in range(0, MOST, BURST):
        now = time.monotonic_ns()
        if now < due:
            time.sleep((due - now) / 1e9)
            now = due
        due = (now if now - due > LATE_NS else due) + gap
        for number in range(first, first + BURST):
            notes[number + 1] = now
            with suppress(OSError):  # it counts as lost: it did not get there
                out.sendto(number.to_bytes(WIDTH, "big"), (there, PORT))
            notes[0] = number + 1


def receive(notes: memoryview, here: str) -> None:
    come = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    come.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
    come.bind((here, PORT))
    print("receiving", flush=True)
    while True:
        number = int.from_bytes(come.recv(WIDTH), "big")
        if notes[number + 1]:
            notes[0] += 1
        else:
            notes[number + 1] = time.monotonic_ns()


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(ledger(sys.argv[2]), sys.argv[3], sys.argv[4], float(sys.argv[5]))
    else:
        receive(ledger(sys.argv[2]), sys.argv[3])
