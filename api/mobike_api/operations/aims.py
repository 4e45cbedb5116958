"""Who is meant, giving the order, and looking whether it has been obeyed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from mobike.facade import ConnectionView, Facade, IkeSaView, NotFound, Refused
from mobike_api.operations.kinds import Kind, Order, Selection, host_of
from mobike_api.operations.progress import Operation, Target

_ROWS: Final = 500


async def all_sas(facade: Facade, connection: str | None) -> AsyncIterator[IkeSaView]:
    """The loop gets on with other things between pages."""
    after: str | None = None
    while True:
        page = facade.list_ike_sas(after=after, limit=_ROWS, connection=connection)
        for sa in page.items:
            yield sa
        after = page.after
        if after is None:
            return
        await asyncio.sleep(0)


def check(facade: Facade, order: Order) -> None:
    """What can be said before anything is done: NotFound, or Refused."""
    if order.kind is Kind.DRAIN_LINK:
        standing = {each.standing for each in facade.addresses() if each.link == order.link}
        if not standing:
            raise Refused(f"there is no link {order.link!r}", field="link", hint="GET /api/v1/addresses lists them")
    if order.kind.of_connections and (name := order.selection.connection) is not None:
        _connection(facade, name)


async def choose(facade: Facade, order: Order) -> list[Target]:
    """As things are now: who comes later is not meant."""
    if order.kind.of_connections:
        return [Target(each.name) for each in facade.connections() if _is_meant(order, each)]
    if order.kind is Kind.DRAIN:
        selection = Selection(role="responder")
        wanted = [sa async for sa in all_sas(facade, None) if selection.takes(sa)]
    elif order.kind is Kind.DRAIN_LINK:
        ours = _addresses(facade, order.link)
        wanted = [sa async for sa in all_sas(facade, None) if host_of(sa.local) in ours]
    else:
        wanted = [sa async for sa in all_sas(facade, order.selection.connection) if order.selection.takes(sa)]
    moves = order.kind is Kind.MOVE
    return [Target(sa.id, _spis(sa), moves and _is_there(order, sa)) for sa in wanted]


def tell_all(facade: Facade, order: Order) -> None:
    """A drain: one order for all."""
    if order.kind is Kind.DRAIN:
        facade.drain(order.to)
    elif any(each.standing != "avoided" for each in facade.addresses() if each.link == order.link):
        facade.avoid(order.link, avoid=True)


_TELL: Final[Mapping[Kind, Callable[[Facade, Order, str], None]]] = {
    Kind.MOVE: lambda facade, order, sa: facade.move(sa, local=order.local, remote=order.remote),
    Kind.PIN: lambda facade, _, sa: facade.pin(sa),
    Kind.UNPIN: lambda facade, _, sa: facade.unpin(sa),
    Kind.PROBE: lambda facade, _, sa: facade.probe(sa),
    Kind.REKEY: lambda facade, _, sa: facade.rekey(sa, children=False),
    Kind.REKEY_CHILDREN: lambda facade, _, sa: facade.rekey(sa, children=True),
    Kind.REAUTHENTICATE: lambda facade, _, sa: facade.reauth(sa),
    Kind.TERMINATE: lambda facade, _, sa: facade.close(sa),
    Kind.UP: lambda facade, _, name: facade.up(name),
    Kind.DOWN: lambda facade, _, name: facade.down(name),
    Kind.AWAY: lambda facade, order, name: facade.away(name, order.span_s),
    Kind.BACK: lambda facade, _, name: facade.back(name),
}


def tell(facade: Facade, order: Order, target: str) -> None:
    """Order it of one; NotFound, or Refused. Drains are told once, of all."""
    _TELL[order.kind](facade, order, target)


async def look(facade: Facade, operation: Operation) -> None:
    """Which of those that are waited for are where they should be? Events may have been missed."""
    operation.look = False
    if operation.order.kind.of_connections:
        for name in list(operation.awaited):
            if _connection_obeyed(facade, operation.order.kind, name):
                operation.succeeds(name)
        return
    ours = _addresses(facade, operation.order.link)
    gone = set(operation.awaited)
    async for sa in all_sas(facade, operation.order.selection.connection):
        gone.discard(sa.id)
        waits = operation.awaited.get(sa.id)
        if waits is not None and _sa_obeyed(operation.order, sa, waits[1], ours):
            operation.succeeds(sa.id)
    ends_so = operation.order.kind in {Kind.TERMINATE, Kind.REAUTHENTICATE} or operation.order.kind.is_drain
    for name in gone & operation.awaited.keys():
        if ends_so:
            operation.succeeds(name)
        else:
            operation.fails(name, "it is down")


def _spis(sa: IkeSaView) -> str:
    return f"{sa.spi_i}/{sa.spi_r}"


def _is_there(order: Order, sa: IkeSaView) -> bool:
    return order.local in {None, host_of(sa.local)} and order.remote in {None, host_of(sa.remote)}


def _sa_obeyed(order: Order, sa: IkeSaView, target: Target, ours: frozenset[str]) -> bool:
    match order.kind:
        case Kind.MOVE:
            return _is_there(order, sa) and sa.state != "updating"
        case Kind.REKEY:
            return _spis(sa) != target.spis
        case Kind.DRAIN_LINK:
            return host_of(sa.local) not in ours
        case _:
            return False


def _connection_obeyed(facade: Facade, kind: Kind, name: str) -> bool:
    try:
        connection = _connection(facade, name)
    except NotFound:
        return kind is Kind.DOWN
    if kind is Kind.UP:
        return connection.state == "up"
    if kind is Kind.DOWN:
        return connection.ike_sas == 0
    states = {sa.state for sa in facade.list_ike_sas(limit=_ROWS, connection=name).items}
    return states == {"away"} if kind is Kind.AWAY else "away" not in states


def _is_meant(order: Order, connection: ConnectionView) -> bool:
    if order.selection.connection is not None:
        return order.selection.connection == connection.name
    if order.kind is Kind.DOWN:
        return True
    return connection.role == "initiator" and (order.kind is Kind.UP or connection.ike_sas > 0)


def _connection(facade: Facade, name: str) -> ConnectionView:
    for each in facade.connections():
        if each.name == name:
            return each
    raise NotFound(f"there is no connection {name!r}")


def _addresses(facade: Facade, link: str) -> frozenset[str]:
    return frozenset(each.ip for each in facade.addresses() if each.link == link)
