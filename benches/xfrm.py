"""The kernel's data plane in bulk: SAs put in and moved, what of that is ours and what the kernel's, and memory.

python -m benches.xfrm            with a kernel that takes everything at once: Python, planning and octets alone;
                                  as root also policies in this machine's own kernel
python -m benches.xfrm --lab      in a kernel with ESP (this one, or one that is booted), with its time apart
"""

from __future__ import annotations

import argparse
import gc
import os
import struct
import sys
import tempfile
import time
import tracemalloc
from ipaddress import IPv4Address, ip_address
from pathlib import Path as File

from mobike.address import ChildId, Endpoint, Nanos, Path, SaId
from mobike.commands import ChildInstalled
from mobike.dataplane.operations import InstallChild, MoveSa, RemoveChild, SealedKeys, Sends, Volumes
from mobike.dataplane.xfrm import uapi
from mobike.dataplane.xfrm.answers import Done
from mobike.dataplane.xfrm.book import Book
from mobike.dataplane.xfrm.kernel import Kernel
from mobike.dataplane.xfrm.plan import Means
from mobike.dataplane.xfrm.plane import Ports, XfrmPlane
from mobike.dataplane.xfrm.read import News
from mobike.dataplane.xfrm.selectors import outbound_selectors
from mobike.dataplane.xfrm.state import OUR_REQIDS, Action, Policy, PolicyKey, Sa, Template, priority_of
from mobike.dataplane.xfrm.steps import AddSa, DropPolicy, PutPolicy, Step
from mobike.dataplane.xfrm.suites import suite_of
from mobike.dataplane.xfrm.uapi import Dir, Msg
from mobike.dataplane.xfrm.wire import Batch
from mobike.events import Role, SaMoved
from mobike.gateway.run import GC_MIDDLE, GC_OLD, GC_YOUNG
from tests.dataplane.xfrm.lab import own_namespace
from tests.lab.uml import boot, has_esp, missing_for_lab

CHILDREN = 10_000
"""Child SAs: twice as many SAs."""
PER_ORDER = 500
"""Child SAs that one turn of the daemon brings."""


class ReadyKeys:
    """Keys as the core holds them: octets that are copied."""

    def __init__(self) -> None:
        self._octets = bytes(range(20))

    def lengths(self) -> tuple[int, int]:
        return len(self._octets), 0

    def write(
        self, buffer: bytearray, /, *, inbound: bool, encryption_at: int, integrity_at: int | None = None
    ) -> None:
        buffer[encryption_at : encryption_at + len(self._octets)] = self._octets

    def wipe(self) -> None:
        """There is nothing to hide."""


GATEWAY, UPLINK = ip_address("192.0.2.1"), ip_address("192.0.2.2")


