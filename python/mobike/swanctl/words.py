"""Values in parts: lists, times, switches, selectors."""

import re
from typing import Final

from mobike.config.durations import format_duration

_TIME: Final = re.compile(r"([0-9]{1,9})\s*([smhd]?)")
_PREFIX: Final = re.compile(r"(?:fqdn|dns|email|rfc822|userfqdn):(?!#)(.+)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_TRUE: Final = frozenset({"yes", "true", "1", "enabled", "on"})
_FALSE: Final = frozenset({"no", "false", "0", "disabled", "off"})


def words(text: str) -> list[str]:
    """The parts of a list, without those that are empty."""
    return [word.strip() for word in text.split(",") if word.strip()]


def seconds(text: str) -> int:
    """A time; without a unit it is seconds. ValueError says what is wrong."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time")
    return int(found[1]) * _SECONDS[found[2]]


def time(count: int) -> str:
    """Seconds as ours writes times."""
    return format_duration(count * 1_000_000_000)


def truth(text: str) -> bool:
    """yes or no. ValueError: neither."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(f"{text!r} is neither yes nor no")


def identity_of(text: str) -> str:
    """Ours are read by their looks; those with the name of a kind need it no more."""
    if text in {"%any", "%any6"}:
        return ""
    if text.startswith("keyid:"):
        rest = text.removeprefix("keyid:")
        return f"keyid:{rest[1:] if rest.startswith('#') else rest.encode().hex()}"
    prefixed = _PREFIX.fullmatch(text)
    return prefixed[1] if prefixed else text.removeprefix("@")
