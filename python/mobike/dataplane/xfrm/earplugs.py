"""A socket filter, so that whoever installs ten thousand SAs does not hear of each: in classic BPF, see bpf(4). Pure.

Of SAs and policies only their removal is news, and only if somebody else did it. All else passes.
"""

import sys
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final

from mobike.dataplane.xfrm.uapi import Msg

_KIND_AT: Final = 4
_PORT_AT: Final = 12
"""Offsets in `nlmsghdr`."""
_LOAD_HALF: Final = 0x28
_LOAD_WORD: Final = 0x20
_JUMP_IF_EQUAL: Final = 0x15
_RETURN: Final = 0x06
_ALL: Final = 0xFFFF_FFFF
_INSTRUCTION: Final = Struct("=HBBI")

_MADE: Final = (Msg.NEWSA, Msg.UPDSA, Msg.NEWPOLICY, Msg.UPDPOLICY)
_REMOVED: Final = (Msg.DELSA, Msg.FLUSHSA, Msg.DELPOLICY, Msg.FLUSHPOLICY)


def hear_others_alone(ours: int) -> bytes:
    """The program; `ours` is the port of our own socket."""
    # Behind the comparisons of the kind: pass, look at the port, drop.
    kinds = [*((kind, 1) for kind in _REMOVED), *((kind, 4) for kind in _MADE)]
    return b"".join((
        _INSTRUCTION.pack(_LOAD_HALF, 0, 0, _KIND_AT),
        *_compare(kinds),
        _INSTRUCTION.pack(_RETURN, 0, 0, _ALL),
        _INSTRUCTION.pack(_LOAD_WORD, 0, 0, _PORT_AT),
        _INSTRUCTION.pack(_JUMP_IF_EQUAL, 1, 0, _seen(ours, 4)),
        _INSTRUCTION.pack(_RETURN, 0, 0, _ALL),
        _INSTRUCTION.pack(_RETURN, 0, 0, 0),
    ))  # fmt: skip


def _compare(kinds: Iterable[tuple[Msg, int]]) -> Iterator[bytes]:
    """Jump to so many instructions behind the last comparison."""
    ordered = list(kinds)
    for place, (kind, to) in enumerate(ordered):
        yield _INSTRUCTION.pack(_JUMP_IF_EQUAL, len(ordered) - 1 - place + to, 0, _seen(kind, 2))


def _seen(number: int, octets: int) -> int:
    """As such a program loads it: what it loads is taken to be in network order."""
    return int.from_bytes(number.to_bytes(octets, sys.byteorder), "big")
