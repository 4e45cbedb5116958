"""Operations: one order about many IKE SAs, its progress, and its end."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response

from mobike.facade import Refused
from mobike.facade.books import Scope
from mobike_api import operations as engine
from mobike_api.caller import caller_of
from mobike_api.deps import OperationsDep
from mobike_api.operations import Kind, Order, Selection
from mobike_api.schemas_operations import Failure, Operation, OperationOrder, Operations
from mobike_api.scopes import needs

router = APIRouter(prefix="/operations", tags=["Operations"])

OperationPath = Annotated[str, Path(alias="id", description="The id of an operation.", pattern=r"^[0-9a-f]{16}$")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[A-Za-z0-9._:-]{1,64}$",
        description="Sent again with the same key and body, an order is not carried out again: its operation is told.",
    ),
]


@router.get("", summary="List operations")
@needs(Scope.READ)
async def list_operations(operations: OperationsDep) -> Operations:
    """Those that run, and the last hundred that have ended."""
    return Operations(items=tuple(map(_shown, operations.all())))


@router.post("", status_code=202, summary="Order something of many IKE SAs")
@needs(Scope.OPERATE)
async def start_operation(
    request: Request,
    response: Response,
    operations: OperationsDep,
    order: OperationOrder,
    key: Key = None,
) -> Operation:
    """The IKE SAs that fit the selection now are ordered one after another, at a pace. `Location` tells where to look
    for what came of it."""
    caller, said = caller_of(request.scope).name, order.model_dump_json()
    known = None if key is None else operations.repeats.answered(caller, key, said)
    operation = operations.start(_read(order), caller) if known is None else operations.get(known)
    if key is not None and known is None:
        operations.repeats.remember(caller, key, said, operation.id)
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
    aims = order.local is not None or order.remote is not None
    if order.order is Kind.MOVE and not aims:
        raise Refused("nothing is said of where to", field="local", hint="say local, remote, or both")
    if order.order is not Kind.MOVE and aims:
        raise Refused(f"{order.order.value} goes nowhere", field="local" if order.local else "remote")
    if order.local and order.remote and order.local.version != order.remote.version:
        raise Refused(f"{order.local} and {order.remote} are of different families", field="remote")
    select = order.select
    selection = Selection(
        ids=None if select.ids is None else frozenset(select.ids),
        connection=select.connection,
        state=select.state,
        role=select.role,
        transport=select.transport,
        local=_text(select.local),
        remote=_text(select.remote),
    )
    return Order(order.order, selection, _text(order.local), _text(order.remote), order.per_second)


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
        failures=tuple(Failure(sa=sa, why=why) for sa, why in operation.failures),
    )
