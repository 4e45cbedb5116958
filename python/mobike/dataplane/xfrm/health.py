"""What of a host stands in the way of IPsec in its kernel: looked at, said, and never changed. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Final

from mobike.dataplane.xfrm.probe import KernelCan
from mobike.dataplane.xfrm.state import OUR_PRIORITIES, Policy, PolicySeen


class Grade(Enum):
    """How much a finding stands in the way."""

    PASS = "pass"  # noqa: S105 - no secret
    WARN = "warn"
    """Of some hosts, or of some paths."""
    FAIL = "fail"
    """Of everybody's traffic."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `mobike doctor`."""

    grade: Grade
    text: str
    fix: str = ""

    @property
    def good(self) -> bool:
        return self.grade is Grade.PASS


@dataclass(frozen=True, slots=True)
class _Sysctl:
    name: str
    bad: Callable[[int], bool]
    should: int
    why: str
    grade: Grade = Grade.WARN


def _on(value: int) -> bool:
    return value != 0


def _off(value: int) -> bool:
    return value == 0


_SYSCTLS: Final = (
    _Sysctl("net.ipv4.conf.all.disable_xfrm", _on, 0, "nothing is encrypted", Grade.FAIL),
    _Sysctl("net.ipv6.conf.all.disable_xfrm", _on, 0, "nothing of IPv6 is encrypted", Grade.FAIL),
    _Sysctl("net.ipv4.conf.all.disable_policy", _on, 0, "packets are taken that came in the clear", Grade.FAIL),
    _Sysctl("net.ipv6.conf.all.disable_policy", _on, 0, "the same of IPv6", Grade.FAIL),
    _Sysctl("net.core.xfrm_larval_drop", _off, 1, "programs wait in a call for the tunnel that their packet brings up"),
    _Sysctl(
        "net.core.xfrm_acq_expires",
        lambda seconds: seconds > 165,
        30,
        "what the kernel asked for and nobody gave shows as an SA for minutes",
    ),
    _Sysctl("net.ipv4.ip_no_pmtu_disc", _on, 0, "large packets vanish where a path carries only smaller ones"),
    _Sysctl(
        "net.ipv4.tcp_mtu_probing", _off, 1, "TCP in a tunnel stands still where somebody swallows word of narrow paths"
    ),
    _Sysctl(
        "net.ipv4.conf.all.rp_filter",
        lambda mode: mode == 1,
        2,
        "on a host with two uplinks what comes over the second is thrown away",
    ),
    _Sysctl("net.ipv4.ip_forward", _off, 1, "peers reach this host alone, and nothing behind it"),
    _Sysctl("net.ipv6.conf.all.forwarding", _off, 1, "the same over IPv6"),
    _Sysctl(
        "net.ipv4.conf.all.accept_redirects", _on, 0, "a neighbour may lead this host's packets another way (RFC 1122)"
    ),
    _Sysctl(
        "net.ipv4.conf.all.send_redirects",
        _on,
        0,
        "a gateway tells its peers that they may go round it: what comes out of a tunnel goes back where it came from",
    ),
)


def findings(can: KernelCan, sysctl: Callable[[str], str | None]) -> Iterator[Finding]:
    """About this kernel; `sysctl` reads a setting, or has none of that name."""
    for line in can.lines():
        yield Finding(Grade.PASS if can.usable else Grade.FAIL, line)
    looked_at = 0
    for each in _SYSCTLS:
        value = _number(sysctl(each.name))
        looked_at += value is not None
        if value is not None and each.bad(value):
            yield Finding(each.grade, f"{each.name} is {value}: {each.why}", f"sysctl -w {each.name}={each.should}")
    yield Finding(Grade.PASS, f"{looked_at} settings of the kernel were looked at")


MOST_IN_FRONT: Final = 8
"""Policies of others that are named; one is enough to look for more."""


def in_front(policies: Sequence[PolicySeen]) -> Iterator[Finding]:
    """Policies of others that are asked before one of ours, and would take packets of it."""
    ours = [seen.policy for seen in policies if seen.ours and seen.policy.priority in OUR_PRIORITIES]
    theirs = (seen.policy for seen in policies if not seen.ours and seen.policy.priority < OUR_PRIORITIES.stop)
    for policy in islice((each for each in theirs if any(_is_before(each, mine) for mine in ours)), MOST_IN_FRONT):
        way, selector = policy.key.direction.name.lower(), policy.key.selector
        yield Finding(
            Grade.WARN,
            f"a policy of somebody else's is asked before ours: {way} {selector}, priority {policy.priority}, "
            f"{policy.action.value}",
            f"ip xfrm policy shows it; whose it is removes it, or gives it a priority of {OUR_PRIORITIES.stop} or more",
        )


def _is_before(theirs: Policy, ours: Policy) -> bool:
    if theirs.key.direction is not ours.key.direction or theirs.priority > ours.priority:
        return False
    return theirs.key.selector.overlaps(ours.key.selector)


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
