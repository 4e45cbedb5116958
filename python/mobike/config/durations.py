"""Times as people write them: `30s`, `500ms`, `5m`, `1h`, `1m30s`; `0` is never."""

import re
from typing import Final

_UNITS: Final = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60 * 1_000_000_000, "h": 3600 * 1_000_000_000}
_PART: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h)")
_WHOLE: Final = re.compile(r"(?:[0-9]{1,9}(?:ms|s|m|h))+")


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration; ValueError says what is wrong."""
    if text == "0":
        return 0
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is no time; write for example 500ms, 30s, 5m or 1m30s")
    parts = _PART.findall(text)
    units = [unit for _, unit in parts]
    if units != sorted(set(units), key=_UNITS.__getitem__, reverse=True):
        raise ValueError(f"{text!r} is no time; each unit may stand once, greater units first")
    return sum(int(count) * _UNITS[unit] for count, unit in parts)


def format_duration(nanos: int) -> str:
    """The shortest text that `parse_duration` reads as `nanos` (whole milliseconds)."""
    if nanos == 0:
        return "0"
    text = ""
    for unit, size in sorted(_UNITS.items(), key=lambda item: -item[1]):
        count, nanos = divmod(nanos, size)
        text += f"{count}{unit}" if count else ""
    return text
