"""Amounts of data as text: `500MB`, `2GiB`."""

import re
from typing import Final

_UNITS: Final = {
    "B": 1,
    "kB": 1_000,
    "MB": 1_000_000,
    "GB": 1_000_000_000,
    "TB": 1_000_000_000_000,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
_WHOLE: Final = re.compile(r"([0-9]{1,9})([A-Za-z]+)")


def parse_octets(text: str) -> int:
    """Octets of an amount; ValueError says what is wrong."""
    if text == "0":
        return 0
    match = _WHOLE.fullmatch(text)
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"{text!r} is no amount of data; write for example 500MB, 20GB or 1TiB")
    return int(match[1]) * _UNITS[match[2]]


def format_octets(octets: int) -> str:
    """The shortest text that `parse_octets` reads as `octets`."""
    if octets == 0:
        return "0"
    whole = [(octets // size, unit) for unit, size in _UNITS.items() if octets % size == 0]
    return "{}{}".format(*min(whole))
