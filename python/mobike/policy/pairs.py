"""Which pairs are legal at all: these rules exclude, they never prefer (RFC 6724 section 4, RFC 4621 section 2)."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

from mobike.address import Ip
from mobike.policy.links import Candidate

Prefix: TypeAlias = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class PairRules:
    """What the operator allows beyond what is possible. Empty means: no limit of that kind."""

    local: tuple[Prefix, ...] = ()
    """Local addresses must lie in one of these."""
    remote: tuple[Prefix, ...] = ()
    """Addresses of the peer must lie in one of these."""
    families: frozenset[int] = frozenset((4, 6))


ANY_PAIR = PairRules()


def objection(candidate: Candidate, remote: Ip, rules: PairRules) -> str | None:
    """Why this pair must not be used, in words for a person; None if it is legal."""
    return (
        _objection_to_address(candidate.ip)
        or _objection_to_address(remote)
        or _objection_to_both(candidate.ip, remote)
        or _objection_of_operator(candidate, remote, rules)
    )


def _objection_to_address(ip: Ip) -> str | None:
    if ip.is_multicast:
        return f"{ip} is a multicast address"
    if ip.is_unspecified:
        return f"{ip} is no address of anybody"
    if ip.is_link_local:
        return f"{ip} is valid on one link only"
    return None


def _objection_to_both(local: Ip, remote: Ip) -> str | None:
    if local.version != remote.version:
        return f"{local} and {remote} are of different families"
    if local == remote:
        return f"{local} would talk to itself"
    # Loopback to loopback is legal: several ends on one host, as in the demo.
    if local.is_loopback and not remote.is_loopback:
        return f"{local} never leaves this host"
    if remote.is_loopback and not local.is_loopback:
        return f"{remote} never leaves this host"
    return None


def _objection_of_operator(candidate: Candidate, remote: Ip, rules: PairRules) -> str | None:
    if candidate.tunnel:
        return f"{candidate.ip} is inside one of our own tunnels"
    if not candidate.allowed:
        return f"link {candidate.link} is not allowed for this connection"
    if remote.version not in rules.families:
        return f"IPv{remote.version} is not allowed for this connection"
    if rules.local and not _within(candidate.ip, rules.local):
        return f"{candidate.ip} is outside the allowed local prefixes"
    if rules.remote and not _within(remote, rules.remote):
        return f"{remote} is outside the allowed remote prefixes"
    return None


def _within(ip: Ip, prefixes: tuple[Prefix, ...]) -> bool:
    return any(ip in prefix for prefix in prefixes)
