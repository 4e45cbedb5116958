"""What must hold in the end: once faults stop, every SA whose peers share a working pair is stable on one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mobike.address import Ip, Pair
from mobike.events import IkeSaUp
from mobike.policy.connection import ConnectionPolicy
from mobike.policy.pairs import PairRules
from mobike.sim.host import Host


@dataclass(frozen=True, slots=True)
class Peers:
    """Who is whose peer, by the addresses that connections name."""

    hosts: Sequence[Host]

    def of(self, policy: ConnectionPolicy) -> Host | None:
        """The host at which a connection is aimed."""
        for host in self.hosts:
            for link in host.links.values():
                if any(ip in policy.remotes for ip in (*link.addresses, *host.reached_at(link))):
                    return host
        return None


class _Ends(NamedTuple):
    """One SA: at its initiator, and at the peer if it is there."""

    host: Host
    policy: ConnectionPolicy
    up: IkeSaUp
    peer: Host
    other: IkeSaUp | None


def complaints(peers: Peers) -> Iterator[str]:
    """Why the world is not settled yet; nothing if it is."""
    for host in peers.hosts:
        for connection in host.connections:
            if connection.policy.initiates:
                yield from _of_connection(host, connection.policy, peers)
    for host in peers.hosts:
        if host.forgets_events:
            yield f"{host.name}: events wait that nobody will take"


def working_pairs(host: Host, policy: ConnectionPolicy, peer: Host, remotes: Mapping[Ip, None]) -> list[Pair]:
    """Pairs that work now, may be known here, and are allowed for the connection."""
    of_kinds = (pair for kind in policy.transports for pair in host.working_pairs(peer, remotes, kind))
    return [pair for pair in of_kinds if _is_allowed(pair, policy.pairs)]


def _is_allowed(pair: Pair, rules: PairRules) -> bool:
    of_ends = ((pair.local, rules.local), (pair.remote, rules.remote))
    return pair.local.version in rules.families and all(
        not prefixes or any(ip in prefix for prefix in prefixes) for ip, prefixes in of_ends
    )


def _of_connection(host: Host, policy: ConnectionPolicy, peers: Peers) -> Iterator[str]:
    peer = peers.of(policy)
    if peer is None:
        return
    ups = [up for up in host.initiated() if up.connection == policy.name]
    known = dict.fromkeys(policy.remotes)
    pairs = working_pairs(host, policy, peer, known)
    wanted = 1 + (host.crowd if policy is host.connections[0].policy else 0)
    if len(ups) < wanted and pairs:
        yield f"{host.name}: {len(ups)} of {wanted} SAs of {policy.name} are up, though {pairs[0]} works"
    ends = {(up.spi_i, up.spi_r): up for up in peer.ups.values()}
    for up in ups:
        complaint = _of_sa(_Ends(host, policy, up, peer, ends.get((up.spi_i, up.spi_r))), known)
        if complaint is not None:
            yield f"{host.name}: SA {up.sa:#x} {complaint}"


def _of_sa(ends: _Ends, remotes: dict[Ip, None]) -> str | None:
    host, policy, up, peer, other = ends
    row = host.fleet.row(up.sa)
    if row is None:
        return "is unknown to its fleet"
    # A list does not repeat the address that it is sent from (RFC 4555 section 3.4).
    known = {**remotes, row.path.remote.ip: None}
    pairs = working_pairs(host, policy, peer, known)
    if row.path.pair not in pairs and host.crowd == 0:  # only then does it matter what the peer has listed
        detail = host.fleet.view(up.sa)
        listed = () if detail is None else detail.peer_addresses
        pairs = working_pairs(host, policy, peer, {**known, **dict.fromkeys(listed)})
    if not pairs:
        return None
    if row.state != "established":
        return f"is {row.state}, though {_listed(pairs)} works"
    if row.path.pair not in pairs:
        return f"is on {row.path}, which does not work, though {_listed(pairs)} does"
    if other is None:
        return f"does not exist at {peer.name}"
    return _of_ends(host, up, peer, other)


def _of_ends(host: Host, up: IkeSaUp, peer: Host, other: IkeSaUp) -> str | None:
    row, theirs = host.fleet.row(up.sa), peer.fleet.row(other.sa)
    if row is None or theirs is None:
        return f"is unknown to the fleet of {peer.name}"
    if theirs.state != "established":
        return f"is {theirs.state} at {peer.name}"
    seen = _seen_as(host, row.path.pair)
    if theirs.path.remote.ip not in seen:
        return f"is on {row.path} here and on {theirs.path} at {peer.name}"
    for end, sa in ((host, up.sa), (peer, other.sa)):
        at = end.fleet.row(sa)
        plane = end.core.plane_path(sa)
        if at is not None and plane is not None and plane.pair != at.path.pair:
            return f"is on {at.path} at {end.name}, but its traffic goes {plane}"
    return None


def _seen_as(host: Host, pair: Pair) -> list[Ip]:
    """How the peer sees our end of this pair."""
    return [seen for link in host.links.values() if pair.local in link.addresses for seen in (*host.reached_at(link),)]


def _listed(pairs: Sequence[Pair]) -> str:
    more = len(pairs) - 1
    return f"{pairs[0]}" + (f" (and {more} more)" if more else "")
