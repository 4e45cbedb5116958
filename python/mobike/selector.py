"""Traffic selectors as text: a prefix or a range of addresses, and behind it perhaps a protocol with its ports.

What an operator may write, what the engine says of a Child SA, and what a data plane is told, in the same words.
"""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network, summarize_address_range
from typing import Final, NamedTuple, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

SELECTOR: Final = re.compile(
    r"(?P<addresses>[^\[\]]*)(?:\[(?P<protocol>[a-z0-9]+)(?:/(?P<first>[0-9]+)(?:-(?P<last>[0-9]+))?)?\])?"
)
PROTOCOLS: Final = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "icmpv6": 58, "sctp": 132}
"""Those with a name; as in `rust/ike/src/selector.rs`."""
WITH_PORTS: Final = frozenset({6, 17, 33, 132, 136})
"""TCP, UDP, DCCP, SCTP, UDP-Lite. Not ICMP: its types and codes are no ports, whatever fields carry them."""


class Traffic(NamedTuple):
    """What a Child SA carries, or would carry, each side as selectors."""

    local: tuple[str, ...]
    remote: tuple[str, ...]


def networks(addresses: str) -> tuple[Network, ...]:
    """The prefixes that `10.0.0.0/8` or `10.0.0.1-10.0.0.9` covers; ValueError if it is neither."""
    first, dash, last = addresses.partition("-")
    if dash:
        return tuple(summarize_address_range(ip_address(first), ip_address(last)))
    return (_usual(addresses) or ip_network(addresses),)


def _usual(prefix: str) -> IPv4Network | None:
    """Of IPv4 as it is usually written, in a fraction of the time; None: it is not, or is none."""
    first, _, bits = prefix.partition("/")
    if bits not in _LENGTHS:
        return None
    try:
        octets = bytes(map(int, first.split(".")))
    except ValueError:
        return None
    if len(octets) != 4 or ".".join(map(str, octets)) != first:
        return None
    return IPv4Network((octets, _LENGTHS[bits]))


_LENGTHS: Final = {str(bits): bits for bits in range(33)}
