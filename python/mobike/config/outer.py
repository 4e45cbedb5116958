"""Outer paths of a connection: which addresses they may have, and what goes between those."""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final, NamedTuple

from mobike.address import Transport
from mobike.config.locate import Key
from mobike.config.models import ConnectionTable

TRANSPORTS: Final = {
    "udp": (Transport.UDP,),
    "tcp": (Transport.TCP,),
    "auto": (Transport.UDP, Transport.TCP),
}


class Objection(NamedTuple):
    """What is wrong with a key; `harmless`: and yet it means something."""

    key: Key
    message: str
    harmless: bool = False


def of_outer(table: ConnectionTable) -> Iterator[Objection]:
    """Limits that leave nothing, or less than somebody thought."""
    yield from _of_transport(table)
    versions = {int(family.removeprefix("ipv")) for family in table.families}
    families = " and ".join(f"IPv{version}" for version in sorted(versions))
    for key in ("allow_local", "allow_remote"):
        networks = [ip_network(each) for each in getattr(table, key)]
        useless = [at for at, each in enumerate(networks) if each.version not in versions]
        if useless and len(useless) == len(networks):
            yield Objection((key,), f"has no network of {families}, and families allows nothing else")
            continue
        for at in useless:
            yield Objection((key, at), f"is of no use: families allows {families} only", harmless=True)
    allowed = [ip_network(each) for each in table.allow_remote]
    of_family = [ip for ip in table.remote if ip.version in versions]
    if table.remote and not of_family:
        yield Objection(("remote",), f"has no address of {families}, and families allows nothing else")
    elif allowed and of_family and not any(ip in network for ip in of_family for network in allowed):
        yield Objection(("allow_remote",), "leaves out every address of remote; add their networks")


def _of_transport(table: ConnectionTable) -> Iterator[Objection]:
    if table.transport != "udp" and not table.nat_traversal:
        message = f'is "{table.transport}", and streams carry what NAT traversal encapsulates: say nat_traversal = true'
        yield Objection(("transport",), message)
    if table.transport == "auto" and not table.mobike:
        message = 'is "auto" without mobike: it is chosen when an SA is set up, and one that is up stays with it'
        yield Objection(("transport",), message, harmless=True)
