"""What each part of the daemon keeps of the connections: the same at the start and when the configuration changes."""

from collections.abc import Callable, Mapping

from mobike.address import Ip
from mobike.auth.eap import Orders
from mobike.auth.radius import RadiusOrders
from mobike.auth.trust import Trust
from mobike.config.settings import AuthoriserSettings, Connection, HookSettings, Settings
from mobike.dataplane.shields import Shield
from mobike.policy.connection import Start


def public(settings: Settings) -> tuple[Ip, ...]:
    """Addresses to announce though no link has them."""
    return tuple(dict.fromkeys(ip for connection in settings.connections for ip in connection.addresses))


def hooks(settings: Settings) -> dict[str, HookSettings]:
    return {each.name: each.hooks for each in settings.connections}


def trusts(settings: Settings) -> dict[str, Trust]:
    return {each.name: each.trust for each in settings.connections if each.trust is not None}


def talks(settings: Settings) -> dict[str, Orders]:
    return {each.name: each.eap for each in settings.connections if each.eap is not None}


def authorisers(settings: Settings) -> dict[str, AuthoriserSettings]:
    return {each.name: each.authoriser for each in settings.connections if each.authoriser is not None}


def pools(settings: Settings) -> frozenset[str]:
    """That an authoriser may have a peer lease from."""
    authorised = (each.profile for each in settings.connections if each.authoriser is not None)
    return frozenset(pool.pool_name for profile in authorised for pool in profile.named_pools)


def sticky(settings: Settings) -> dict[str, int]:
    accepting = (each.profile for each in settings.connections if each.profile.accepts)
    return {each.name: max([each.sticky, *(pool.sticky for pool in each.named_pools)]) for each in accepting}


def servers(settings: Settings) -> dict[str, RadiusOrders]:
    return {each.name: each.eap for each in settings.connections if isinstance(each.eap, RadiusOrders)}


def remotes(settings: Settings) -> Mapping[str, tuple[Ip, ...]]:
    return {each.name: each.policy.remotes for each in settings.connections}


def redirects(settings: Settings) -> Mapping[str, Callable[[str], tuple[Ip, ...]]]:
    return {each.name: each.policy.redirects.addresses_of for each in settings.connections}


def shields(settings: Settings) -> tuple[Shield, ...]:
    return tuple(
        Shield(
            each.name,
            each.blocks,
            each.policy.remotes,
            always=not each.policy.initiates,
            waits=each.policy.start is Start.TRAFFIC and each.policy.initiates,
            marks=each.marks,
        )
        for each in settings.connections
    )


def ticket_lifetime(settings: Settings) -> int:
    """Of all tickets, in nanoseconds, at most."""
    return max((each.profile.ticket_lifetime for each in settings.connections), default=0)


def listens_for_streams(connection: Connection) -> bool:
    return connection.profile.accepts and connection.profile.tcp