class Obeys:
    """In the place of a socket: every message is answered as a kernel does that agrees to everything."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._sas: dict[bytes, bytes] = {}

    def send(self, octets: bytearray) -> int:
        at, number = 0, 0
        while at < len(octets):
            size, kind, _, number, _ = uapi.NLMSGHDR.unpack_from(octets, at)
            if kind == Msg.GETSA:
                self._waiting.append(_SHOWN[:8] + struct.pack("=I", number) + _SHOWN[12:])
            at += size + -size % 4
        self._waiting.append(struct.pack("=IHHIIi16x", 36, uapi.NLMSG_ERROR, uapi.NLM_F_CAPPED, number, 0, 0))
        return len(octets)

    def recv_into(self, buffer: bytearray) -> int:
        octets = self._waiting.pop(0)
        buffer[: len(octets)] = octets
        return len(octets)

    def close(self) -> None:
        self._waiting.clear()


class Timed:
    """A socket, and how long it took."""

    def __init__(self, real: object) -> None:
        self._real = real
        self.seconds = 0.0

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def send(self, octets: bytearray) -> int:
        began = time.process_time()
        try:
            return self._real.send(octets)  # type: ignore[attr-defined,no-any-return]
        finally:
            self.seconds += time.process_time() - began

    def recv_into(self, buffer: bytearray) -> int:
        began = time.process_time()
        try:
            return self._real.recv_into(buffer)  # type: ignore[attr-defined,no-any-return]
        finally:
            self.seconds += time.process_time() - began


class Silent:
    """No news."""

    def fileno(self) -> int:
        return 0

    def take(self) -> tuple[list[News], bool]:
        return [], False

    def close(self) -> None:
        """There is nothing to close."""


def order(number: int) -> InstallChild:
    inner, outer = IPv4Address(0x0A00_0000 + number), IPv4Address(0x6440_0000 + number)
    path = Path(Endpoint(GATEWAY, 4500), Endpoint(outer, 4500))
    return InstallChild(
        SaId(number), ChildId(number), "net", Role.RESPONDER, 0x1000_0000 + number, 0x2000_0000 + number, "aes128gcm16",
        ("0.0.0.0/0",), (f"{inner}/32",), path, True, Sends.AT_ONCE, None, Volumes(hard_packets=2**32 - 2**16),
        ReadyKeys(),
    )  # fmt: skip


def _shown() -> bytes:
    """An SA as a kernel shows it, for what is read of it here."""
    batch = Batch(knows_direction=False)
    sa = Sa(True, 1, GATEWAY, UPLINK, OUR_REQIDS.start, suite_of("aes128gcm16"), None)
    keys = ReadyKeys()
    batch.new_sa(sa, lambda buffer, at, _: keys.write(buffer, inbound=True, encryption_at=at))
    return bytes(batch.buffer)


_SHOWN = _shown()


def measure(kernel: Kernel, sockets: Timed, means: Means, count: int) -> None:
    plane = XfrmPlane(kernel, Silent(), means, Ports())
    plane.wake(Nanos(0))
    orders = [order(number) for number in range(count)]
    gc.collect()
    sockets.seconds, began = 0.0, time.process_time()
    for first in range(0, count, PER_ORDER):
        plane.carry(orders[first : first + PER_ORDER])
        words = plane.words()
        assert all(isinstance(word, ChildInstalled) for word in words), words[0]
    _say("put in", 2 * count, time.process_time() - began, sockets.seconds)
    moves = [MoveSa(each.sa, Path(Endpoint(UPLINK, 4500), each.path.remote), encap=True) for each in orders]
    sockets.seconds, began = 0.0, time.process_time()
    plane.apply(moves)
    _say("moved in one batch", 2 * count, time.process_time() - began, sockets.seconds)
    events = plane.take()
    assert len(events) == count and all(isinstance(event, SaMoved) for event in events), events[0]
    sockets.seconds, began = 0.0, time.process_time()
    plane.carry([RemoveChild(each.sa, each.child) for each in orders])
    _say("taken out", 2 * count, time.process_time() - began, sockets.seconds)


def _say(what: str, sas: int, seconds: float, kernel: float) -> None:
    ours = seconds - kernel
    print(
        f"  {what}: {sas} SAs in {seconds:.2f} s; ours {ours:.2f} s = {sas / ours:,.0f} SAs/s a core; "
        f"the kernel's {kernel:.2f} s"
    )


def steps_alone(count: int) -> None:
    """Without a plane: SAs to octets, and answers read."""
    kernel = Kernel()
    kernel._socket.close()
    kernel._socket = Obeys()  # type: ignore[assignment]
    book = Book()
    keys: dict[int, SealedKeys] = {}
    steps: list[Step] = []
    for number in range(count):
        each = order(number)
        book.install(each)
        keys[number] = ReadyKeys()
        steps += [AddSa(name, sa) for name, sa in book.goal(each.sa).sas.items()]
    gc.collect()
    began = time.process_time()
    assert not kernel.run(steps, keys).refusals
    seconds = time.process_time() - began
    print(f"  octets alone: {len(steps)} SAs in {seconds:.2f} s = {len(steps) / seconds:,.0f} SAs/s a core")


def memory(count: int) -> None:
    kernel = Kernel()
    kernel._socket.close()
    kernel._socket = Obeys()  # type: ignore[assignment]
    plane = _with_nothing_there(kernel)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(count):
        plane.carry([order(number)])
        plane.words()
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    print(f"  memory: {used / (2 * count):,.0f} octets an SA, with its share of policies, orders and watching")


def _with_nothing_there(kernel: Kernel) -> XfrmPlane:
    kernel.sas = lambda: []  # type: ignore[method-assign]
    kernel.policies = lambda: []  # type: ignore[method-assign]
    return XfrmPlane(kernel, Silent(), Means.TAKE, Ports())


def policies(count: int) -> None:
    with own_namespace():
        kernel = Kernel()
        sockets = Timed(kernel._socket)
        kernel._socket = sockets  # type: ignore[assignment]
        steps = []
        for number in range(count):
            (selector,) = outbound_selectors(["0.0.0.0/0"], [f"{IPv4Address(0x0A00_0000 + number)}/32"])
            template = Template(OUR_REQIDS.start + number, GATEWAY, UPLINK)
            key = PolicyKey(Dir.OUT, selector)
            policy = Policy(key, Action.PROTECT, priority_of(selector, Action.PROTECT), template)
            steps.append(PutPolicy(policy, fresh=True))
        began = time.process_time()
        done: Done = kernel.run(steps, {})
        assert not done.refusals
        seconds = time.process_time() - began
        ours = seconds - sockets.seconds
        kernel.run([DropPolicy(step.policy.key) for step in steps], {})
        kernel.close()
    print(f"  policies: {count} in {seconds:.2f} s; ours {ours:.2f} s = {count / ours:,.0f}/s a core")


def here(count: int) -> None:
    print("Python, planning and octets; the kernel agrees at once:")
    for means in (Means.MIGRATE_STATE, Means.TAKE):
        kernel = Kernel()
        kernel._socket.close()
        timed = Timed(Obeys())
        kernel._socket = timed  # type: ignore[assignment]
        kernel.sas = lambda: []  # type: ignore[method-assign]
        kernel.policies = lambda: []  # type: ignore[method-assign]
        print(f" moves by {means}")
        measure(kernel, timed, means, count)
    steps_alone(count)
    memory(min(count, 2_000))
    if os.geteuid() == 0:
        print("this machine's kernel:")
        policies(count)


def in_lab(count: int) -> None:
    print(f"a kernel with ESP, {os.uname().release}:")
    for means in (Means.MIGRATE | Means.TAKE, Means.TAKE):
        with own_namespace():
            kernel = Kernel()
            timed = Timed(kernel._socket)
            kernel._socket = timed  # type: ignore[assignment]
            print(f" moves by {means}")
            measure(kernel, timed, means, count)
            kernel.close()


def main() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_YOUNG, GC_MIDDLE, GC_OLD)  # as the daemon does
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--lab", action="store_true", help="with SAs in a kernel that has ESP")
    words.add_argument("--children", type=int, default=CHILDREN)
    asked = words.parse_args()
    if not asked.lab:
        here(asked.children)
    elif has_esp():
        in_lab(asked.children)
    elif (why := missing_for_lab()) is not None:
        sys.exit(why)
    else:
        with tempfile.TemporaryDirectory() as folder:
            argv = [sys.executable, "-m", "benches.xfrm", "--lab", "--children", str(asked.children)]
            print(boot(argv, File(folder), timeout=600).log)


if __name__ == "__main__":
    main()
