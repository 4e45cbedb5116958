"""Child SAs in transport mode (RFC 7296 section 1.3.1): what they go with, and what not."""

from collections.abc import Iterable, Iterator

from mobike.config.locate import Key
from mobike.config.models import ChildTable, ConnectionTable
from mobike.config.settings import Connection


def is_transport(table: ConnectionTable, child: ChildTable | None = None) -> bool:
    """The first Child SA of a connection, or one that it names; what that does not say is as for the first."""
    mode = table.mode if child is None or child.mode is None else child.mode
    return mode == "transport"


def any_transport(table: ConnectionTable) -> bool:
    return is_transport(table) or any(is_transport(table, child) for child in table.child)


def of_modes(table: ConnectionTable) -> Iterator[tuple[Key, str]]:
    """What contradicts transport mode, by key."""
    if not any_transport(table):
        return
    if table.mobike and "mobike" in table.model_fields_set:
        yield ("mobike",), 'is for tunnels (RFC 4555 section 1.2), and a Child SA here has mode = "transport"'
    for key in ("virtual_ip", "pool", "pool_from", "radius"):
        if getattr(table, key):
            yield (key,), 'is about inner addresses; with mode = "transport" both ends have their outer ones alone'
    if table.while_down == "block":
        yield ("while_down",), 'cannot be "block" with mode = "transport": the peer itself would be out of reach'


def carried_by_kernels(connections: Iterable[Connection]) -> list[str]:
    """Names of connections that only a kernel can carry."""
    profiles = (each.profile for each in connections)
    return sorted(
        profile.name
        for profile in profiles
        if profile.transport_mode or any(child.transport_mode for child in profile.children)
    )
