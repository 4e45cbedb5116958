"""Operations: one order about many, its progress, and its end."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from mobike.facade import Refused
from mobike.facade.books import Scope
from mobike_api import operations as engine
from mobike_api.caller import caller_of
from mobike_api.deps import OperationsDep
from mobike_api.operations import Kind, Order, Selection
from mobike_api.schemas_operations import Failure, Operation, OperationOrder, Operations, SelectionOrder
from mobike_api.scopes import needs

router = APIRouter(prefix="/operations", tags=["Operations"])

OperationPath = Annotated[str, Path(alias="id", description="The id of an operation.", pattern=r"^[0-9a-f]{16}$")]
_MEMBERS: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.MOVE: ("local", "remote"),
    Kind.AWAY: ("span_s",),
    Kind.DRAIN_LINK: ("link",),
    Kind.DRAIN: ("to",),
}
"""What belongs to an order beside whom it is about: one of these at least, and nothing else."""


@router.get("", summary="List operations")
@needs(Scope.READ)
async def list_operations(operations: OperationsDep) -> Operations:
    """Those that run, and the last hundred that have ended."""
    return Operations(items=tuple(map(_shown, operations.all())))


@router.post("", status_code=202, summary="Order something of many")
@needs(Scope.OPERATE)
async def start_operation(
    request: Request, response: Response, operations: OperationsDep, order: OperationOrder
) -> Operation:
    """The IKE SAs or connections that fit the selection now are ordered one after another, at a pace; a drain is one
    order for all. `Location` tells where to look for what came of it."""
    operation = operations.start(_read(order), caller_of(request.scope).name)
    response.headers["Location"] = f"/api/v1/operations/{operation.id}"
    return _shown(operation)


@router.get("/{id}", summary="Show an operation")
@needs(Scope.READ)
async def show_operation(operations: OperationsDep, operation: OperationPath) -> Operation:
    """How far it is, and what has failed."""
    return _shown(operations.get(operation))


@router.delete("/{id}", summary="Cancel an operation")
@needs(Scope.OPERATE)
async def cancel_operation(operations: OperationsDep, operation: OperationPath) -> Operation:
    """Nothing more is ordered. What was ordered before goes on."""
    return _shown(operations.cancel(operation))


def _read(order: OperationOrder) -> Order:
    _check(order)
    select = order.select or SelectionOrder()
    selection = Selection(
        ids=None if select.ids is None else frozenset(select.ids),
        connection=select.connection,
        state=select.state,
        role=select.role,
        transport=select.transport,
        local=_text(select.local),
        remote=_text(select.remote),
    )
    aim = (_text(order.local), _text(order.remote), order.span_s or 0, order.link or "", order.to or ())
    return Order(order.order, selection, *aim, order.per_second)


def _check(order: OperationOrder) -> None:
    """Members that belong to the order must be there, and no others."""
    kind = order.order
    if order.select is None and not kind.is_drain:
        raise Refused("nothing is said of which ones", field="select", hint="{} is all of them")
    if order.select is not None and kind.is_drain:
        raise Refused(f"{kind.value} is about all", field="select")
    if order.select is not None and kind.of_connections:
        others = order.select.model_fields_set - {"connection"}
        if others:
            raise Refused(f"{kind.value} is about connections", field=f"select/{min(others)}", hint="say `connection`")
    for member in ("local", "remote", "span_s", "link", "to"):
        if getattr(order, member) is not None and member not in _MEMBERS.get(kind, ()):
            raise Refused(f"{kind.value} has no {member}", field=member)
    if all(getattr(order, member) is None for member in _MEMBERS.get(kind, ("order",))):
        member, *rest = _MEMBERS[kind]
        raise Refused(f"{kind.value} needs {' or '.join((member, *rest))}", field=member)
    if order.local and order.remote and order.local.version != order.remote.version:
        raise Refused(f"{order.local} and {order.remote} are of different families", field="remote")


def _text(ip: object | None) -> str | None:
    return None if ip is None else str(ip)


def _shown(operation: engine.Operation) -> Operation:
    return Operation(
        id=operation.id,
        order=operation.order.kind,
        by=operation.by,
        phase=operation.phase,
        began=operation.began,
        ended=operation.ended,
        total=operation.total,
        done=operation.done,
        failed=operation.failed,
        waiting=len(operation.awaited),
        failures=tuple(Failure(target=target, why=why) for target, why in operation.failures),
    )
