"""What a host needs to reach anything at all, and policies for everything therefore leave alone. Pure.

Where a policy is about all packets of a family, neighbours of IPv6 could not be found any more, so the peer itself not
reached; and leases of outer addresses would run out. IPv4 finds neighbours below IP, and its loopback has no policies.
"""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final

from mobike.dataplane.xfrm.selectors import ANY_PORT, Ports, Selector
from mobike.dataplane.xfrm.state import SPARED_PRIORITY, Action, Policy, PolicyKey
from mobike.dataplane.xfrm.uapi import Dir

_EXACT: Final = 0xFFFF
_ICMPV6: Final = 58
_UDP: Final = 17
_NEIGHBOURS: Final = (133, 134, 135, 136)
"""Solicitations and advertisements of routers and neighbours (RFC 4861); the kernel calls a type a source port."""
_LEASES: Final = {4: (68, 67), 6: (546, 547)}
"""Ports of DHCP: the client's and the server's."""
_LOOPBACK: Final = ip_network("::1/128")


def spared(selector: Selector) -> Iterator[Policy]:
    """Beside a policy for this selector; none unless that is about everything."""
    if selector.source.prefixlen or selector.destination.prefixlen or selector.protocol:
        return
    everywhere = selector.source
    client, server = (Ports(port, _EXACT) for port in _LEASES[everywhere.version])
    lane = selector.lane
    lease = Selector(everywhere, everywhere, _UDP, client, server, lane)
    yield from (_passing(PolicyKey(Dir.OUT, lease)), _passing(PolicyKey(Dir.IN, lease.reversed())))
    if everywhere.version == 6:
        here = Selector(_LOOPBACK, _LOOPBACK, lane=lane)
        found = [Selector(everywhere, everywhere, _ICMPV6, Ports(kind, _EXACT), ANY_PORT, lane) for kind in _NEIGHBOURS]
        yield from (_passing(PolicyKey(way, each)) for each in (here, *found) for way in (Dir.OUT, Dir.IN))


def _passing(key: PolicyKey) -> Policy:
    return Policy(key, Action.PASS, SPARED_PRIORITY)
