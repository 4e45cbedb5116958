"""The short way for new Child SAs is the usual one: the same octets, the same state, the same words."""

from __future__ import annotations

import errno
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobike.address import ChildId, Endpoint, Nanos, Path, SaId
from mobike.commands import ChildInstalled, ChildRefused
from mobike.dataplane.operations import InstallChild, RemoveChild, Volumes
from mobike.dataplane.xfrm.answers import Done
from mobike.dataplane.xfrm.book import Book
from mobike.dataplane.xfrm.kernel import Kernel
from mobike.dataplane.xfrm.plan import NOTHING, Means, plan, plan_fresh
from mobike.dataplane.xfrm.plane import Ports, XfrmPlane
from mobike.dataplane.xfrm.selectors import Lane, Mark
from mobike.dataplane.xfrm.state import Scope
from mobike.dataplane.xfrm.suites import EVERY_AEAD, EVERY_PAIR, suite_of

from .lab import SameKeys
from .model import ModelKernel
from .test_plane import Rig, Rumours, order

SUITES = (*EVERY_AEAD, *EVERY_PAIR, "aes256gcm16-esn")
ANY = ("0.0.0.0/0",)
SCOPES = {
    "interface": Scope(Lane(7)),
    "mark": Scope(Lane(0, Mark(1, 3))),
    "output": Scope(output_mark=Mark(2, 3)),
    "all": Scope(Lane(7, Mark(1, 3)), Mark(2, 3)),
}
PORT = 0x1234_5678
"""By what the kernel names our socket."""
MOST = 40
MOST_OCTETS = 2_500
"""Of Python for each SA, with its share of policies, names and watching; without the orders of the core."""


def child(number: int, suite: str = "aes128gcm16", *, remote: str = "192.0.2.9", **changes: object) -> InstallChild:
    """Of an IKE SA of its own, for an address of its own."""
    here = ip_address("2001:db8::1" if ":" in remote else "192.0.2.1")
    path = Path(Endpoint(here, 4500), Endpoint(ip_address(remote), 4500 + number))
    given: dict[str, object] = {
        "sa": SaId(number), "suite": suite, "local_ts": ("10.0.0.0/8",), "remote_ts": (f"10.9.0.{number}/32",),
        "path": path, "keys": SameKeys(suite_of(suite).lengths),
    }  # fmt: skip
    return order(number, **(given | changes))


@st.composite
def orders(draw: st.DrawFn) -> list[InstallChild]:
    """Most are fresh and plain; some have several selectors or marks, meet others, or share a way or an SPI."""
    found = []
    for number in range(draw(st.integers(1, MOST))):
        changes: dict[str, object] = {"encap": draw(st.booleans())}
        if draw(st.integers(0, 7)) == 0:
            changes |= draw(
                st.sampled_from(
                    [
                        {"remote_ts": ("10.8.0.0-10.8.0.6",)}, {"remote_ts": ANY, "local_ts": ANY}, {"spi_out": 77},
                        {"sa": SaId(0)}, {"remote_ts": ("2001:db8:1::/64",), "local_ts": ("::/0",)},
                        {"volumes": Volumes(1, 2, 3, 4)}, {"remote_ts": ("10.7.0.0/16",)},
                        *({"name": name} for name in SCOPES), {"name": "all", "remote_ts": ANY, "local_ts": ANY},
                    ]
                )
            )  # fmt: skip
        suite, remote = draw(st.sampled_from(SUITES)), draw(st.sampled_from(["192.0.2.9", "2001:db8::9"]))
        found.append(child(number, suite, remote=remote, **changes))
    return found


