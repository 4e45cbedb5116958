"""Captures are one at a time, end by themselves, are forgotten, and hold no more than they may."""

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest

from mobike import pcapng
from mobike.address import Endpoint, Nanos, Path, SaId
from mobike.facade import NotFound, Refused
from mobike.gateway import capturer
from mobike.gateway.capturer import KEPT, Capturer
from mobike.tape import Frame, Taped

V4 = Path(Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(ip_address("198.51.100.7"), 61000))
V6 = Path(Endpoint(ip_address("2001:db8::1"), 500), Endpoint(ip_address("2001:db8::7"), 500))


@dataclass
class Recorder:
    """A core that hears one datagram between two looks."""

    data: bytes = b"x"
    orders: list[tuple[int, int | None]] = field(default_factory=list)
    looks: int = 0
    gone: bool = False

    def tape(self, sa: SaId, room: int | None, /) -> None:
        self.orders.append((sa, room))

    def taped(self, sa: SaId, /) -> Taped | None:
        self.looks += 1
        if self.gone:
            return None
        frame = Frame(Nanos(self.looks), V4, self.looks % 2 == 0, self.data)
        return Taped((frame,), 0, Nanos(self.looks), (f"ike {self.looks // 2}",), ("esp",))


async def until(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not seen():  # noqa: ASYNC110 - it is a fact of the capture
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capturer, "LOOK_S", 0.001)


async def test_one_at_a_time_and_it_ends_when_it_is_told_to() -> None:
    core = Recorder()
    captures = Capturer(core, lambda _: True, carried_here=True)
    begun = captures.start("7", 600, by="ann")
    with pytest.raises(Refused, match="another capture runs"):
        captures.start("8", 1, by="bob")
    await until(lambda: captures.get(begun.id).packets >= 4)
    keys = captures.keys(begun.id)
    assert keys.esp_sa == ("esp",)
    assert len(keys.ikev2_decryption_table) >= 2, "those of before a rekey are kept"
    assert captures.end(begun.id).why_ended == "it was ended"
    assert (core.orders[0][0], core.orders[-1]) == (7, (7, None))
    for ask in (captures.get, captures.packets, captures.keys, captures.end):
        with pytest.raises(NotFound):
            ask(begun.id)
    await captures.close()


async def test_it_ends_when_there_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capturer, "MOST_OCTETS", 10_000)
    captures = Capturer(Recorder(bytes(1000)), lambda _: True, carried_here=True)
    begun = captures.start("7", 600, by="ann")
    await until(lambda: captures.get(begun.id).ended is not None)
    assert captures.get(begun.id).octets == 10_000
    await captures.close()


async def test_it_ends_with_its_ike_sa() -> None:
    core = Recorder(gone=True)
    captures = Capturer(core, lambda sa: sa == 7, carried_here=True)
    for unknown in ("8", "no number", "1" * 20):
        with pytest.raises(NotFound):
            captures.start(unknown, 1, by="ann")
    begun = captures.start("7", 600, by="ann")
    await until(lambda: captures.get(begun.id).ended is not None)
    assert captures.get(begun.id).why_ended == "the IKE SA is gone"
    await captures.close()


async def test_those_that_are_over_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    captures = Capturer(Recorder(gone=True), lambda _: True, carried_here=True)
    ids = []
    for _ in range(KEPT + 2):
        begun = captures.start("7", 1, by="ann")
        ids.append(begun.id)
        await until(lambda id_=begun.id: captures.get(id_).ended is not None)  # type: ignore[misc]
    with pytest.raises(NotFound):
        captures.get(ids[0])
    monkeypatch.setattr(capturer, "KEPT_S", -1.0)
    with pytest.raises(NotFound):
        captures.get(ids[-1])
    await captures.close()


@pytest.mark.parametrize("seconds", [0, 601])
async def test_it_has_an_end(seconds: int) -> None:
    captures = Capturer(Recorder(), lambda _: True, carried_here=True)
    with pytest.raises(Refused, match="seconds is"):
        captures.start("7", seconds, by="ann")


def test_a_file_says_who_sent_what_when() -> None:
    frames = [Frame(Nanos(1), V4, True, b"\0\0\0\0abc"), Frame(Nanos(2_000_000_002), V6, False, b"de")]
    data = pcapng.written(frames, 1_790_000_000_000_000_000)
    blocks = []
    while data:
        kind, length = struct.unpack_from("<II", data)
        assert struct.unpack_from("<I", data, length - 4) == (length,)
        assert length % 4 == 0
        blocks.append((kind, data[8 : length - 4]))
        data = data[length:]
    assert [kind for kind, _ in blocks] == [0x0A0D0D0A, 1, 6, 6]
    _, high, low, kept, long = struct.unpack_from("<IIIII", blocks[2][1])
    assert (high << 32 | low) == 1_790_000_000_000_000_001
    assert kept == long == 20 + 8 + 7
    packet = blocks[2][1][20 : 20 + kept]
    assert (packet[0] >> 4, packet[9], packet[12:16], packet[-3:]) == (4, 17, V4.local.ip.packed, b"abc")
    packet = blocks[3][1][20 : 20 + 40 + 8 + 2]
    assert (packet[0] >> 4, packet[6], packet[8:24], packet[-2:]) == (6, 17, V6.remote.ip.packed, b"de")
