"""What the fleet knows, as the facade tells it: one row of a list, one pair, one move."""

from collections.abc import Callable, Mapping
from typing import Final

from mobike.address import ChildId, SaId
from mobike.facade import ChildView, IkeSaView, MoveView, PairView
from mobike.facade.lists import ChildRow, PathRow
from mobike.fleet import FactRow, MoveRow, PairRow, SessionDetail, SessionRow
from mobike.gateway.epoch import Epoch
from mobike.mobility.folded import ChildFacts

EPOCH: Final = Epoch()


def path_row(row: FactRow) -> PathRow:
    """What is known of a pair of addresses."""
    forward, backward, rtt_ms, loss = _measured(row)
    return PathRow(
        local=str(row.pair.local),
        remote=str(row.pair.remote),
        transport=row.pair.transport.value,
        link=row.link,
        state=row.reach.name.lower().replace("_", "-"),
        nat=row.nat.name.lower(),
        at=EPOCH.of(row.at),
        lapses=row.lapses,
        forward=forward,
        backward=backward,
        rtt_ms=rtt_ms,
        loss=loss,
    )


def _measured(row: PairRow | FactRow) -> tuple[bool | None, bool | None, float | None, float | None]:
    seen = row.measured
    if seen is None:
        return None, None, None, None
    rtt = None if seen.rtt is None else seen.rtt / 1e6
    return seen.forward, seen.backward, rtt, seen.loss_permille / 1000


def ike_sa(row: SessionRow) -> IkeSaView:
    """One IKE SA."""
    return IkeSaView(
        id=id_of(row.sa),
        connection=row.connection,
        role=row.role.value,
        state=row.state,
        local=str(row.path.local),
        remote=str(row.path.remote),
        peer_id=row.peer_id,
        mobike=row.mobike,
        nat=row.nat.value,
        suite=row.suite,
        spi_i=f"{row.spi_i:016x}",
        spi_r=f"{row.spi_r:016x}",
        virtual_ips=tuple(map(str, row.virtual_ips)),
        since=EPOCH.of(row.since),
        moves=row.moves,
        transport=row.path.transport.value,
    )


def child_row(sa: SaId, connection: str, child: ChildFacts) -> ChildRow:
    """One Child SA, as a row of a list."""
    return ChildRow(
        id=id_of(child.child),
        ike_sa=id_of(sa),
        connection=connection,
        name=child.name,
        spi_in=f"{child.spi_in:08x}",
        spi_out=f"{child.spi_out:08x}",
        suite=child.suite,
        local_ts=child.local_ts,
        remote_ts=child.remote_ts,
        encap=child.encap,
    )


def children(detail: SessionDetail, carried: Callable[[ChildId], Mapping[str, int] | None]) -> list[ChildView]:
    """The Child SAs of one IKE SA, with what each has carried."""
    views = []
    for each in detail.children:
        counts = carried(each.child) or {}
        views.append(
            ChildView(
                id=id_of(each.child),
                name=each.name,
                spi_in=f"{each.spi_in:08x}",
                spi_out=f"{each.spi_out:08x}",
                suite=each.suite,
                local_ts=each.local_ts,
                remote_ts=each.remote_ts,
                encap=each.encap,
                mode="transport" if each.transport_mode else "tunnel",
                packets_in=counts.get("packets_in", 0),
                packets_out=counts.get("packets_out", 0),
                bytes_in=counts.get("bytes_in", 0),
                bytes_out=counts.get("bytes_out", 0),
            )
        )
    return views


def pair(row: PairRow) -> PairView:
    """A pair, as policy ranks it for one IKE SA."""
    local, remote, transport = str(row.pair.local), str(row.pair.remote), row.pair.transport.value
    place = (row.rank, local, remote, row.link, row.current, row.usable, row.score, row.why)
    return PairView(*place, *_measured(row), transport)


def move(row: MoveRow) -> MoveView:
    """The last move of an IKE SA."""
    duration = None if row.duration is None else row.duration / 1e6
    return MoveView(EPOCH.of(row.at), str(row.from_path), str(row.to_path), row.why, duration)


def id_of(number: int) -> str:
    """As the API writes it."""
    return f"{number:016x}"