class Recorder:
    """In the place of a socket of netlink: agrees to everything, and keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, octets: bytearray) -> int:
        self.sent.append(bytes(octets))
        return len(octets)

    def recv_into(self, buffer: bytearray) -> int:
        """The answer to the last message of the last datagram."""
        last = self.sent[-1]
        at = number = 0
        while at < len(last):
            size = int.from_bytes(last[at : at + 4], "little")
            number = int.from_bytes(last[at + 8 : at + 12], "little")
            at += size + -size % 4
        buffer[:36] = b"".join(
            value.to_bytes(width, "little") for value, width in ((36, 4), (2, 2), (0, 2), (number, 4), (0, 24))
        )
        return 36

    def settimeout(self, seconds: float) -> None:
        """It answers at once."""

    def close(self) -> None:
        """There is nothing to close."""


def sent(wanted: Sequence[InstallChild], monkey: pytest.MonkeyPatch, *, short: bool, direction: bool) -> list[bytes]:
    kernel, recorder = Kernel(knows_direction=direction), Recorder()
    kernel.port = PORT
    kernel._socket.close()
    kernel._socket = recorder  # type: ignore[assignment]
    with monkey.context() as patch:
        patch.setattr(kernel, "sas", list)
        patch.setattr(kernel, "policies", list)
        if not short:
            patch.setattr(Book, "fresh", lambda *_: None)
        plane = XfrmPlane(kernel, Rumours(), Means.TAKE, Ports(), SCOPES)
        plane.wake(Nanos(0))
        plane.carry(wanted)
        assert all(isinstance(word, ChildInstalled) for word in plane.words())
    return recorder.sent


@pytest.mark.parametrize("direction", [False, True])
@pytest.mark.parametrize("encap", [False, True])
@pytest.mark.parametrize("remote", ["192.0.2.9", "2001:db8::9"])
@pytest.mark.parametrize("name", ["plain", *SCOPES])
def test_the_short_way_sends_the_very_octets_of_the_usual_one(
    monkeypatch: pytest.MonkeyPatch, name: str, remote: str, encap: bool, direction: bool
) -> None:
    """Also where it is not taken, since marks are said; and one that says some takes nothing from those beside it."""
    many = [
        child(number, suite, remote=remote, encap=encap, volumes=Volumes(hard_packets=number), name=each)
        for number, (suite, each) in enumerate(product(SUITES, ("plain", name)))
    ]
    usual, short = (sent(many, monkeypatch, short=short, direction=direction) for short in (False, True))
    assert short == usual
    ports = {int.from_bytes(octets[12:16], sys.byteorder) for datagram in short for octets in split(datagram)}
    assert ports == {PORT}, "by that the kernel tells our work from that of others"


def split(datagram: bytes) -> Iterator[bytes]:
    """Messages of netlink."""
    at = 0
    while at < len(datagram):
        size = int.from_bytes(datagram[at : at + 4], sys.byteorder)
        yield datagram[at : at + size]
        at += size + -size % 4


@given(wanted=orders())
def test_what_is_fresh_is_planned_as_usual(wanted: list[InstallChild]) -> None:
    book = Book(scopes=SCOPES)
    for each in wanted:
        book.install(each)
    for each in wanted:
        want = book.fresh(each.sa)
        if want is not None:
            assert want == book.goal(each.sa)
            for means in (Means.NONE, Means.MIGRATE | Means.TAKE):
                assert plan_fresh(want) == plan(NOTHING, want, means) == plan(NOTHING, want, means, swift=True)


@given(wanted=orders(), refuse=st.dictionaries(st.integers(0, 5 * MOST), st.sampled_from([errno.EEXIST, errno.ENOSYS])))
def test_both_ways_come_to_the_same(wanted: list[InstallChild], refuse: dict[int, int]) -> None:
    """Whatever the kernel refuses; and removing it all leaves nothing."""
    with pytest.MonkeyPatch.context() as patch:
        if any(each.sa != SaId(index) for index, each in enumerate(wanted)):
            refuse = {}  # others come first then, and so other steps are refused
        outcome = []
        for short in (True, False):
            if not short:
                patch.setattr(Book, "fresh", lambda *_: None)
            rig = Rig(kernel=ModelKernel(refuse=dict(refuse)))
            rig.plane.obey(SCOPES)
            rig.plane.carry(wanted)
            words = rig.plane.words()
            held = (dict(rig.kernel.policies_by_key), {k: v.sa for k, v in rig.kernel.sas_by_key.items()})
            rig.kernel.refuse = {}
            rig.plane.carry([RemoveChild(each.sa, each.child) for each in wanted])
            for second in range(1, 5):
                rig.plane.wake(Nanos(second * 1_000_000_000))
            assert (rig.kernel.policies_by_key, rig.kernel.sas_by_key) == ({}, {})
            outcome.append((sorted(map(str, words)), held if not refuse else None))
        assert len(outcome[0][0]) == len(outcome[1][0])
        if not refuse:
            assert outcome[0] == outcome[1]


def test_what_is_refused_concerns_nobody_else() -> None:
    rig = Rig()
    wanted = [child(number) for number in range(20)]
    rig.kernel.refuse = {2: errno.ENOSYS, 16 * 4 + 3: errno.EEXIST}
    rig.plane.carry(wanted)
    words = rig.plane.words()
    refused = [word.child for word in words if isinstance(word, ChildRefused)]
    assert refused == [ChildId(0), ChildId(3)]
    assert len(words) == len(wanted)
    assert len(rig.kernel.sas_by_key) == 2 * (len(wanted) - 2)


def test_an_sa_costs_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    monkeypatch.setattr(rig.kernel, "run_fresh", lambda *_: (1, Done()))  # what a model keeps is not ours
    nets = [f"10.9.{number >> 8}.{number & 255}/32" for number in range(1_000)]
    wanted = [child(number, remote_ts=(net,)) for number, net in enumerate(nets)]
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    rig.plane.carry(wanted)
    assert len(rig.plane.words()) == len(wanted)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / (2 * len(wanted)) < MOST_OCTETS
