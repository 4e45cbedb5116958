"""MD4 (RFC 1320), which is broken, and which MS-CHAPv2 is made of. OpenSSL 3 hides it in a module that few load, so it
is written down here; nothing else may use it."""

from collections.abc import Callable
from typing import Final

_Mix = Callable[[int, int, int], int]

_MASK: Final = 0xFFFF_FFFF
_START: Final = (0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476)
_ROUNDS: Final[tuple[tuple[_Mix, int, tuple[int, ...], tuple[int, ...]], ...]] = (
    (lambda x, y, z: (x & y) | (~x & z), 0, (*range(16),), (3, 7, 11, 19)),
    (
        lambda x, y, z: (x & y) | (x & z) | (y & z),
        0x5A82_7999,
        (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
        (3, 5, 9, 13),
    ),
    (
        lambda x, y, z: x ^ y ^ z,
        0x6ED9_EBA1,
        (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15),
        (3, 9, 11, 15),
    ),
)
"""Function, constant, order of the words, shifts; RFC 1320 section 3.4."""


def md4(message: bytes) -> bytes:
    """The digest, 16 octets."""
    padded = message + b"\x80" + bytes(-(len(message) + 9) % 64) + (8 * len(message)).to_bytes(8, "little")
    state = _START
    for at in range(0, len(padded), 64):
        block = padded[at : at + 64]
        words = [int.from_bytes(block[each : each + 4], "little") for each in range(0, 64, 4)]
        state = _block(state, words)
    return b"".join(each.to_bytes(4, "little") for each in state)


def _block(state: tuple[int, int, int, int], words: list[int]) -> tuple[int, int, int, int]:
    a, b, c, d = state
    for mix, constant, order, shifts in _ROUNDS:
        for step, word in enumerate(order):
            summed = (a + mix(b, c, d) + words[word] + constant) & _MASK
            shift = shifts[step % 4]
            a, b, c, d = d, (summed << shift | summed >> (32 - shift)) & _MASK, b, c
    return (a + state[0]) & _MASK, (b + state[1]) & _MASK, (c + state[2]) & _MASK, (d + state[3]) & _MASK
