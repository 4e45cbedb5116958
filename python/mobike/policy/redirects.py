"""On to another gateway (RFC 5685): where we let ourselves be sent, and how often. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from types import MappingProxyType

from mobike.address import Ip, Nanos

MOST = 5
"""Redirects followed within `PERIOD`; behind that, gateways send us round in circles (RFC 5685 section 3)."""

PERIOD = 300 * 1_000_000_000
"""Nanoseconds."""


@dataclass(frozen=True, slots=True)
class FollowRule:
    """What a connection follows. Empty: nothing, and its peers are not told that we would."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Addresses of gateways that we let ourselves be sent to."""
    names: Mapping[str, tuple[Ip, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Gateways by host name, in lower case, and their addresses. We resolve no names: an answer to IKE_SA_INIT is from
    anybody on the way, and he would choose what we ask for."""

    @property
    def follows(self) -> bool:
        return bool(self.networks or self.names)

    def addresses_of(self, gateway: str) -> tuple[Ip, ...]:
        """Where a gateway is; nothing if we may not go there."""
        try:
            ip = ip_address(gateway)
        except ValueError:
            return self.names.get(gateway.lower(), ())
        is_named = any(ip in ips for ips in self.names.values())
        return (ip,) if is_named or any(ip in network for network in self.networks) else ()


NOWHERE = FollowRule()


def objection(rule: FollowRule, gateway: str, origin: Ip, followed: Sequence[Nanos], now: Nanos) -> str | None:
    """Why we do not go there, in a sentence; None if we do. `followed`: when we went on before."""
    ips = rule.addresses_of(gateway)
    if not ips:
        return f"{gateway} is no gateway that follow_redirects and redirect_names allow"
    if all(ip == origin for ip in ips):
        return f"{gateway} is where we are"
    if sum(now - at < PERIOD for at in followed) >= MOST:
        return f"we were sent on {MOST} times within {PERIOD // 1_000_000_000} s"
    return None
