"""Traffic selectors: a network, and behind it perhaps a protocol with its ports."""

import re

from mobike.selector import PROTOCOLS, SELECTOR, WITH_PORTS


def split_selector(text: str) -> tuple[str, str]:
    """The network, and the rest in the form that the core reads; empty where there is none."""
    if "[" not in text:
        return text, ""
    matched = SELECTOR.fullmatch(text)
    if matched is None:
        raise ValueError(f"{text!r} is no selector like 10.1.0.0/16[udp/5060] or 10.1.0.0/16[tcp/80-443]")
    return matched["addresses"].strip(), f"[{_upper(text, matched)}]"


def _upper(text: str, matched: re.Match[str]) -> str:
    name = matched["protocol"]
    number = PROTOCOLS.get(name) or (int(name) if name.isdigit() else 0)
    if not 1 <= number <= 255:
        raise ValueError(f"{text!r}: {name} is no protocol; write its number, or one of {', '.join(PROTOCOLS)}")
    if matched["first"] is None:
        return name
    if number not in WITH_PORTS:
        raise ValueError(f"{text!r}: {name} has no ports")
    first, last = int(matched["first"]), int(matched["last"] or matched["first"])
    if not first <= last <= 0xFFFF:
        raise ValueError(f"{text!r}: ports go from 0 to 65535, and rise")
    return f"{name}/{first}" if first == last else f"{name}/{first}-{last}"
