"""Marks of packets and XFRM interfaces, for ESP in the kernel: how they are written, and what goes with them."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from mobike.config.locate import Key
from mobike.config.settings import Connection, Inner, PacketMark, PlaneKind

MARK_PATTERN: Final = r"^(0x[0-9a-fA-F]{1,8}|[0-9]{1,10})(/(0x[0-9a-fA-F]{1,8}|[0-9]{1,10}))?$"
_MOST: Final = 0xFFFF_FFFF


def parse_mark(text: str) -> PacketMark:
    """`0x10/0xff`: these bits of the mark; without the second all of them. ValueError says what is wrong."""
    if not re.fullmatch(MARK_PATTERN, text):
        raise ValueError(f"{text!r} is no mark; write for example 0x10/0xff, or 42")
    value, _, mask = text.partition("/")
    mark = PacketMark(int(value, 0), int(mask, 0) if mask else _MOST)
    if max(mark) > _MOST:
        raise ValueError(f"{text!r}: a mark has 32 bits")
    if mark.value & ~mark.mask:
        raise ValueError(f"{text!r}: no packet has it, since its mask leaves bits of the value out")
    if not mark.mask:
        raise ValueError(f"{text!r} is about no bit")
    return mark


def format_mark(mark: Sequence[int]) -> str:
    """The text that `parse_mark` reads as `mark`."""
    value, mask = mark
    return f"{value:#x}" if mask == _MOST else f"{value:#x}/{mask:#x}"


def of_marks(
    connections: Sequence[Connection], kind: PlaneKind, inner: Inner, problem: Callable[[Key, str], None]
) -> None:
    """What contradicts between these keys and [dataplane], and between connections."""
    users: dict[str, str] = {}
    for connection in connections:
        for name in connection.policy.children:
            other = users.setdefault(name, connection.name)
            if other != connection.name and any(
                each.marks for each in connections if each.name in (other, connection.name)
            ):
                problem(
                    ("connections", connection.name, "child"),
                    f"the name {name!r} is one of {other}, too: with if_id or marks each has a name of its own",
                )
        if not connection.marks:
            continue
        where: Key = ("connections", connection.name)
        if kind is not PlaneKind.KERNEL:
            problem(where, 'if_id, mark and output_mark need kind = "kernel" in [dataplane]')
        elif connection.marks.interface and inner is not Inner.NONE:
            problem(where, 'if_id needs inner = "none" in [dataplane]: its packets go by an interface that you make')
