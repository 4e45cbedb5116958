"""What of a host stands in the way of IPsec in its kernel: looked at, said, and never changed. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from mobike.dataplane.xfrm.probe import KernelCan


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `mobike doctor`."""

    good: bool
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class _Sysctl:
    name: str
    bad: str
    why: str


_SYSCTLS: Final = (
    _Sysctl("net.ipv4.conf.all.disable_xfrm", "1", "nothing is encrypted"),
    _Sysctl("net.ipv4.conf.all.disable_policy", "1", "packets are taken that came in the clear"),
    _Sysctl("net.ipv4.ip_no_pmtu_disc", "1", "large packets vanish where a path carries only smaller ones"),
    _Sysctl("net.ipv4.conf.all.rp_filter", "1", "on a host with two uplinks what comes over the second is thrown away"),
    _Sysctl("net.ipv4.ip_forward", "0", "peers reach this host alone, and nothing behind it"),
    _Sysctl("net.ipv6.conf.all.forwarding", "0", "the same over IPv6"),
)


def findings(can: KernelCan, sysctl: Callable[[str], str | None]) -> Iterator[Finding]:
    """About this kernel; `sysctl` reads a setting, or has none of that name."""
    for line in can.lines():
        yield Finding(can.usable, line)
    for each in _SYSCTLS:
        value = sysctl(each.name)
        if value is not None and value.strip() == each.bad:
            yield Finding(False, f"{each.name} is {each.bad}: {each.why}", f"sysctl -w {each.name}={_other(each.bad)}")


def _other(bad: str) -> str:
    return "1" if bad == "0" else "0"
