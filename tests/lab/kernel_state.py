"""What a kernel holds of IPsec, as `ip xfrm` shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.interop.rig import Namespace, Rig
from tests.interop.rig.program import run


@dataclass(frozen=True, slots=True)
class SaShown:
    """An SA."""

    source: str
    destination: str
    spi: int
    ports: tuple[int, int] | None
    """Of its encapsulation, from and to."""
    sent: int
    """The last sequence number that was sent over it."""
    received: int
    """The highest that came in."""
    packets: int
    """That went through it, either way."""


@dataclass(frozen=True, slots=True)
class PolicyShown:
    """A policy; `source` and `destination` are those of its template, None for one that blocks."""

    direction: str
    source: str | None
    destination: str | None


def sas(ns: Namespace) -> list[SaShown]:
    """All of them."""
    return [_sa(text) for text in _pieces(ns, "-s", "xfrm", "state")]


def policies(ns: Namespace) -> list[PolicyShown]:
    """All but those of sockets."""
    return [_policy(text) for text in _pieces(ns, "xfrm", "policy", "list", "nosock")]


def faults(rig: Rig, ns: Namespace) -> dict[str, int]:
    """What IPsec threw away, by reason."""
    lines = (line.split() for line in rig.run(ns, ["cat", "/proc/net/xfrm_stat"]).stdout.splitlines())
    return {name: int(number) for name, number in lines if number != "0"}


def _pieces(ns: Namespace, *words: str) -> list[str]:
    return [f"src{each}" for each in f"\n{run(['ip', '-n', ns, *words]).stdout}".split("\nsrc")[1:]]


def _sa(text: str) -> SaShown:
    ends = re.match(r"src (\S+) dst (\S+)", text)
    spi = re.search(r"spi 0x([0-9a-f]+)", text)
    assert ends and spi, text
    ports = re.search(r"encap type espinudp sport (\d+) dport (\d+)", text)
    sent, received = _sequence(text)
    pair = (int(ports[1]), int(ports[2])) if ports else None
    packets = re.search(r"(\d+)\(packets\)", text.partition("lifetime current")[2])
    assert packets, text
    return SaShown(ends[1], ends[2], int(spi[1], 16), pair, sent, received, int(packets[1]))


def _sequence(text: str) -> tuple[int, int]:
    """Out and in. Windows of more than 32 packets have an own way to be shown."""
    context = text.partition("anti-replay")[2]
    numbers = {name: int(value, 16) for name, value in re.findall(r"(oseq-hi|seq-hi|oseq|seq) 0x([0-9a-f]+)", context)}
    high_out, high_in = numbers.get("oseq-hi", 0), numbers.get("seq-hi", 0)
    return (high_out << 32) + numbers.get("oseq", 0), (high_in << 32) + numbers.get("seq", 0)


def _policy(text: str) -> PolicyShown:
    direction = re.search(r"dir (\w+)", text)
    template = re.search(r"tmpl src (\S+) dst (\S+)", text)
    assert direction, text
    return PolicyShown(direction[1], *(template.groups() if template else (None, None)))
